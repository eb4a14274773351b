// sdks.mjs - the vendors' own clients beside m4a1, on the same dialogue.
//
//   node sdks.mjs cases DIR URL PROTOCOL...          writes recipe.json and sessions.jsonl to DIR
//   node sdks.mjs compare CAPTURED SCENE PROTOCOL... sends the dialogue of that recipe with the
//                      clients to a capture server, and compares it with what m4a1 sent
//   node sdks.mjs clients URL MODEL IMAGE            the clients ask `m4a1 simulate`
//
// The last two print "NAME<tab>WHAT IS WRONG" lines; nothing behind the tab is a pass.
import { readFileSync, readdirSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import OpenAI, { AzureOpenAI } from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { Ollama } from 'ollama';
import { Mistral } from '@mistralai/mistralai';
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler'; // comes with it
import { answerText, startCapture } from './capture.mjs';
import { protocols } from './protocols.mjs';
import { llm, systemPrompt, writeCase } from './recipe.mjs';

const key = process.env.PEER_KEY ?? 'sk-peer';
const added = [['first_person'], ['side', 'overhead'], []];
const prompt = (turn) => `Question ${turn}: what is “there”?\nSay why.`;

// ---- what may differ -----------------------------------------------------------------

// Headers that say who asks, or how the connection is used, and nothing about the request.
const allowedHeaders = [
  /^user-agent$/, /^x-stainless-/, /^x-goog-api-client$/, /^x-amz-user-agent$/, /^amz-sdk-/,
  /^host$/, /^connection$/, /^content-length$/, /^transfer-encoding$/, /^keep-alive$/,
  /^accept-language$/, /^cookie$/, /^sec-fetch-mode$/, /^accept-encoding$/, /^priority$/,
  // Every server takes */* for what it has anyway.
  /^accept$/,
  // One that the SDK sends to itself, as a hint for a browser or a proxy.
  /^x-amzn-bedrock-/, /^x-server-timeout$/,
];

// Members that say what is the default anyway: one of both says it, the other leaves it out.
// [of which client, where in the body, the value, why]
const allowedMembers = [
  [/^(openai-chat|azure-openai|openai-responses|anthropic|mistral)$/, /^body\/stream$/, false, 'whole answers are the default'],
  [/^mistral$/, /^body\/messages\/\d+\/prefix$/, false, 'the answer does not go on with the last message'],
];

function plain(headers) {
  const out = {};
  for (const [name, value] of Object.entries(headers))
    if (!allowedHeaders.some((a) => a.test(name))) out[name] = value;
  // "application/json; charset=utf-8" is the same: JSON is UTF-8.
  if (out['content-type']) out['content-type'] = out['content-type'].replace(/; *charset=utf-8$/i, '');
  return out;
}

// Where two values differ, as [path, ours, theirs].
function differences(ours, theirs, at) {
  if (isDeepStrictEqual(ours, theirs)) return [];
  const both = [ours, theirs];
  if (both.every((v) => v && typeof v === 'object' && !Array.isArray(v)) || both.every(Array.isArray)) {
    const names = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
    return [...names].flatMap((n) => differences(ours[n], theirs[n], `${at}/${n}`));
  }
  return [[at, ours, theirs]];
}

function compare(who, ours, theirs) {
  const show = (v) => (v === undefined ? 'nothing' : JSON.stringify(v).slice(0, 60));
  const allowed = ([at, a, b]) => (a === undefined || b === undefined) &&
    allowedMembers.some(([whose, where, value]) => whose.test(who) && where.test(at) && (a ?? b) === value);
  const parts = { path: (seen) => decodeURIComponent(seen.path), query: (seen) => seen.query,
    header: (seen) => plain(seen.headers), body: (seen) => JSON.parse(JSON.stringify(seen.body)) };
  return Object.entries(parts)
    .flatMap(([name, part]) => differences(part(ours), part(theirs), name))
    .filter((d) => !allowed(d))
    .map(([at, a, b]) => `${at}: ${show(a)} instead of ${show(b)}`);
}

// ---- the same dialogue with each client ------------------------------------------------

let scene; // the folder with the pictures, exactly as m4a1 sends them
const image = (view) => readFileSync(join(scene, `${view}.jpg`));
const dataUrl = (view) => `data:image/jpeg;base64,${image(view).toString('base64')}`;

// The messages of a turn: of the user the parts, as docs/collecting.md says; of the llm a text.
function dialogue(turn) {
  const messages = [];
  for (let t = 0; t <= turn; t++) {
    const parts = added[t].flatMap((view) => [{ text: `View ${view}:` }, { view }]);
    messages.push({ role: 'user', parts: [...parts, { text: prompt(t) }] });
    if (t < turn) messages.push({ role: 'assistant', text: answerText });
  }
  return messages;
}

// Parts in a vendor's form; one text alone stays a string where the vendor takes one.
const content = (parts, text, picture) =>
  parts.length === 1 ? parts[0].text : parts.map((p) => (p.view ? picture(p.view) : text(p.text)));

async function drain(stream) {
  for await (const part of stream) void part;
}

function chatMessages(turn) {
  const user = (parts) => content(parts, (text) => ({ type: 'text', text }),
    (view) => ({ type: 'image_url', image_url: { url: dataUrl(view) } }));
  return [{ role: 'system', content: systemPrompt },
    ...dialogue(turn).map((m) => ({ role: m.role, content: m.text ?? user(m.parts) }))];
}

async function openaiChat(client, model, turn, stream, parameters) {
  const request = { model, messages: chatMessages(turn), ...parameters };
  if (!stream) return client.chat.completions.create(request);
  return drain(await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } }));
}

