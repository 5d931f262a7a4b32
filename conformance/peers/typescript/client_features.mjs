// The features a scripted client can try, in their natural order.
//
// Each is a function of the session whose answer becomes `seen`. It throws Unsupported when the SDK has no means.

import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { has } from './sdk.mjs';

const POLL_MS = 50;
const START_MS = 500; // when `slow` reports no progress it is taken as started after this
const WATCHED = 'test://watched-resource';

/** The revision of the SDK has no means for a feature. */
export class Unsupported extends Error {}

/** An answer came, but not the one the feature needs; `seen` is printed all the same. */
export class WrongAnswer extends Error {
  constructor(message, seen) {
    super(message);
    this.seen = seen;
  }
}

function need(session, feature) {
  if (!has(session.revision, feature)) throw new Unsupported(`${session.revision} has no ${feature}`);
}

const call = (session, name, given = {}, options = {}) =>
  session.client.callTool({ name, arguments: given }, undefined, { ...session.options, ...options });

/** What the application sees of a tool's result. */
function resultSeen(result) {
  return {
    types: result.content.map((block) => block.type),
    isError: result.isError ?? false,
    structured: result.structuredContent ?? null,
    texts: result.content.filter((block) => block.type === 'text').map((block) => block.text),
    content: result.content
  };
}

/** The first text of a tool that must not fail. */
async function textOf(session, name) {
  const seen = resultSeen(await call(session, name));
  if (!seen.isError && seen.texts.length > 0) return seen.texts[0];
  throw new WrongAnswer(`${name}: ${seen.texts.join(' ') || 'no text'}`, seen);
}

const tool = (name, given) => async (session) => resultSeen(await call(session, name, given));

const read = (uri) => async (session) => {
  const { contents } = await session.client.readResource({ uri }, session.options);
  return { contents };
};

const prompt = (name, given) => async (session) => {
  const { messages } = await session.client.getPrompt({ name, arguments: given }, session.options);
  const contents = messages.map((one) => one.content);
  return {
    types: contents.map((one) => one.type),
    texts: contents.filter((one) => one.text !== undefined).map((one) => one.text)
  };
};

const changed = (list) => async (session) => {
  await textOf(session, `change_${list}`);
  if (await session.noted(`notifications/${list}/list_changed`)) return { got: true };
  throw new WrongAnswer('the notification did not come', { got: false });
};

/** Calls a tool that asks the client; `asked` is the first question, `rounds` how many there were. */
const asking = (feature, name, given) => async (session) => {
  if (feature !== undefined) need(session, feature);
  const { texts, isError } = resultSeen(await call(session, name, given));
  const seen = { texts, asked: session.asked[0] ?? {}, rounds: session.asked.length };
  if (isError) throw new WrongAnswer(texts.join(' '), seen);
  return seen;
};

async function listTools(session) {
  const { tools } = await session.client.listTools({}, session.options);
  return {
    tools: tools.map((one) => ({
      name: one.name,
      title: one.title,
      annotations: one.annotations,
      outputSchema: one.outputSchema !== undefined,
      icons: one.icons !== undefined,
      execution: one.execution !== undefined,
      meta: one._meta !== undefined
    }))
  };
}

async function listResources(session) {
  const { resources } = await session.client.listResources({}, session.options);
  return { resources };
}

async function listTemplates(session) {
  const { resourceTemplates } = await session.client.listResourceTemplates({}, session.options);
  return { templates: resourceTemplates };
}

async function listPrompts(session) {
  const { prompts } = await session.client.listPrompts({}, session.options);
  return { prompts };
}

async function structured(session) {
  await session.client.listTools({}, session.options); // the SDK checks the result only against a tool it has listed
  return resultSeen(await call(session, 'structured'));
}

async function big(session) {
  const text = await textOf(session, 'big');
  return { length: text.length, sha256: createHash('sha256').update(text).digest('hex') };
}

async function progress(session) {
  const seen = [];
  const result = await call(session, 'test_tool_with_progress', {}, {
    onprogress: (report) => seen.push([report.progress, report.total ?? null, report.message ?? null])
  });
  if (result.isError) throw new WrongAnswer('the tool failed', { progress: seen, ...resultSeen(result) });
  return { progress: seen };
}

