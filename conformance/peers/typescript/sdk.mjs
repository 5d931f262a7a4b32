// Loads the pinned SDK release of one revision and says what that revision can express.
//
// A peer is pinned by the release alone: nothing here sets a protocol version. The revision is read back
// from the release (LATEST_PROTOCOL_VERSION), so a wrong folder cannot pass for the right pin.

import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** The revision in which each feature first has a place in the schema. ISO dates compare as strings. */
const SINCE = {
  audio: '2025-03-26',
  toolAnnotations: '2025-03-26',
  progressMessage: '2025-03-26',
  completionsCapability: '2025-03-26',
  title: '2025-06-18',
  meta: '2025-06-18',
  structuredContent: '2025-06-18',
  resourceLink: '2025-06-18',
  lastModified: '2025-06-18',
  elicitation: '2025-06-18',
  icons: '2025-11-25',
  execution: '2025-11-25',
  implementationDescription: '2025-11-25',
  elicitationDefaults: '2025-11-25',
  elicitationEnums: '2025-11-25',
  urlElicitation: '2025-11-25',
  samplingTools: '2025-11-25',
  jsonSchema202012: '2025-11-25',
  polling: '2025-11-25'
};

/** Whether `revision` has `feature`. Throws on a feature nobody declared, so that a typo cannot hide a tool. */
export function has(revision, feature) {
  if (!(feature in SINCE)) throw new Error(`undeclared feature: ${feature}`);
  return revision >= SINCE[feature];
}

const TRANSPORTS = { 'streamable-http': ['streamableHttp', 'StreamableHTTP'], sse: ['sse', 'SSE'], stdio: ['stdio', 'Stdio'] };

/**
 * Imports the SDK installed under `root` (a folder with node_modules in it).
 * `side` is "server" or "client", `transport` a name of the table; the answer is { revision, types, Peer, Transport }.
 */
export async function load(root, side, transport = 'streamable-http') {
  const [file, name] = TRANSPORTS[transport];
  // Hundreds of these processes start in one run; compiled code is kept beside the packages.
  enableCompileCache(path.join(root, '.compile-cache'));
  const dist = path.join(root, 'node_modules', '@modelcontextprotocol', 'sdk', 'dist', 'esm');
  const module = (at) => import(pathToFileURL(path.join(dist, at)).href);
  const [types, peer, transports] = await Promise.all([
    module('types.js'),
    module(`${side}/index.js`),
    module(`${side}/${file}.js`)
  ]);
  return {
    revision: types.LATEST_PROTOCOL_VERSION,
    types,
    Peer: side === 'server' ? peer.Server : peer.Client,
    Transport: transports[`${name}${side === 'server' ? 'Server' : 'Client'}Transport`]
  };
}
