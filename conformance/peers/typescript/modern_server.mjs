// An everything server that speaks 2026-07-28 and nothing else: no sessions, no GET, asks by input_required.
//
// usage: node modern_server.mjs --sdk FOLDER --port N [--host 127.0.0.1]
//        node modern_server.mjs --sdk FOLDER --transport stdio
// Prints "READY http://HOST:PORT/mcp" when it accepts, ends on SIGTERM; over stdio with its input.

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { buildModernServer, changesOf, kitOf } from './modern_build.mjs';
import { loadModern } from './modern_sdk.mjs';

const CLOSE_MS = 500; // for the last message of open subscriptions; the process ends anyway

const { values: flags } = parseArgs({
  options: {
    sdk: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    transport: { type: 'string', default: 'streamable-http' }
  }
});

const sdk = await loadModern(flags.sdk, 'server');
const kit = kitOf(sdk);
const report = (error) => console.error(error.message);
const world = { cancelled: 0, extra: new Set() };
process.on('unhandledRejection', (error) => console.error(error));
if (flags.transport === 'stdio') await servePipe();
else await serveHttp();

/** One server for the whole pipe, which says itself what changed. */
async function servePipe() {
  const { serveStdio } = await loadModern(flags.sdk, 'server', 'stdio');
  const serving = serveStdio(
    () => {
      const mcp = buildModernServer(kit, world, new Headers());
      world.handler = { notify: changesOf(mcp, world) };
      return mcp;
    },
    { legacy: 'reject', onerror: report }
  );
  process.on('SIGTERM', async () => {
    await serving.close();
    process.exit(0);
  });
}

async function serveHttp() {
  const adapter = await loadModern(flags.sdk, 'node');
  world.handler = sdk.createMcpHandler(({ requestInfo }) => buildModernServer(kit, world, requestInfo.headers), {
    legacy: 'reject',
    onerror: report
  });
  const answer = adapter.toNodeHandler(world.handler, { onerror: report });
  const hostAllowed = adapter.localhostHostValidation();
  const originAllowed = adapter.localhostOriginValidation();
  const http = createServer((request, response) => {
    if (!hostAllowed(request, response) || !originAllowed(request, response)) return;
    if (new URL(request.url, 'http://local').pathname !== '/mcp') {
      response.writeHead(404).end();
      return;
    }
    answer(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
  process.on('SIGTERM', async () => {
    const closed = world.handler.close().then(() => new Promise((done) => http.close(done)));
    await Promise.race([closed, new Promise((done) => setTimeout(done, CLOSE_MS))]);
    process.exit(0);
  });
  http.listen(Number(flags.port), flags.host, () => {
    console.log(`READY http://${flags.host}:${http.address().port}/mcp`);
  });
}
