// A scripted client on one pinned SDK release: opens one session, tries features, prints what the application saw.
//
// usage: node client.mjs --sdk FOLDER (--url URL [--transport streamable-http|sse] | --command '["argv", ...]')
//        [--features a,b,...] [--call JSON] [--timeout SECONDS]

import { anyServer } from './any_server.mjs';
import { features } from './client_features.mjs';
import { inputFeatures } from './client_inputs.mjs';
import { runClient } from './client_run.mjs';
import { Session } from './client_session.mjs';
import { load } from './sdk.mjs';

process.exit(
  await runClient(
    { ...features, ...inputFeatures, ...anyServer },
    Object.keys(features),
    async (root, place, timeout) => new Session(await load(root, 'client', place.transport), place, timeout)
  )
);
