// Features of a server that asks by input_required (2026-07-28), for the clients of every revision.
//
// A client of a handshake revision never sees that pattern: a broker turns it into questions during the call. `asked`
// is every question that reached the application, in order.

import { WrongAnswer } from './client_features.mjs';

const ROUNDS = 3;
const FORM = { message: 'Who are you?' };
const HEADER_VALUES = ['plain', ' Zürich ']; // one that a header can hold, one that it cannot

const textsOf = (blocks) => blocks.filter((block) => block.type === 'text').map((block) => block.text);
const call = (session, name, given) =>
  session.client.callTool({ name, arguments: given }, undefined, session.options);

/** Calls a tool that asks; `action` is the person's answer to every form. */
const asking =
  (name, given = {}, action = 'accept') =>
  async (session) => {
    session.action = action;
    const result = await call(session, name, given);
    const seen = { texts: textsOf(result.content), asked: session.asked };
    if (result.isError) throw new WrongAnswer(seen.texts.join(' '), seen);
    return seen;
  };

async function prompt(session) {
  const name = 'test_input_required_result_prompt';
  const { messages } = await session.client.getPrompt({ name }, session.options);
  return { texts: messages.map((one) => one.content.text), asked: session.asked };
}

async function resource(session) {
  const { contents } = await session.client.readResource({ uri: 'test://asking-resource' }, session.options);
  return { texts: contents.map((one) => one.text), asked: session.asked };
}

/** Calls a tool it has listed before, so that the SDK knows its schemas. */
async function listedCall(session, name, given) {
  const { tools } = await session.client.listTools(undefined, session.options);
  if (!tools.some((one) => one.name === name)) throw new WrongAnswer(`${name} is not listed`, {});
  const result = await call(session, name, given);
  return {
    types: result.content.map((block) => block.type),
    structured: result.structuredContent ?? null,
    texts: textsOf(result.content),
    isError: result.isError ?? false
  };
}

async function mirrored(session) {
  const texts = [];
  for (const value of HEADER_VALUES) {
    // the argument's name at the Python and at the TypeScript server
    const seen = await listedCall(session, 'mirrored', { value, region: value });
    if (seen.isError) throw new WrongAnswer(seen.texts.join(' '), seen);
    texts.push(...seen.texts);
  }
  return { texts };
}

async function requestLevel(session) {
  await session.client.setLoggingLevel('error', session.options);
  const [text] = textsOf((await call(session, 'whoami', {})).content);
  return { logLevel: JSON.parse(text).logLevel ?? null };
}

export const inputFeatures = {
  'tools.call.array': (session) => listedCall(session, 'array_output', {}),
  'tools.call.mirrored': mirrored,
  'logging.request_level': requestLevel,
  'inputs.three': asking('three_inputs'),
  'inputs.rounds': asking('rounds', { n: ROUNDS }),
  'inputs.state_only': asking('state_only'),
  'inputs.prompt': prompt,
  'inputs.resource': resource,
  'inputs.decline': asking('test_elicitation', FORM, 'decline'),
  'inputs.cancel': asking('test_elicitation', FORM, 'cancel')
};
