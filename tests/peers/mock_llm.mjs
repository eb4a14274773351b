// mock_llm.mjs PORT_FILE CONFIG - @dwmkerr/mock-llm with a config of ours on a free port of
// 127.0.0.1 (its own default is every interface).
import { createServer as createTcpServer } from 'node:net';
import { createRequire } from 'node:module';
import { renameSync, writeFileSync } from 'node:fs';

const require = createRequire(import.meta.url);
const { createServer } = require('@dwmkerr/mock-llm/dist/server.js');
const { loadConfig } = require('@dwmkerr/mock-llm/dist/config.js');
const [portFile, config] = process.argv.slice(2);

// Its addresses hold its port, so the port is chosen before.
const port = await new Promise((done) => {
  const probe = createTcpServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => done(port));
  });
});
createServer(loadConfig(config), '127.0.0.1', port).listen(port, '127.0.0.1', () => {
  writeFileSync(portFile + '.new', port + '\n');
  renameSync(portFile + '.new', portFile);
});
