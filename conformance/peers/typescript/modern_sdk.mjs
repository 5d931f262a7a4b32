// Loads the pinned packages that speak 2026-07-28.
//
// These releases speak the handshake revisions as well, and no constant of theirs names the modern one, so here a
// peer is pinned by how it is used: the server refuses every other era, the client accepts no other revision.

import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** The only revision these peers speak. */
export const REVISION = '2026-07-28';

/**
 * Imports `name` ("server", "client", "node") of the SDK installed under `root`, a folder with node_modules in it;
 * `part` is what a package offers beside its main entry ("stdio").
 */
export async function loadModern(root, name, part = 'index') {
  // Hundreds of these processes start in one run; compiled code is kept beside the packages.
  enableCompileCache(path.join(root, '.compile-cache'));
  const file = path.join(root, 'node_modules', '@modelcontextprotocol', name, 'dist', `${part}.mjs`);
  return import(pathToFileURL(file).href);
}