async function logging(session) {
  await session.client.setLoggingLevel('info', session.options);
  await call(session, 'test_tool_with_logging');
  const logs = session.notes('notifications/message');
  return { levels: logs.map((log) => log.level), texts: logs.map((log) => log.data) };
}

async function cancel(session) {
  const count = async () => Number(await textOf(session, 'cancelled_count'));
  const before = await count();
  const controller = new AbortController();
  let onprogress;
  const started = new Promise((resolve) => (onprogress = resolve));
  const running = call(session, 'slow', { seconds: 30 }, { signal: controller.signal, onprogress }).then(
    () => 'answered',
    (error) => error
  );
  await Promise.race([started, pause(START_MS), running]);
  controller.abort('no longer wanted');
  const outcome = await running;
  if (outcome === 'answered') throw new Error('the call was answered, not cancelled');
  const end = Date.now() + session.options.timeout;
  for (;;) {
    const now = await count();
    if (now > before) return { count: now - before };
    if (Date.now() > end) throw new Error(`not cancelled at the server: ${outcome.message ?? outcome}`);
    await pause(POLL_MS);
  }
}

async function subscribe(session) {
  await session.client.subscribeResource({ uri: WATCHED }, session.options);
  await textOf(session, 'touch_watched');
  await session.noted('notifications/resources/updated');
  await session.client.unsubscribeResource({ uri: WATCHED }, session.options);
  const updated = session.notes('notifications/resources/updated').map((one) => one.uri);
  if (updated.length === 0) throw new Error('no notifications/resources/updated came');
  return { updated };
}

async function complete(session) {
  const { completion } = await session.client.complete(
    {
      ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' },
      argument: { name: 'arg1', value: 'par' }
    },
    session.options
  );
  return { values: completion.values, total: completion.total, hasMore: completion.hasMore };
}

async function urlElicitation(session) {
  const seen = await asking('urlElicitation', 'url_elicitation')(session);
  const completed = session.notes('notifications/elicitation/complete').map((one) => one.elicitationId);
  return { ...seen, completed };
}

export const features = {
  ping: async (session) => void (await session.client.ping(session.options)),
  'tools.list': listTools,
  'tools.call.text': tool('test_simple_text'),
  'tools.call.image': tool('test_image_content'),
  'tools.call.audio': tool('test_audio_content'),
  'tools.call.embedded': tool('test_embedded_resource'),
  'tools.call.mixed': tool('test_multiple_content_types'),
  'tools.call.error': tool('test_error_handling'),
  'tools.call.structured': structured,
  'tools.call.links': tool('links'),
  'tools.call.big': big,
  'tools.call.decorated': tool('decorated'),
  'tools.call.unknown': tool('no_such_tool'),
  'tools.progress': progress,
  'tools.logging': logging,
  'tools.cancel': cancel,
  'resources.list': listResources,
  'resources.templates': listTemplates,
  'resources.read.text': read('test://static-text'),
  'resources.read.binary': read('test://static-binary'),
  'resources.read.template': read('test://template/123/data'),
  'resources.read.missing': read('test://no-such-resource'),
  'resources.subscribe': subscribe,
  'prompts.list': listPrompts,
  'prompts.get.simple': prompt('test_simple_prompt'),
  'prompts.get.args': prompt('test_prompt_with_arguments', { arg1: 'one', arg2: 'two' }),
  'prompts.get.embedded': prompt('test_prompt_with_embedded_resource', { resourceUri: 'test://static-text' }),
  'prompts.get.image': prompt('test_prompt_with_image'),
  'prompts.get.missing': prompt('no_such_prompt'),
  completion: complete,
  'logging.setLevel': async (session) => void (await session.client.setLoggingLevel('warning', session.options)),
  'list_changed.tools': changed('tools'),
  'list_changed.prompts': changed('prompts'),
  'list_changed.resources': changed('resources'),
  sampling: asking(undefined, 'test_sampling', { prompt: 'Say something.' }),
  'sampling.tools': asking('samplingTools', 'sampling_tools'),
  roots: asking(undefined, 'roots'),
  'elicitation.form': asking('elicitation', 'test_elicitation', { message: 'Who are you?' }),
  'elicitation.defaults': asking('elicitation', 'test_elicitation_sep1034_defaults'),
  'elicitation.enums': asking('elicitation', 'test_elicitation_sep1330_enums'),
  'elicitation.url': urlElicitation,
  whoami: async (session) => JSON.parse(await textOf(session, 'whoami'))
};
