// What the client declares, and how it answers a server that asks: sampling, roots, elicitation.

import { has } from './sdk.mjs';

const ROOTS = [
  { uri: 'file:///home/user/project', name: 'project' },
  { uri: 'file:///home/user/notes', name: 'notes' }
];

/** Everything a client of `revision` can declare and this one answers. */
export function clientCapabilities(revision) {
  return {
    roots: { listChanged: true },
    sampling: has(revision, 'samplingTools') ? { tools: {} } : {},
    ...(has(revision, 'elicitation') && {
      elicitation: has(revision, 'urlElicitation') ? { form: {}, url: {} } : {}
    })
  };
}

const blocks = (content) => (Array.isArray(content) ? content : [content]);

function sample(params) {
  const answered = params.messages.some((message) => blocks(message.content).some((one) => one.type === 'tool_result'));
  const message = { model: 'scripted-model', role: 'assistant' };
  if (params.tools === undefined || answered) {
    return { ...message, content: { type: 'text', text: 'A scripted answer.' }, stopReason: 'endTurn' };
  }
  const use = { type: 'tool_use', id: 'use-1', name: params.tools[0].name, input: { city: 'Paris' } };
  return { ...message, content: [use], stopReason: 'toolUse' };
}

/** A value the field allows: its default, else its first choice, else something of its type. */
function valueFor(field) {
  if (field.default !== undefined) return field.default;
  if (field.type === 'array') return [(field.items.enum ?? field.items.anyOf.map((one) => one.const))[0]];
  if (field.enum !== undefined) return field.enum[0];
  if (field.oneOf !== undefined) return field.oneOf[0].const;
  if (field.type === 'boolean') return true;
  if (field.type === 'integer' || field.type === 'number') return field.minimum ?? 1;
  return field.format === 'email' ? 'user@example.com' : 'scripted';
}

function elicit(params, action) {
  if (action !== 'accept') return { action };
  if (params.mode === 'url') return { action: 'accept' };
  const fields = Object.entries(params.requestedSchema.properties);
  return { action: 'accept', content: Object.fromEntries(fields.map(([name, field]) => [name, valueFor(field)])) };
}

/** Installs the answers on the session's client; each question is kept in session.asked as the SDK gave it. */
export function answers(session) {
  const { client, revision, types } = session;
  const answer = (schema, run) =>
    client.setRequestHandler(schema, ({ params }) => {
      session.asked.push(params ?? {});
      return run(params, session.action);
    });
  answer(types.CreateMessageRequestSchema, sample);
  answer(types.ListRootsRequestSchema, () => ({ roots: ROOTS }));
  if (has(revision, 'elicitation')) answer(types.ElicitRequestSchema, elicit);
}
