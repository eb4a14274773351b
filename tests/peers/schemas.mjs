// schemas.mjs - OpenAI's published schemas as the judge of our bodies.
//
//   node schemas.mjs cases DIR URL PROTOCOL...   writes recipe.json and sessions.jsonl to DIR
//   node schemas.mjs kinds DIR URL PROTOCOL...   the same, with views of other kinds
//   node schemas.mjs known SCHEMAS               known good and bad requests, a line each
//   node schemas.mjs judge SCHEMAS CAPTURED      the bodies of a folder of capture.mjs
//
// The last two print "NAME<tab>WHAT IS WRONG" lines; nothing behind the tab is a pass.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import { llm, writeCase } from './recipe.mjs';

const chatPath = /\/chat\/completions$/;
const responsesPath = /\/responses$/;

// What a recipe may say beside the usual; every one is an llm of its own.
const variants = {
  'openai-chat': {
    plain: {},
    stream: { stream: true },
    'no-system': { system_prompt: null },
    sampling: { parameters: { temperature: 2, top_p: 0.1, presence_penalty: -2, frequency_penalty: 2, stop: ['\n', 'END'] } },
    reasoning: { parameters: { reasoning_effort: 'low', verbosity: 'low' } },
    'json-answer': {
      parameters: { response_format: { type: 'json_schema', json_schema: { name: 'a', strict: true,
        schema: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false } } } },
    },
    others: { parameters: { n: 1, logprobs: true, top_logprobs: 3, service_tier: 'flex', store: false,
      metadata: { study: 'a' }, safety_identifier: 'x', logit_bias: { 50256: -100 } } },
    'stream-without-usage': { stream: true, parameters: { stream_options: null } },
    'stream-obfuscation': { stream: true, parameters: { stream_options: { include_usage: true, include_obfuscation: false } } },
    low: { options: { detail: 'low' } },
    high: { options: { detail: 'high' } },
    developer: { options: { system_role: 'developer' } },
    'cache-avoid': { cache: 'avoid' },
    'cache-avoid-no-system': { cache: 'avoid', system_prompt: null },
  },
  'openai-responses': {
    plain: {},
    stream: { stream: true },
    'no-system': { system_prompt: null },
    sampling: { parameters: { temperature: 2, top_p: 0.1 } },
    reasoning: { parameters: { reasoning: { effort: 'low' }, text: { verbosity: 'low' } } },
    'json-answer': { parameters: { text: { format: { type: 'json_schema', name: 'a', strict: true,
      schema: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false } } } } },
    others: { parameters: { service_tier: 'flex', store: false, metadata: { study: 'a' }, truncation: 'auto' } },
    high: { options: { detail: 'high' } },
    'cache-avoid': { cache: 'avoid' },
  },
};
variants['azure-openai'] = variants['openai-chat'];

function cases(dir, url, protocols) {
  const llms = {};
  const sessions = [];
  for (const protocol of protocols) {
    for (const [variant, more] of Object.entries(variants[protocol] ?? {})) {
      const name = `${protocol}.${variant}`;
      llms[name] = llm(protocol, url, name, { stream: false, ...more, key_env: 'PEER_KEY' });
      // Nothing, one, two and three views, in one turn and over several.
      for (const first of [[], ['side'], ['side', 'overhead'], ['first_person', 'side', 'overhead']])
        sessions.push({ llm: name, turns: [{ prompt: 'One “question”.', views: first }] });
      sessions.push({ llm: name, turns: [
        { prompt: 'First.', views: ['overhead'] }, { prompt: 'Second.', views: [] },
        { prompt: 'Third.', views: ['first_person', 'side'] }, { prompt: 'Fourth.', views: [] }] });
    }
  }
  writeCase(dir, llms, sessions);
}

