// aimock.mjs PORT_FILE DIR PROTOCOL... - aimock with our fixtures, and the recipe for them.
//
// Every case is an llm of its own: its model id is its name, and fixtures go by it.  Written
// to DIR: recipe.json, sessions.jsonl and expected.tsv, a line a case:
//   name, classes of the attempts in order ("ok" for an answer; a regular expression), answers
//   ("-" for none), shortest time in ms between the first attempt and the second
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LLMock } from '@copilotkit/aimock';
import { llm, writeCase } from './recipe.mjs';

const [portFile, dir, ...names] = process.argv.slice(2);

// A piece is 20 units of UTF-16.  The only character of two units stands first, so that no
// piece ends within it: half a character is no text, and servers other than aimock send whole
// tokens.
const text = (name, turn) =>
  `😀 Turn ${turn} of ${name}: äöü €uro 漢字かな "quoted" \\ and a line\nbreak. ` + 'More words. '.repeat(6);
const usage = {
  prompt_tokens: 123,
  completion_tokens: 45,
  total_tokens: 168,
};
const error = (status, type, message, more = {}) => ({
  error: { message, type },
  status,
  ...more,
});
const answer = (name, turn = 0) => ({ content: text(name, turn), usage });

// Faults of a call of one turn; fixtures in the order of attempts where that matters.
// `stream` cases make sense in a stream only; max is the llm's max_attempts.
const faults = {
  'limit-after': {
    fixtures: (n) => [
      { sequence: 0, response: error(429, 'rate_limit_error', 'slow down', { retryAfter: 2 }) },
      { sequence: 1, response: answer(n) },
    ],
    classes: 'rate_limit ok',
    answered: true,
    waits: 2000,
  },
  'once-500': {
    fixtures: (n) => [
      { sequence: 0, response: error(500, 'server_error', 'internal error') },
      { sequence: 1, response: answer(n) },
    ],
    classes: 'server ok',
    answered: true,
  },
  overloaded: {
    fixtures: () => [{ response: error(529, 'overloaded_error', 'Overloaded') }],
    classes: 'server server',
    max: 2,
  },
  'bad-request': {
    fixtures: () => [{ response: error(400, 'invalid_request_error', 'no such thing') }],
    classes: 'request',
  },
  'no-money': {
    fixtures: () => [{ response: error(402, 'billing_error', 'your credit is used up') }],
    classes: 'quota',
  },
  drop: {
    fixtures: (n) => [{ response: answer(n), chaos: { dropRate: 1 } }],
    classes: 'server server',
    max: 2,
  },
  malformed: {
    fixtures: (n) => [{ response: answer(n), chaos: { malformedRate: 1 } }],
    classes: 'malformed malformed',
    max: 2,
  },
  'limit-chaos': {
    fixtures: (n) => [{ response: answer(n), chaos: { rateLimitRate: 1 } }],
    classes: 'rate_limit rate_limit',
    max: 2,
    waits: 1000,
  },
  reset: {
    fixtures: (n) => [{ response: answer(n), chaos: { disconnectRate: 1 } }],
    // A kept-alive connection may have carried it; then that one is asked again at once.
    classes: '(stale_connection )?network( stale_connection)? network',
    max: 2,
  },
  cut: {
    stream: true,
    fixtures: (n) => [{ response: answer(n), latency: 20, truncateAfterChunks: 3 }],
    classes: '(network|truncated) (network|truncated)',
    max: 2,
  },
  hangup: {
    stream: true,
    fixtures: (n) => [{ response: answer(n), latency: 50, disconnectAfterMs: 200 }],
    classes: '(network|truncated) (network|truncated)',
    max: 2,
  },
};

const llms = {};
const sessions = [];
const expected = [];
const mock = new LLMock({ port: 0, host: '127.0.0.1', logLevel: 'warn' });

function talk(protocol, name, more) {
  llms[name] = [protocol, name, more];
  const added = [['first_person'], ['side', 'overhead'], []];
  sessions.push({
    llm: name,
    turns: added.map((v, i) => ({ prompt: `Question ${i}: what is on the “table”?`, views: v })),
  });
  for (let i = 0; i < added.length; i++)
    mock.addFixturesFromJSON([{ match: { model: name, turnIndex: i }, response: answer(name, i) }]);
  expected.push([name, 'ok ok ok', added.map((_, i) => text(name, i)).join('|'), 0]);
}

function fault(protocol, name, f, more) {
  llms[name] = [protocol, name, { ...more, max_attempts: f.max ?? 4 }];
  sessions.push({ llm: name, turns: [{ prompt: 'A single question.', views: ['side'] }] });
  for (const { sequence, response, ...rest } of f.fixtures(name)) {
    const match = { model: name };
    if (sequence !== undefined) match.sequenceIndex = sequence;
    mock.addFixturesFromJSON([{ match, response, ...rest }]);
  }
  expected.push([name, f.classes, f.answered ? text(name, 0) : '-', f.waits ?? 0]);
}

for (const protocol of names) {
  for (const stream of [false, true]) {
    const more = { stream, slots: 1, timeout_s: 20, key_env: 'PEER_KEY' };
    const mode = stream ? 'stream' : 'whole';
    talk(protocol, `${protocol}.${mode}.talk`, more);
    for (const [which, f] of Object.entries(faults))
      if (stream || !f.stream) fault(protocol, `${protocol}.${mode}.${which}`, f, more);
  }
}

await mock.start();
for (const [name, [protocol, model, more]] of Object.entries(llms))
  llms[name] = llm(protocol, mock.url.replace('localhost', '127.0.0.1'), model, more);
writeCase(dir, llms, sessions);
writeFileSync(
  join(dir, 'expected.tsv'),
  expected.map((row) => row.map((v) => String(v).replaceAll('\n', '\\n')).join('\t')).join('\n') + '\n',
);
writeFileSync(portFile + '.new', new URL(mock.url).port + '\n');
renameSync(portFile + '.new', portFile);
