// An everything server on one pinned SDK release: over Streamable HTTP with sessions and SSE answers, over the
// HTTP+SSE pair, or over stdio.
//
// usage: node server.mjs --sdk FOLDER --port N [--host 127.0.0.1] [--transport sse] [--event-store] [--input-keys]
//        node server.mjs --sdk FOLDER --transport stdio [--input-keys]
// Prints "READY http://HOST:PORT/mcp" (or /sse) when it accepts, ends on SIGTERM; over stdio with its input.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { MemoryEventStore } from './event_store.mjs';
import { load } from './sdk.mjs';
import { buildServer } from './server_build.mjs';

const BODY_LIMIT = 4 * 1024 * 1024; // what the SDK's own body reader allows
const LOCAL_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

const { values: flags } = parseArgs({
  options: {
    sdk: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    transport: { type: 'string', default: 'streamable-http' },
    'event-store': { type: 'boolean', default: false },
    'input-keys': { type: 'boolean', default: false }
  }
});

const sdk = await load(flags.sdk, 'server', flags.transport);
const world = { sessions: new Map(), cancelled: 0, inputKeys: flags['input-keys'] };

/** A Host or Origin that is not this machine is a page rebinding its name onto loopback. */
function isLocal(headers) {
  const name = (authority) => authority.replace(/:\d+$/, '');
  if (!LOCAL_NAMES.has(name(headers.host ?? ''))) return false;
  if (headers.origin === undefined) return true;
  return URL.canParse(headers.origin) && LOCAL_NAMES.has(new URL(headers.origin).hostname);
}

function refuse(response, status, code, message) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null }));
}

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > BODY_LIMIT) throw new RangeError('body too large');
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

async function openSession(initialize) {
  const session = { initialize, level: null, subscriptions: new Set() };
  session.transport = new sdk.Transport({
    sessionIdGenerator: randomUUID,
    eventStore: flags['event-store'] ? new MemoryEventStore() : undefined,
    retryInterval: 500,
    onsessioninitialized: (id) => {
      session.id = id;
      world.sessions.set(id, session);
    }
  });
  session.server = buildServer(sdk, world, session);
  // Not transport.onclose: releases up to 1.12.3 overwrite it on connect.
  session.server.onclose = () => world.sessions.delete(session.id);
  session.server.onerror = (error) => console.error(`${session.id}: ${error.message}`);
  await session.server.connect(session.transport);
  return session;
}

/** Streamable HTTP. */
async function serveStreamable(request, response) {
  if (new URL(request.url, 'http://local').pathname !== '/mcp') return refuse(response, 404, -32000, 'Not found');
  let body;
  if (request.method === 'POST') {
    try {
      body = await readBody(request);
    } catch (error) {
      return refuse(response, error instanceof RangeError ? 413 : 400, -32700, 'Parse error');
    }
  }
  const id = request.headers['mcp-session-id'];
  let session = id === undefined ? undefined : world.sessions.get(id);
  if (id !== undefined && session === undefined) return refuse(response, 404, -32001, 'Session not found');
  if (session === undefined) {
    if (body?.method !== 'initialize') {
      return refuse(response, 400, -32000, 'Bad Request: Server not initialized');
    }
    session = await openSession(body.params);
  }
  await session.transport.handleRequest(request, response, body);
}

/** A session whose `initialize` is read on the way: the pair and the pipe have no place where it comes first. */
async function connect(transport) {
  const session = { initialize: undefined, level: null, subscriptions: new Set(), transport };
  session.server = buildServer(sdk, world, session);
  session.server.onerror = (error) => console.error(error.message);
  await session.server.connect(transport);
  const handle = transport.onmessage;
  transport.onmessage = (message, extra) => {
    if (message.method === 'initialize') session.initialize = message.params;
    handle(message, extra);
  };
  return session;
}

/** The HTTP+SSE pair: GET /sse is a session, POST /messages?sessionId= one message of it. */
async function servePair(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://local');
  if (pathname === '/sse' && request.method === 'GET') {
    const session = await connect(new sdk.Transport('/messages', response));
    world.sessions.set(session.transport.sessionId, session);
    session.server.onclose = () => world.sessions.delete(session.transport.sessionId);
    return;
  }
  if (pathname !== '/messages') return refuse(response, pathname === '/sse' ? 405 : 404, -32000, 'Not found');
  const session = world.sessions.get(searchParams.get('sessionId'));
  if (session === undefined) return refuse(response, 404, -32001, 'Session not found');
  await session.transport.handlePostMessage(request, response);
}

function listen(serve, path) {
  const http = createServer((request, response) => {
    if (!isLocal(request.headers)) return refuse(response, 403, -32000, 'Host or Origin is not allowed');
    serve(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) refuse(response, 500, -32603, 'Internal error');
      else response.destroy();
    });
  });
  http.listen(Number(flags.port), flags.host, () => {
    console.log(`READY http://${flags.host}:${http.address().port}${path}`);
  });
}

// What a release leaves unhandled (a notification to a closed stream) must not end the other sessions.
process.on('unhandledRejection', (error) => console.error(error));
process.on('SIGTERM', () => process.exit(0));
if (flags.transport === 'stdio') world.sessions.set('pipe', await connect(new sdk.Transport()));
else if (flags.transport === 'sse') listen(servePair, '/sse');
else listen(serveStreamable, '/mcp');
