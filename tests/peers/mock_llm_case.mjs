// mock_llm_case.mjs DIR URL - recipe and sessions for tests/end_to_end/test_peer_mock_llm.sh.
import { llm, writeCase } from './recipe.mjs';

const [dir, url] = process.argv.slice(2);
const added = [['first_person'], ['side', 'overhead'], []];
const llms = {};
const sessions = [];
for (const name of ['whole', 'stream', 'keyed', 'refused', 'broken']) {
  llms[name] = llm('openai-chat', url, name, {
    stream: name === 'stream',
    key_env: name === 'keyed' ? 'PEER_KEY' : null,
  });
  sessions.push({ llm: name, turns: added.map((views, t) => ({ prompt: `Question ${t}.`, views })) });
}
writeCase(dir, llms, sessions);
