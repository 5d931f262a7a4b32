// The command line of a scripted client, whatever SDK it stands on: tries features, prints what the application saw.
//
// One JSON object a line: {feature, status: ok|refused|unsupported|failed, seen, error}. "refused" is only said of
// a JSON-RPC error that arrived on the wire; an error the SDK raised by itself is "failed".

import { parseArgs } from 'node:util';

import { Unsupported } from './client_features.mjs';
import { Person } from './signing_in.mjs';

const BROKEN = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'ENOTFOUND']);
const CLOSE_MS = 1000; // a courtesy to the server; the process ends anyway

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function isBroken(error) {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (BROKEN.has(at.code) || at.message === 'Not connected') return true;
  }
  return false;
}

/** Runs one feature and prints its line; answers false when the connection is gone. */
async function attempt(session, name, run, person) {
  session.begin();
  try {
    const once = () => run(session);
    const seen = await (person === undefined ? once() : person.through(once, () => session.transport));
    print({ feature: name, status: 'ok', seen: seen ?? {} });
    return true;
  } catch (error) {
    if (error instanceof Unsupported) {
      print({ feature: name, status: 'unsupported', seen: {}, error: { message: error.message } });
      return true;
    }
    const refusal = session.refusalOf(error);
    if (refusal !== undefined) {
      print({ feature: name, status: 'refused', seen: {}, error: refusal });
      return true;
    }
    const code = Number.isInteger(error.code) ? { code: error.code } : {};
    const message = String(error.message ?? error);
    print({ feature: name, status: 'failed', seen: error.seen ?? {}, error: { ...code, message } });
    return !isBroken(error);
  }
}

/** The arguments of the SDK's transport; a server on a pipe gets the whole environment, where runners find caches. */
export function transportArguments({ url, command }) {
  if (command === undefined) return url;
  return { command: command[0], args: command.slice(1), env: { ...process.env } };
}

/** What else the SDK's transport is told: who signs in, if anybody does. */
export function transportOptions({ person }) {
  return person === undefined ? undefined : { authProvider: person };
}

/**
 * Reads the flags, runs the features and gives the exit status: 0 when everything was tried, 1 on wrong usage, 2 when
 * the connection broke. `natural` are the names tried when none are given; `open(root, place, timeout)` gives a session
 * that is not connected yet; `place` is { transport, url } or, for a server on a pipe, { transport, command }. With
 * --sign-in SCOPES it has a `person` who does when asked; `whole` is said of the release, see Person.
 */
export async function runClient(features, natural, open, whole = false) {
  const { values: flags } = parseArgs({
    options: {
      sdk: { type: 'string' },
      url: { type: 'string' },
      command: { type: 'string' },
      transport: { type: 'string', default: 'streamable-http' },
      features: { type: 'string', default: natural.join(',') },
      call: { type: 'string', default: '{}' },
      'sign-in': { type: 'string' },
      timeout: { type: 'string', default: '10' }
    }
  });
  const names = flags.features.split(',').filter((name) => name !== '' && name !== 'initialize' && name !== 'stray');
  const unknown = names.filter((name) => !Object.hasOwn(features, name));
  if (unknown.length > 0) {
    console.error(`unknown features: ${unknown.join(', ')}`);
    return 1;
  }
  const place =
    flags.command === undefined
      ? { transport: flags.transport, url: new URL(flags.url) }
      : { transport: 'stdio', command: JSON.parse(flags.command) };
  const scopes = flags['sign-in'];
  if (scopes !== undefined) place.person = new Person(scopes, whole);
  const session = await open(flags.sdk, place, Number(flags.timeout) * 1000);
  session.call = JSON.parse(flags.call);
  process.on('unhandledRejection', (error) => session.strays.push(String(error?.message ?? error)));
  if (!(await attempt(session, 'initialize', () => session.open(), place.person)) || !session.opened) return 2;
  for (const name of names) {
    if (!(await attempt(session, name, features[name], place.person))) return 2;
  }
  print({ feature: 'stray', status: 'ok', seen: session.stray });
  await Promise.race([session.close(), new Promise((done) => setTimeout(done, CLOSE_MS))]);
  return 0;
}
