// How a handler asks the client when there is no way back to it: it runs again from its start on every retry.
//
// What the client answered in earlier rounds travels in the sealed requestState, because inputResponses holds the
// last round alone. A handler is written as if it could wait: `await ask({key: request})` gives the answers when
// they are there, and otherwise leaves the handler, so nothing with an effect may stand before an ask.

/** Leaves the handler: the client has to answer `requests` first. */
class Asking {
  constructor(requests, sealed) {
    this.requests = requests;
    this.sealed = sealed;
  }
}

/**
 * Runs `run(ask)` as far as the answers reach; gives its result, or the input-required result of the open round.
 *
 * `ask(requests, {sealed})` takes embedded requests by key and answers their bare responses by key. The first round
 * carries no requestState unless `sealed`; later rounds always do. No requests at all is a round of state alone.
 * `name` says whose state it is: state of another handler is refused.
 */
export async function interactive(kit, name, context, run) {
  const state = context.mcpReq.requestState();
  const responses = context.mcpReq.inputResponses;
  if (state !== undefined && state.name !== name) throw new Error('this requestState belongs to another handler');
  const earlier = state?.answers ?? [];
  const answers = [...earlier];
  let round = 0;

  async function ask(requests, { sealed = false } = {}) {
    const index = round;
    round += 1;
    if (index < earlier.length) return earlier[index];
    const asked = state !== undefined || (!sealed && responses !== undefined);
    const keys = Object.keys(requests);
    if (index > earlier.length || !asked || keys.some((key) => responses?.[key] === undefined)) {
      throw new Asking(requests, sealed || index > 0);
    }
    const given = Object.fromEntries(keys.map((key) => [key, responses[key]]));
    answers.push(given);
    return given;
  }

  try {
    return await run(ask);
  } catch (error) {
    if (!(error instanceof Asking)) throw error;
    return kit.inputRequired({
      ...(Object.keys(error.requests).length > 0 && { inputRequests: error.requests }),
      ...(error.sealed && { requestState: await kit.states.mint({ name, answers }, context) })
    });
  }
}
