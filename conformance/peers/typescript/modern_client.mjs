// A scripted client that speaks 2026-07-28 and nothing else: tries features, prints what the application saw.
//
// usage: node modern_client.mjs --sdk FOLDER (--url URL | --command '["argv", ...]') [--features a,b,...]
//        [--call JSON] [--timeout SECONDS]

import { anyServer } from './any_server.mjs';
import { runClient } from './client_run.mjs';
import { modernFeatures } from './modern_features.mjs';
import { loadModern } from './modern_sdk.mjs';
import { ModernSession } from './modern_session.mjs';

process.exit(
  await runClient(
    { ...modernFeatures, ...anyServer },
    Object.keys(modernFeatures),
    async (root, place, timeout) => {
      const [sdk, pipe] = await Promise.all([loadModern(root, 'client'), loadModern(root, 'client', 'stdio')]);
      return new ModernSession({ ...pipe, ...sdk }, place, timeout);
    },
    true
  )
);
