// The features of client_features.mjs as a client of 2026-07-28 can try them, and those only it has.

import { features, Unsupported, WrongAnswer } from './client_features.mjs';
import { inputFeatures } from './client_inputs.mjs';
import { REVISION } from './modern_sdk.mjs';

const gone = (method) => async () => {
  throw new Unsupported(`${REVISION} has no ${method}`);
};

/** The list_changed features of the handshake revisions, with a stream open on which the notification can come. */
const listened = (list) => (session) =>
  session.listening({ [`${list}ListChanged`]: true }, async (honoured) => {
    if (honoured[`${list}ListChanged`] !== true) throw new WrongAnswer('not honoured', { got: false });
    return features[`list_changed.${list}`](session);
  });

export const modernFeatures = {
  ...features,
  ping: gone('ping'),
  'logging.setLevel': gone('logging/setLevel'),
  'list_changed.tools': listened('tools'),
  'list_changed.prompts': listened('prompts'),
  'list_changed.resources': listened('resources'),
  ...inputFeatures
};
