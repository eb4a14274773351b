// sigv4.mjs - AWS's own signer beside the signatures that m4a1 sent.
//
//   node sigv4.mjs cases DIR URL             writes recipe.json and sessions.jsonl to DIR
//   node sigv4.mjs verify CAPTURED URL TOKEN signs what a capture server saw once more
//
// Keys are those of the environment.  Prints "NAME<tab>WHAT IS WRONG" lines.
// @smithy/signature-v4 comes with @aws-sdk/client-bedrock-runtime.
import { createHash, createHmac } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SignatureV4 } from '@smithy/signature-v4';
import { llm, writeCase } from './recipe.mjs';

const region = 'eu-west-1';
const models = {
  plain: 'amazon.nova-lite',
  colon: 'anthropic.claude-3-5-sonnet-20241022-v2:0',
  profile: 'arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.x-v1:0',
  odd: "a b+c~d_(e)*f'g%41é",
};

class Sha256 {
  constructor(key) {
    this.hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  }
  update(data) {
    this.hash.update(data);
  }
  async digest() {
    return new Uint8Array(this.hash.digest());
  }
}

function cases(dir, url) {
  const llms = {};
  for (const [name, model] of Object.entries(models))
    llms[name] = llm('bedrock-converse', url, model, { options: { auth: 'sigv4', region }, stream: false });
  writeCase(dir, llms, Object.keys(llms).map((name) => ({ llm: name, turns: [{ prompt: 'What is “there”?', views: ['side'] }] })));
}

// The Authorization header that the SDK's signer makes of a request that was seen.
async function authorization(seen, url, sessionToken, path = seen.path) {
  const signer = new SignatureV4({ service: 'bedrock', region, sha256: Sha256, applyChecksum: false,
    credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY, sessionToken } });
  const date = seen.headers['x-amz-date'].replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z');
  const { hostname, port } = new URL(url);
  const made = await signer.sign({ method: 'POST', protocol: 'http:', hostname, port: Number(port), path, query: {},
    headers: { host: seen.headers.host }, body: JSON.stringify(seen.body) }, { signingDate: new Date(date) });
  return made.headers.authorization;
}

async function verify(captured, url, token) {
  const all = readdirSync(captured).sort().map((f) => JSON.parse(readFileSync(join(captured, f), 'utf8')));
  for (const [name, model] of Object.entries(models)) {
    const seen = all.find((s) => decodeURIComponent(s.path.split('/')[2]) === model);
    const wrong = [];
    if (!seen) wrong.push('m4a1 sent nothing');
    else {
      const theirs = await authorization(seen, url, token);
      if (seen.headers.authorization !== theirs) wrong.push(`${seen.headers.authorization} instead of ${theirs}`);
      if (seen.headers['x-amz-security-token'] !== token) wrong.push('the session token is another one');
      if (await authorization(seen, url, token, '/another') === theirs) wrong.push('another path is signed the same');
    }
    console.log(`${name}: AWS's signer makes the same signature\t${wrong.join('; ')}`);
  }
}

const [verb, dir, url, token] = process.argv.slice(2);
if (verb === 'cases') cases(dir, url);
else await verify(dir, url, token || undefined);
