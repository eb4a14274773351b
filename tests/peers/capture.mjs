// capture.mjs PORT_FILE DIR - writes down every POST as DIR/NNNN.json (path, query, headers with
// small names, body) and answers it in the protocol of its path, whole or as a stream.
//
// Also imported by sdks.mjs, which runs it for the vendors' clients.
import http from 'node:http';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { fileURLToPath } from 'node:url';

export const answerText = 'An answer: “äöü”.';
const words = answerText.split(/(?<= )/);

const sse = (events) =>
  events.map(([name, data]) => (name ? `event: ${name}\n` : '') +
    `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`).join('');

function chat(model, stream) {
  const head = { id: 'chatcmpl-1', created: 1, model };
  const usage = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };
  if (!stream)
    return { ...head, object: 'chat.completion', usage, choices: [
      { index: 0, message: { role: 'assistant', content: answerText, refusal: null }, logprobs: null, finish_reason: 'stop' }] };
  const chunk = (delta, finish_reason = null) =>
    ['', { ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] }];
  return sse([chunk({ role: 'assistant', content: '' }), ...words.map((w) => chunk({ content: w })),
    chunk({}, 'stop'), ['', { ...head, object: 'chat.completion.chunk', choices: [], usage }], ['', '[DONE]']]);
}

function responses(model, stream) {
  const part = { type: 'output_text', text: answerText, annotations: [], logprobs: [] };
  const item = { type: 'message', id: 'msg_1', status: 'completed', role: 'assistant', content: [part] };
  const whole = { id: 'resp_1', object: 'response', created_at: 1, model, status: 'completed', error: null,
    incomplete_details: null, instructions: null, metadata: {}, output: [item], parallel_tool_calls: true,
    temperature: 0, tool_choice: 'auto', tools: [], top_p: 1,
    usage: { input_tokens: 10, input_tokens_details: { cached_tokens: 0 }, output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 13 } };
  if (!stream) return whole;
  const begun = { ...whole, status: 'in_progress', output: [], usage: null };
  const at = { item_id: 'msg_1', output_index: 0, content_index: 0 };
  let n = 0;
  const event = (type, data) => [type, { type, sequence_number: n++, ...data }];
  return sse([event('response.created', { response: begun }),
    event('response.output_item.added', { output_index: 0, item: { ...item, status: 'in_progress', content: [] } }),
    event('response.content_part.added', { ...at, part: { ...part, text: '' } }),
    ...words.map((delta) => event('response.output_text.delta', { ...at, delta, logprobs: [] })),
    event('response.output_text.done', { ...at, text: answerText, logprobs: [] }),
    event('response.content_part.done', { ...at, part }),
    event('response.output_item.done', { output_index: 0, item }),
    event('response.completed', { response: whole })]);
}

function messages(model, stream) {
  const head = { id: 'msg_1', type: 'message', role: 'assistant', model };
  const usage = { input_tokens: 10, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 3 };
  if (!stream)
    return { ...head, content: [{ type: 'text', text: answerText }], stop_reason: 'end_turn', stop_sequence: null, usage };
  const event = (type, data) => [type, { type, ...data }];
  return sse([
    event('message_start', { message: { ...head, content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 0 } } }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    ...words.map((text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
    event('content_block_stop', { index: 0 }),
    event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 3 } }),
    event('message_stop', {})]);
}

function gemini(model, stream) {
  const usageMetadata = { promptTokenCount: 10, candidatesTokenCount: 3, totalTokenCount: 13 };
  const chunk = (text, last) => ({ candidates: [{ content: { role: 'model', parts: [{ text }] }, index: 0,
    ...(last ? { finishReason: 'STOP' } : {}) }], usageMetadata, modelVersion: model, responseId: 'r1' });
  if (!stream) return chunk(answerText, true);
  return sse(words.map((w, i) => ['', chunk(w, i === words.length - 1)]));
}

function ollama(model, stream) {
  const head = { model, created_at: '2026-01-01T00:00:00Z' };
  const end = { done: true, done_reason: 'stop', total_duration: 5, load_duration: 1, prompt_eval_count: 10,
    prompt_eval_duration: 1, eval_count: 3, eval_duration: 3 };
  if (!stream) return { ...head, message: { role: 'assistant', content: answerText }, ...end };
  return [...words.map((content) => ({ ...head, message: { role: 'assistant', content }, done: false })),
    { ...head, message: { role: 'assistant', content: '' }, ...end }].map((o) => JSON.stringify(o) + '\n').join('');
}

