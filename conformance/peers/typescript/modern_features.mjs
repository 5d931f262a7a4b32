// The features of client_features.mjs as a client of 2026-07-28 can try them, and those only it has.

import { features, Unsupported, WrongAnswer } from './client_features.mjs';
import { REVISION } from './modern_sdk.mjs';

const ROUNDS = 4;

const gone = (method) => async () => {
  throw new Unsupported(`${REVISION} has no ${method}`);
};

/** The list_changed features of the handshake revisions, with a stream open on which the notification can come. */
const listened = (list) => (session) =>
  session.listening({ [`${list}ListChanged`]: true }, async (honoured) => {
    if (honoured[`${list}ListChanged`] !== true) throw new WrongAnswer('not honoured', { got: false });
    return features[`list_changed.${list}`](session);
  });

/** Calls a tool that asks; `asked` is all it asked, in order. */
const asking = (name, given = {}) => async (session) => {
  const result = await session.client.callTool({ name, arguments: given }, undefined, session.options);
  const texts = result.content.filter((block) => block.type === 'text').map((block) => block.text);
  const seen = { texts, asked: session.asked, rounds: session.asked.length };
  if (result.isError) throw new WrongAnswer(texts.join(' '), seen);
  return seen;
};

async function readAsking(session) {
  const { contents } = await session.client.readResource({ uri: 'test://asking-resource' }, session.options);
  return { contents, asked: session.asked };
}

async function promptAsking(session) {
  const name = 'test_input_required_result_prompt';
  const { messages } = await session.client.getPrompt({ name }, session.options);
  return { texts: messages.map((one) => one.content.text), asked: session.asked };
}

/** Calls a tool it has listed before, so that the SDK knows its schemas. */
const listedCall = (name, given) => async (session) => {
  const { tools } = await session.client.listTools(undefined, session.options);
  if (!tools.some((one) => one.name === name)) throw new WrongAnswer(`${name} is not listed`, {});
  const result = await session.client.callTool({ name, arguments: given }, undefined, session.options);
  return {
    structured: result.structuredContent ?? null,
    texts: result.content.filter((block) => block.type === 'text').map((block) => block.text),
    isError: result.isError ?? false
  };
};

export const modernFeatures = {
  ...features,
  ping: gone('ping'),
  'logging.setLevel': gone('logging/setLevel'),
  'list_changed.tools': listened('tools'),
  'list_changed.prompts': listened('prompts'),
  'list_changed.resources': listened('resources'),
  'input.three': asking('three_inputs'),
  'input.rounds': asking('rounds', { n: ROUNDS }),
  'input.state_only': asking('state_only'),
  'input.prompt': promptAsking,
  'input.resource': readAsking,
  'tools.call.array': listedCall('array_output', {}),
  'tools.call.mirrored': listedCall('mirrored', { region: 'Köln' })
};
