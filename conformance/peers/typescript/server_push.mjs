// The handlers of modern_asks.mjs at a server of the handshake, which can wait: what they ask goes to the client by
// requests of the server's own, several at once if they ask for several, on the stream of the call they belong to.

import { has } from './sdk.mjs';
import { modernAskTools } from './modern_asks.mjs';

/** Where a question says under which key a client of 2026-07-28 is to find it in inputRequests. */
const INPUT_KEY = 'dev.dragoman/input-key';
/** Tools that are about requestState alone, or that server_asks.mjs has in the shape of its revision. */
const OTHERS = new Set(['state_only', 'url_elicitation']);
const RESULTS = {
  'elicitation/create': 'ElicitResultSchema',
  'sampling/createMessage': 'CreateMessageResultSchema',
  'roots/list': 'ListRootsResultSchema'
};

/** The SDK's builders of 2026-07-28, for requests. */
const inputRequired = {
  elicit: (params) => ({ method: 'elicitation/create', params }),
  createMessage: (params) => ({ method: 'sampling/createMessage', params }),
  listRoots: () => ({ method: 'roots/list' })
};

const named = ({ method, params }, key) => ({ method, params: { ...params, _meta: { [INPUT_KEY]: key } } });

/**
 * What the handlers of modern_asks.mjs need of a call beside its other members. With `inputKeys` every question carries
 * its key in `_meta`; without, none says anything newer than its revision.
 */
export function pushing({ extra, types, session }, inputKeys) {
  const one = async ([key, request]) => {
    const sent = inputKeys ? named(request, key) : request;
    return [key, await extra.sendRequest(sent, types[RESULTS[request.method]])];
  };
  return {
    ask: async (requests) => Object.fromEntries(await Promise.all(Object.entries(requests).map(one))),
    capabilities: session.initialize.capabilities,
    kit: { inputRequired }
  };
}

/** Same form as in server_tools.mjs. */
export const pushTools = modernAskTools.filter((tool) => !OTHERS.has(tool.name));

/** Whether there are forms, which what asks outside of tools asks for. */
export const asksForms = (revision) => has(revision, 'elicitation');