// One frame of application/vnd.amazon.eventstream: lengths, CRC, headers, payload, CRC.
function awsFrame(type, payload) {
  const header = (name, value) => {
    const n = Buffer.from(name), v = Buffer.from(value), size = Buffer.alloc(2);
    size.writeUInt16BE(v.length);
    return Buffer.concat([Buffer.from([n.length]), n, Buffer.from([7]), size, v]);
  };
  const headers = Buffer.concat([header(':event-type', type), header(':content-type', 'application/json'),
    header(':message-type', 'event')]);
  const body = Buffer.from(JSON.stringify(payload));
  const frame = Buffer.alloc(12 + headers.length + body.length + 4);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(headers.length, 4);
  frame.writeUInt32BE(crc(frame.subarray(0, 8)), 8);
  headers.copy(frame, 12);
  body.copy(frame, 12 + headers.length);
  frame.writeUInt32BE(crc(frame.subarray(0, frame.length - 4)), frame.length - 4);
  return frame;
}

function crc(bytes) {
  if (crc32) return crc32(bytes); // Node 20.15, 22.2 and newer
  let c = ~0;
  for (const b of bytes) {
    c ^= b;
    for (let k = 0; k < 8; k++) c = (c >>> 1) ^ (0xedb88320 & -(c & 1));
  }
  return ~c >>> 0;
}

function converse(model, stream) {
  const usage = { inputTokens: 10, outputTokens: 3, totalTokens: 13 };
  if (!stream)
    return { output: { message: { role: 'assistant', content: [{ text: answerText }] } }, stopReason: 'end_turn',
      usage, metrics: { latencyMs: 5 } };
  return Buffer.concat([awsFrame('messageStart', { role: 'assistant' }),
    ...words.map((text) => awsFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } })),
    awsFrame('contentBlockStop', { contentBlockIndex: 0 }), awsFrame('messageStop', { stopReason: 'end_turn' }),
    awsFrame('metadata', { usage, metrics: { latencyMs: 5 } })]);
}

// Path, who answers, type of the stream; the first group is the model where the path has it.
const routes = [
  [/^\/openai\/deployments\/([^/]+)\/chat\/completions$/, chat],
  [/\/chat\/completions$/, chat],
  [/\/responses$/, responses],
  [/\/v1\/messages$/, messages],
  [/\/models\/([^/:]+):generateContent$/, gemini],
  [/\/models\/([^/:]+):streamGenerateContent$/, gemini, 'text/event-stream', true],
  [/\/api\/chat$/, ollama, 'application/x-ndjson'],
  [/\/model\/([^/]+)\/converse$/, converse],
  [/\/model\/([^/]+)\/converse-stream$/, converse, 'application/vnd.amazon.eventstream', true],
];

function answer(res, path, body) {
  for (const [pattern, make, type = 'text/event-stream', always] of routes) {
    const found = pattern.exec(path);
    if (!found) continue;
    // Ollama streams unless it is told not to.
    const stream = always ?? (make === ollama ? body.stream !== false : body.stream === true);
    const made = make(found[1] ? decodeURIComponent(found[1]) : body.model, stream);
    res.writeHead(200, { 'content-type': stream ? type : 'application/json', 'x-request-id': 'req_1' });
    res.end(stream ? made : JSON.stringify(made));
    return;
  }
  res.writeHead(404, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ error: { message: `no protocol has the path ${path}` } }));
}

export function startCapture(dir, onRequest = () => {}) {
  let n = 0;
  if (dir) mkdirSync(dir, { recursive: true });
  const server = http.createServer(async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    const url = new URL(req.url, 'http://x');
    let body;
    try {
      body = JSON.parse(Buffer.concat(parts).toString());
    } catch (e) {
      res.writeHead(400).end(String(e));
      return;
    }
    // The path as it was sent: a colon and %3A are not the same to a signature.
    const seen = { path: req.url.split('?')[0], query: Object.fromEntries(url.searchParams), headers: req.headers, body };
    onRequest(seen);
    if (dir) writeFileSync(join(dir, String(n++).padStart(4, '0') + '.json'), JSON.stringify(seen));
    answer(res, decodeURI(seen.path), body);
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [portFile, dir] = process.argv.slice(2);
  const server = await startCapture(dir);
  writeFileSync(portFile + '.new', server.address().port + '\n');
  renameSync(portFile + '.new', portFile);
}
