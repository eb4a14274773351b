// bench_openai.mjs DB FRAMES URL CALLS IN_FLIGHT VIEWS - what `m4a1 collect` does, as a Node
// program on the openai package: for tests/bench/bench_collect.c to stand beside.
//
// FRAMES holds NNNN.jpg; call i sends the next VIEWS of them, each behind its label, with the
// same system prompt and question as the bench's recipe.  For each call it writes what m4a1
// writes: a row before the request leaves (with the hash of the body, and the body with hashes
// for images, compressed), and afterwards its outcome with the bytes received, times, text,
// stop reason and tokens.  Rows are committed in groups, as m4a1 does, with the same pragmas.
// Images become base64 once each.  Name look-up and connection times are left out: the package
// does not tell them.  Prints one line: calls answered, seconds, sum of tokens.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import zlib from 'node:zlib';
import OpenAI from 'openai';

const [dbPath, frames, url, nCalls, nInFlight, nViews] = process.argv.slice(2).map((v, i) => (i < 3 ? v : Number(v)));

// node:sqlite from Node 22 on, else better-sqlite3.
async function openDb(path) {
  try {
    const { DatabaseSync } = await import('node:sqlite');
    return new DatabaseSync(path);
  } catch {
    const Database = createRequire(import.meta.url)('better-sqlite3');
    return new Database(path);
  }
}
// zstd where Node has it (22.15), else deflate at its quickest.
const pack = zlib.zstdCompressSync ?? ((bytes) => zlib.deflateRawSync(bytes, { level: 1 }));
const db = await openDb(dbPath);
db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
  CREATE TABLE attempt (attempt_id INTEGER PRIMARY KEY, call_id INTEGER NOT NULL, number INTEGER NOT NULL,
    status TEXT NOT NULL, error_class TEXT, error TEXT, sent_ms INTEGER NOT NULL, closed_ms INTEGER,
    http_status INTEGER, request_id TEXT, request_sha256 TEXT NOT NULL, request BLOB NOT NULL, received BLOB,
    queue_ns INTEGER, first_byte_ns INTEGER, latency_ns INTEGER, in_flight INTEGER, warm_up INTEGER,
    UNIQUE (call_id, number)) STRICT;
  CREATE INDEX attempt_open ON attempt (attempt_id) WHERE status = 'sent';
  CREATE TABLE response (response_id INTEGER PRIMARY KEY, call_id INTEGER NOT NULL, attempt_id INTEGER UNIQUE REFERENCES attempt,
    text TEXT NOT NULL, stop_reason TEXT, provider_stop TEXT, model TEXT, fingerprint TEXT, input_tokens INTEGER,
    cache_read_tokens INTEGER, cache_write_tokens INTEGER, output_tokens INTEGER, reasoning_tokens INTEGER, usage TEXT) STRICT;
  CREATE INDEX response_call ON response (call_id);`);
const open = db.prepare(`INSERT INTO attempt (attempt_id, call_id, number, status, sent_ms, request_sha256, request, queue_ns,
  in_flight, warm_up) VALUES (?, ?, 1, 'sent', ?, ?, ?, ?, ?, ?)`);
const close = db.prepare(`UPDATE attempt SET status = ?, error_class = ?, error = ?, closed_ms = ?, http_status = ?,
  request_id = ?, received = ?, first_byte_ns = ?, latency_ns = ? WHERE attempt_id = ?`);
const keep = db.prepare(`INSERT INTO response (call_id, attempt_id, text, stop_reason, provider_stop, model, fingerprint,
  input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`);

// Writes that came up in one turn of the event loop are one transaction.
let writes = [];
function commit(write) {
  return new Promise((done, failed) => {
    if (!writes.length) setImmediate(flush);
    writes.push([write, done, failed]);
  });
}
function flush() {
  const now = writes;
  writes = [];
  db.exec('BEGIN IMMEDIATE');
  for (const [write] of now) write();
  db.exec('COMMIT');
  for (const [, done] of now) done();
}

const names = readdirSync(frames).filter((n) => n.endsWith('.jpg')).sort();
const images = new Map();
function image(i) {
  const name = names[i % names.length];
  let found = images.get(name);
  if (!found) {
    const bytes = readFileSync(join(frames, name));
    found = { url: 'data:image/jpeg;base64,' + bytes.toString('base64'),
      hash: 'sha256:' + createHash('sha256').update(bytes).digest('hex') };
    images.set(name, found);
  }
  return found;
}

const views = ['first_person', 'side', 'overhead'];
function request(call, key) {
  const content = [];
  for (let v = 0; v < nViews; v++)
    content.push({ type: 'text', text: `View ${views[v]}:` }, { type: 'image_url', image_url: { url: image(call * nViews + v)[key] } });
  content.push({ type: 'text', text: 'Where is the knife, and is it lying safely?' });
  return { model: 'flat', messages: [{ role: 'system', content: 'You help the person who cooks, in a few short sentences.' },
    { role: 'user', content: nViews ? content : content[0].text }], max_completion_tokens: 64, temperature: 0, stream: false };
}

let inFlight = 0, answered = 0, tokens = 0;
// The package makes the body; what has to be known of it is taken here.
async function send(address, init) {
  const { job } = init;
  const sha = createHash('sha256').update(init.body).digest('hex');
  const stored = pack(Buffer.from(JSON.stringify(request(job.call, 'hash'))));
  await commit(() => open.run(job.call, job.call, Date.now(), sha, stored, Number(process.hrtime.bigint() - job.picked),
    inFlight, job.call === 1 ? 1 : 0));
  const sent = process.hrtime.bigint();
  const res = await fetch(address, init);
  job.firstByte = Number(process.hrtime.bigint() - sent);
  job.received = await res.text();
  job.latency = Number(process.hrtime.bigint() - sent);
  job.status = res.status;
  return new Response(job.received, { status: res.status, headers: res.headers });
}
const client = new OpenAI({ apiKey: 'sk-bench', baseURL: `${url}/v1`, maxRetries: 0, fetch: send, timeout: 120000 });

async function ask(call) {
  const job = { call, picked: process.hrtime.bigint() };
  inFlight++;
  let made, failure;
  try {
    made = await client.chat.completions.create(request(call, 'url'), { fetchOptions: { job } });
  } catch (e) {
    failure = e;
  }
  inFlight--;
  const received = job.received === undefined ? null : pack(Buffer.from(job.received));
  await commit(() => {
    close.run(made ? 'ok' : 'failed', made ? null : 'network', failure?.message ?? null, Date.now(), job.status ?? null,
      made?._request_id ?? null, received, job.firstByte ?? null, job.latency ?? null, call);
    if (!made) return;
    const { message, finish_reason } = made.choices[0], u = made.usage;
    const cached = u.prompt_tokens_details?.cached_tokens ?? 0, reasoning = u.completion_tokens_details?.reasoning_tokens ?? 0;
    keep.run(call, call, message.content, finish_reason === 'stop' ? 'stop' : 'other', finish_reason, made.model,
      made.system_fingerprint ?? null, u.prompt_tokens - cached, cached, u.completion_tokens - reasoning, reasoning,
      JSON.stringify(u));
    answered++;
    tokens += u.total_tokens;
  });
}

const begun = process.hrtime.bigint();
let next = 1;
await Promise.all(Array.from({ length: nInFlight }, async () => {
  while (next <= nCalls) await ask(next++);
}));
const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
db.close();
console.log(answered, seconds.toFixed(3), tokens);