// An image, a text and a sound, for protocols that listen.
function kinds(dir, url, protocols) {
  const llms = {};
  const sessions = [];
  for (const protocol of protocols) {
    llms[protocol] = llm(protocol, url, protocol, { stream: false, accepts: { audio: 1 }, key_env: 'PEER_KEY' });
    for (const first of [['mic'], ['log'], ['side', 'log', 'mic']])
      sessions.push({ llm: protocol, turns: [
        { prompt: 'What “happens”?', views: first }, { prompt: 'And then?', views: [] }] });
  }
  const views = [{ name: 'side', kind: 'image', privacy: 1 }, { name: 'log', kind: 'text', privacy: 0 },
    { name: 'mic', kind: 'audio', privacy: 2 }];
  writeCase(dir, llms, sessions, { views });
}

function judges(file) {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false, logger: false });
  ajv.addSchema(JSON.parse(readFileSync(file, 'utf8')), 'openai');
  const compile = (name) => {
    const check = ajv.compile({ $ref: `openai#/components/schemas/${name}` });
    return (body) => {
      if (check(body)) return '';
      const said = check.errors.map((e) => `${e.instancePath} ${e.message}`).filter((t) => t.length < 200);
      return [...new Set(said)].slice(0, 4).join('; ');
    };
  };
  return { chat: compile('CreateChatCompletionRequest'), responses: compile('CreateResponse') };
}

function known(file) {
  const { chat, responses } = judges(file);
  const image = 'data:image/jpeg;base64,/9j/4AAQ';
  const ask = (content, more = {}) => ({ model: 'gpt-4o', messages: [{ role: 'user', content }], ...more });
  const input = (content, more = {}) => ({ model: 'gpt-4o', input: [{ role: 'user', content }], ...more });
  const good = [
    [chat, ask('hello')],
    [chat, ask([{ type: 'text', text: 'a' }, { type: 'image_url', image_url: { url: image } }], { temperature: 2 })],
    [chat, ask([{ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }])],
    [responses, input('hello')],
    [responses, input([{ type: 'input_image', image_url: image, detail: 'auto' }, { type: 'input_text', text: 'a' }])],
  ];
  const bad = {
    'chat: temperature 3': [chat, ask('hello', { temperature: 3 })],
    'chat: image_url as a string': [chat, ask([{ type: 'image_url', image_url: image }])],
    'chat: an unknown detail': [chat, ask([{ type: 'image_url', image_url: { url: image, detail: 'huge' } }])],
    'chat: an unknown format of sound': [chat, ask([{ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'ogg' } }])],
    'chat: an unknown role': [chat, { model: 'gpt-4o', messages: [{ role: 'human', content: 'hello' }] }],
    'chat: no messages': [chat, { model: 'gpt-4o', messages: [] }],
    'chat: a part without a type': [chat, ask([{ text: 'a' }])],
    'responses: image_url as an object': [responses, input([{ type: 'input_image', image_url: { url: image } }])],
    'responses: sound': [responses, input([{ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }])],
    'responses: temperature 3': [responses, input('hello', { temperature: 3 })],
    'responses: parts of chat': [responses, input([{ type: 'text', text: 'a' }])],
  };
  good.forEach(([judge, body], i) => console.log(`good request ${i + 1} is taken\t${judge(body)}`));
  for (const [name, [judge, body]] of Object.entries(bad))
    console.log(`${name} is rejected\t${judge(body) ? '' : 'the validator takes it'}`);
}

function judge(file, dir) {
  const { chat, responses } = judges(file);
  for (const name of readdirSync(dir).sort()) {
    const { path, body } = JSON.parse(readFileSync(join(dir, name), 'utf8'));
    const wrong = chatPath.test(path) ? chat(body) : responsesPath.test(path) ? responses(body) : `no schema for ${path}`;
    const images = JSON.stringify(body).split('data:image/jpeg;base64,/9j/').length - 1;
    const sounds = JSON.stringify(body).split('"data":"UklGR').length - 1;
    console.log(`${body.model}: ${images} images, ${sounds} sounds\t${wrong}`);
  }
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === 'cases') cases(rest[0], rest[1], rest.slice(2));
else if (verb === 'kinds') kinds(rest[0], rest[1], rest.slice(2));
else if (verb === 'known') known(rest[0]);
else judge(rest[0], rest[1]);