// Beside the protocols of m4a1: services that openai-chat is for as well.  m4a1 asks them by
// openai-chat, and the vendor's client in its own way.
const services = {
  mistral: {
    protocol: 'openai-chat',
    parameters: { max_completion_tokens: undefined, seed: undefined, max_tokens: 64, random_seed: 7 },
    // Mistral's streams end with the usage unasked.
    stream: { stream_options: null },
  },
};

const clients = {
  'openai-chat': (url) => {
    const client = new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0 });
    return (model, turn, stream) => openaiChat(client, model, turn, stream, protocols['openai-chat'].parameters);
  },
  'azure-openai': (url) => (model, turn, stream) => {
    const client = new AzureOpenAI({ apiKey: key, endpoint: url, apiVersion: '2024-10-21', deployment: model, maxRetries: 0 });
    return openaiChat(client, model, turn, stream, protocols['azure-openai'].parameters);
  },
  'openai-responses': (url) => {
    const client = new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0 });
    const user = (parts) => content(parts, (text) => ({ type: 'input_text', text }),
      (view) => ({ type: 'input_image', image_url: dataUrl(view), detail: 'auto' }));
    return async (model, turn, stream) => {
      const made = await client.responses.create({ model, instructions: systemPrompt, stream,
        input: dialogue(turn).map((m) => ({ role: m.role, content: m.text ?? user(m.parts) })),
        // m4a1 asks OpenAI to keep nothing, unless the recipe says otherwise.
        store: false, ...protocols['openai-responses'].parameters });
      return stream ? drain(made) : made;
    };
  },
  anthropic: (url) => {
    const client = new Anthropic({ apiKey: key, baseURL: url, maxRetries: 0 });
    const user = (parts) => content(parts, (text) => ({ type: 'text', text }), (view) => ({ type: 'image',
      source: { type: 'base64', media_type: 'image/jpeg', data: image(view).toString('base64') } }));
    return async (model, turn, stream) => {
      const made = await client.messages.create({ model, system: systemPrompt, stream,
        messages: dialogue(turn).map((m) => ({ role: m.role, content: m.text ?? user(m.parts) })),
        ...protocols.anthropic.parameters });
      return stream ? drain(made) : made;
    };
  },
  gemini: (url) => {
    const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
    const parts = (m) => m.text ? [{ text: m.text }] : m.parts.map((p) => p.view
      ? { inlineData: { mimeType: 'image/jpeg', data: image(p.view).toString('base64') } } : { text: p.text });
    return async (model, turn, stream) => {
      const request = { model, config: { systemInstruction: { parts: [{ text: systemPrompt }] }, ...protocols.gemini.parameters },
        contents: dialogue(turn).map((m) => ({ role: m.role === 'user' ? 'user' : 'model', parts: parts(m) })) };
      return stream ? drain(await client.models.generateContentStream(request)) : client.models.generateContent(request);
    };
  },
  ollama: (url) => {
    const client = new Ollama({ host: url, headers: { Authorization: `Bearer ${key}` } });
    // Pictures cannot stand between texts, so the labels come one a line before the prompt.
    const message = (m) => {
      if (m.text) return { role: m.role, content: m.text };
      const pictures = m.parts.filter((p) => p.view).map((p) => image(p.view).toString('base64'));
      const text = m.parts.filter((p) => p.text).map((p) => p.text).join('\n');
      return { role: m.role, content: text, ...(pictures.length ? { images: pictures } : {}) };
    };
    return async (model, turn, stream) => {
      // A prompt that is too long is to be an error for both.
      const made = await client.chat({ model, stream, truncate: false, options: protocols.ollama.parameters,
        messages: [{ role: 'system', content: systemPrompt }, ...dialogue(turn).map(message)] });
      return stream ? drain(made) : made;
    };
  },
  'bedrock-converse': (url) => {
    process.env.AWS_BEARER_TOKEN_BEDROCK = key;
    // It speaks HTTP/2 unless it is told not to.
    const client = new BedrockRuntimeClient({ region: 'us-east-1', endpoint: url, maxAttempts: 1, requestHandler: new NodeHttpHandler() });
    const parts = (m) => m.text ? [{ text: m.text }] : m.parts.map((p) => p.view
      ? { image: { format: 'jpeg', source: { bytes: image(p.view) } } } : { text: p.text });
    return async (modelId, turn, stream) => {
      const request = { modelId, system: [{ text: systemPrompt }], inferenceConfig: protocols['bedrock-converse'].parameters,
        messages: dialogue(turn).map((m) => ({ role: m.role, content: parts(m) })) };
      if (!stream) return client.send(new ConverseCommand(request));
      return drain((await client.send(new ConverseStreamCommand(request))).stream);
    };
  },
  mistral: (url) => {
    const client = new Mistral({ apiKey: key, serverURL: url, retryConfig: { strategy: 'none' } });
    const user = (parts) => content(parts, (text) => ({ type: 'text', text }),
      (view) => ({ type: 'image_url', imageUrl: { url: dataUrl(view) } }));
    return async (model, turn, stream) => {
      const request = { model, maxTokens: 64, temperature: 0, randomSeed: 7,
        messages: [{ role: 'system', content: systemPrompt },
          ...dialogue(turn).map((m) => ({ role: m.role, content: m.text ?? user(m.parts) }))] };
      return stream ? drain(await client.chat.stream(request)) : client.chat.complete(request);
    };
  },
};

