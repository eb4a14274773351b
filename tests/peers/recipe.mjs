// recipe.mjs - makes recipes and scripted sessions for the tests against peers.
//
// As a program, `node recipe.mjs unknown` prints a recipe whose llm speaks a protocol that no
// one knows: what m4a1 says to it names those that it does know.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { protocols } from './protocols.mjs';

export const views = ['first_person', 'side', 'overhead'];
export const systemPrompt = 'You answer in “few” words.\nTabs\tand "quotes" are kept: \\n.';

// An llm of a recipe; more replaces or adds keys, parameters and options one by one.
export function llm(protocol, url, model, more = {}) {
  const own = protocols[protocol] ?? {};
  const { parameters, options, ...rest } = more;
  const all = {
    role: 'cloud',
    protocol,
    url,
    model,
    parameters: { ...own.parameters, ...parameters },
    ...rest,
  };
  if (own.options || options) all.options = { ...own.options, ...options };
  return all;
}

// sessions: [{llm, turns: [{prompt, views}]}], or {turns: [{llm, prompt, views}]}
export function writeCase(dir, llms, sessions, more = {}) {
  const prompts = new Map();
  const lines = [];
  for (const s of sessions) {
    const ids = [];
    for (const t of s.turns) {
      if (!prompts.has(t.prompt)) prompts.set(t.prompt, `p${prompts.size}`);
      ids.push(prompts.get(t.prompt));
    }
    lines.push(
      JSON.stringify({
        scene: 'room',
        prompts: ids,
        actions: s.turns.map((t) => ({ llm: t.llm ?? s.llm, views: t.views ?? [] })),
      }),
    );
  }
  writeFileSync(join(dir, 'sessions.jsonl'), lines.join('\n') + '\n');
  const recipe = {
    m4a1_recipe: 1,
    name: 'peers',
    views: views.map((name) => ({ name, kind: 'image', privacy: 1 })),
    tasks: ['Query'],
    prompts: [...prompts].map(([text, id]) => ({ id, task: 'Query', text })),
    sessions: { script: 'sessions.jsonl' },
    system_prompt: systemPrompt,
    llms,
    ...more,
  };
  writeFileSync(join(dir, 'recipe.json'), JSON.stringify(recipe, null, 1) + '\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] === 'unknown') {
  console.log(
    JSON.stringify({
      m4a1_recipe: 1,
      name: 'unknown',
      views: views.map((name) => ({ name, kind: 'image', privacy: 1 })),
      tasks: ['Query'],
      prompts: [{ task: 'Query', text: 'What is it?' }],
      sessions: { n: 1, turns: [1, 1] },
      llms: { unknown: llm('nobody-knows-it', 'http://127.0.0.1:1', 'm') },
    }),
  );
}