// ---- verbs -----------------------------------------------------------------------------

// [name, protocol, who asks, stream], of the protocols that m4a1 knows.
function* each(known) {
  for (const who of Object.keys(clients)) {
    const protocol = services[who]?.protocol ?? who;
    if (!known.includes(protocol)) continue;
    for (const stream of [false, true]) yield [`${who}.${stream ? 'stream' : 'whole'}`, protocol, who, stream];
  }
}

function cases(dir, url, known) {
  const llms = {};
  const sessions = [];
  for (const [name, protocol, who, stream] of each(known)) {
    const service = services[who];
    const parameters = { ...service?.parameters, ...(stream ? service?.stream : {}) };
    llms[name] = llm(protocol, url, name, { stream, key_env: 'PEER_KEY', parameters });
    sessions.push({ llm: name, turns: added.map((views, t) => ({ prompt: prompt(t), views })) });
  }
  writeCase(dir, llms, sessions);
}

const modelOf = (seen) => /\/(?:models?|deployments)\/([^/:]+)/.exec(decodeURIComponent(seen.path))?.[1] ?? seen.body.model;

async function compareAll(captured, folder, known) {
  scene = folder;
  const ours = readdirSync(captured).sort().map((f) => JSON.parse(readFileSync(join(captured, f), 'utf8')));
  let theirs = [];
  const server = await startCapture(null, (seen) => theirs.push(seen));
  const url = `http://127.0.0.1:${server.address().port}`;
  for (const [name, protocol, who, stream] of each(known)) {
    const mine = ours.filter((seen) => modelOf(seen) === name);
    for (let turn = 0; turn < added.length; turn++) {
      theirs = [];
      let wrong;
      try {
        await clients[who](url)(name, turn, stream);
        wrong = !mine[turn] ? ['m4a1 sent nothing'] : theirs.length !== 1 ? [`the client sent ${theirs.length} requests`]
          : compare(who, mine[turn], theirs[0]);
      } catch (e) {
        wrong = [`the client failed: ${e.message}`];
      }
      console.log(`${name}, turn ${turn}\t${wrong.slice(0, 8).join('; ')}`);
    }
    // A comparison that finds nothing between two different turns compares nothing.
    const blind = mine[0] && theirs[0] && compare(who, mine[0], theirs[0]).length === 0;
    console.log(`${name}: another turn is seen to differ\t${blind ? 'it is not' : ''}`);
  }
  server.close();
  server.closeAllConnections();
}

async function asClients(url, model, picture) {
  const ask = { model, max_completion_tokens: 200, messages: [{ role: 'user', content: [
    { type: 'text', text: 'View side:' },
    { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${readFileSync(picture).toString('base64')}` } },
    { type: 'text', text: 'Where is the knife, and is it lying safely?' }] }] };
  const client = new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0 });
  const print = (name, wrong) => console.log(`${name}\t${wrong}`);

  const whole = await client.chat.completions.create(ask);
  const text = whole.choices[0].message.content;
  print('openai reads a whole answer', /\[simulated answer, quality/.test(text) ? '' : `it read: ${text}`);
  print('openai reads its usage', whole.usage.prompt_tokens > 85 && whole.usage.total_tokens ===
    whole.usage.prompt_tokens + whole.usage.completion_tokens ? '' : JSON.stringify(whole.usage));
  print('openai reads the request id', whole._request_id ? '' : 'there is none');

  let streamed = '', usage, reason;
  for await (const part of await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
    streamed += part.choices[0]?.delta?.content ?? '';
    reason = part.choices[0]?.finish_reason ?? reason;
    usage = part.usage ?? usage;
  }
  print('openai reads the same from a stream', streamed === text ? '' : `it read: ${streamed}`);
  print('openai reads why the stream ends', reason === 'stop' ? '' : String(reason));
  print('openai reads the usage of a stream', isDeepStrictEqual(usage, whole.usage) ? '' : JSON.stringify(usage));
  const helped = await client.chat.completions.stream(ask).finalContent();
  print("openai's stream helper joins the pieces", helped === text ? '' : `it read: ${helped}`);
  const models = [];
  for await (const m of client.models.list()) models.push(m.id);
  print('openai lists the models', models.includes(model) ? '' : models.join(', '));

  const failure = async (name, kind, act) => {
    try {
      await act();
      print(name, 'it got an answer');
    } catch (e) {
      print(name, e instanceof kind ? '' : `it threw ${e.constructor.name}: ${e.message}`);
    }
  };
  await failure('an unknown model is a NotFoundError', OpenAI.NotFoundError,
    () => client.chat.completions.create({ ...ask, model: 'nobody' }));
  await failure('a wrong request is a BadRequestError', OpenAI.BadRequestError,
    () => client.chat.completions.create({ ...ask, temperature: 9 }));
  await failure('a wrong key is an AuthenticationError', OpenAI.AuthenticationError,
    () => new OpenAI({ apiKey: 'invalid', baseURL: `${url}/v1`, maxRetries: 0 }).chat.completions.create(ask));

  const mistral = new Mistral({ apiKey: key, serverURL: url, retryConfig: { strategy: 'none' } });
  const said = await mistral.chat.complete({ model, maxTokens: 200, messages: [{ role: 'user', content: 'Where is the knife?' }] });
  print('mistralai reads a whole answer', said.choices[0].message.content ? '' : 'nothing');
  let pieces = '';
  for await (const { data } of await mistral.chat.stream({ model, maxTokens: 200, messages: [{ role: 'user', content: 'Where is the knife?' }] }))
    pieces += data.choices[0]?.delta?.content ?? '';
  print('mistralai reads the same from a stream', pieces === said.choices[0].message.content ? '' : `it read: ${pieces}`);
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === 'cases') cases(rest[0], rest[1], rest.slice(2));
else if (verb === 'compare') await compareAll(rest[0], rest[1], rest.slice(2));
else await asClients(...rest);
