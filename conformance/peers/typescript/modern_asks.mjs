// Tools that ask in the manner of 2026-07-28. Those of server_asks.mjs are offered too, see modern_build.mjs.
//
// `call.ask` and `call.kit.inputRequired` (the SDK's builders) are all they need, so that servers of the handshake
// revisions offer them as well, see server_push.mjs.

const CAPITAL = 'What is the capital of France?';

const nothing = { type: 'object', properties: {} };
const object = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const blocks = (content) => (Array.isArray(content) ? content : [content]);
const said = (answer) =>
  blocks(answer.content)
    .map((block) => block.text ?? `[${block.type}]`)
    .join(' ');
const uris = (answer) => answer.roots.map((root) => root.uri);

const form = (call, message, properties) =>
  call.kit.inputRequired.elicit({ message, requestedSchema: object(properties) });
const question = (call, text, maxTokens = 100) =>
  call.kit.inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens });
const nameForm = (call, message) => form(call, message, { name: { type: 'string' } });
const confirmation = (call, message) => form(call, message, { ok: { type: 'boolean' } });
const outcome = (answer) => `action=${answer.action} content=${JSON.stringify(answer.content ?? null)}`;

async function threeInputs(call, options) {
  const { user_name, greeting, client_roots } = await call.ask(
    {
      user_name: nameForm(call, 'What is your name?'),
      greeting: question(call, 'Generate a greeting', 50),
      client_roots: call.kit.inputRequired.listRoots()
    },
    options
  );
  const roots = JSON.stringify(uris(client_roots));
  return `elicitation: ${outcome(user_name)}; sampling: ${said(greeting)}; roots: ${roots}`;
}

/** Tools of the official suite; same form as in server_tools.mjs. */
const officialTools = [
  {
    name: 'test_input_required_result_elicitation',
    description: 'Asks the user for a name',
    feature: 'elicitation',
    run: async (call) => {
      const { user_name } = await call.ask({ user_name: nameForm(call, 'What is your name?') });
      return `Hello, ${user_name.content?.name ?? user_name.action}!`;
    }
  },
  {
    name: 'test_input_required_result_sampling',
    description: 'Asks the model of the client',
    run: async (call) => {
      const { capital_question } = await call.ask({ capital_question: question(call, CAPITAL) });
      return `LLM response: ${said(capital_question)}`;
    }
  },
  {
    name: 'test_input_required_result_list_roots',
    description: 'Asks for the roots of the client',
    run: async (call) => {
      const { client_roots } = await call.ask({ client_roots: call.kit.inputRequired.listRoots() });
      return JSON.stringify(uris(client_roots));
    }
  },
  {
    name: 'test_input_required_result_request_state',
    description: 'Asks for a confirmation and keeps state with the client meanwhile',
    feature: 'elicitation',
    run: async (call) => {
      const { confirm } = await call.ask({ confirm: confirmation(call, 'Please confirm') }, { sealed: true });
      return `state-ok: ${outcome(confirm)}`;
    }
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    description: 'Asks the user, the model and for the roots at once, with state',
    feature: 'elicitation',
    run: (call) => threeInputs(call, { sealed: true })
  },
  {
    name: 'test_input_required_result_multi_round',
    description: 'Asks twice, one question after the other',
    feature: 'elicitation',
    run: async (call) => {
      const { step1 } = await call.ask({ step1: nameForm(call, 'Step 1: What is your name?') }, { sealed: true });
      const { step2 } = await call.ask({
        step2: form(call, 'Step 2: What is your favorite color?', { color: { type: 'string' } })
      });
      return `${outcome(step1)}; ${outcome(step2)}`;
    }
  },
  {
    name: 'test_input_required_result_tampered_state',
    description: 'Asks for a confirmation with state that must come back unchanged',
    feature: 'elicitation',
    run: async (call) => {
      const { confirm } = await call.ask({ confirm: confirmation(call, 'Please confirm') }, { sealed: true });
      return outcome(confirm);
    }
  },
  {
    name: 'test_input_required_result_capabilities',
    description: 'Asks only for what the client declared that it can answer',
    run: async (call) => {
      const { elicitation, sampling, roots } = call.capabilities;
      const requests = {
        ...(elicitation && { user_name: nameForm(call, 'What is your name?') }),
        ...(sampling && { capital_question: question(call, CAPITAL) }),
        ...(roots && { client_roots: call.kit.inputRequired.listRoots() })
      };
      if (Object.keys(requests).length === 0) return 'The client can answer nothing.';
      return `answered: ${Object.keys(await call.ask(requests)).join(', ')}`;
    }
  },
  {
    name: 'test_missing_capability',
    description: 'Needs the model of the client, declared or not',
    run: async (call) => {
      const { answer } = await call.ask({ answer: question(call, 'Say something.') });
      return `LLM response: ${said(answer)}`;
    }
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Reports progress, then asks the user',
    feature: 'elicitation',
    run: async (call) => {
      if (call.progressToken !== undefined) {
        const { progressToken } = call;
        const params = { progressToken, progress: 0, total: 1, message: 'about to ask' };
        await call.extra.sendNotification({ method: 'notifications/progress', params });
      }
      const { confirm } = await call.ask({ confirm: confirmation(call, 'Shall it go on?') });
      return outcome(confirm);
    }
  }
];

/** Tools of our own; same form. */
const ownTools = [
  {
    name: 'three_inputs',
    description: 'Asks the user, the model and for the roots at once, without state',
    feature: 'elicitation',
    run: (call) => threeInputs(call)
  },
  {
    name: 'rounds',
    description: 'Asks n times, one question after the other',
    feature: 'elicitation',
    inputSchema: object({ n: { type: 'integer', minimum: 1, maximum: 20, description: 'how many questions' } }),
    run: async (call) => {
      const actions = [];
      for (let number = 1; number <= call.arguments.n; number += 1) {
        const key = `round_${number}`;
        const answers = await call.ask({ [key]: confirmation(call, `Question ${number} of ${call.arguments.n}`) });
        actions.push(answers[key].action);
      }
      return `${actions.length} rounds: ${actions.join(', ')}`;
    }
  },
  {
    name: 'state_only',
    description: 'Sends the client away once with nothing but state, then completes',
    inputSchema: nothing,
    run: async (call) => {
      await call.ask({}, { sealed: true });
      return 'completed with state alone';
    }
  },
  {
    name: 'url_elicitation',
    description: 'Sends the user to a page',
    run: async (call) => {
      const { page } = await call.ask({
        page: call.kit.inputRequired.elicitUrl({
          message: 'Please open this page',
          url: 'https://example.com/confirm'
        })
      });
      return page.action;
    }
  }
];

export const modernAskTools = [...officialTools, ...ownTools];

/** GetPromptResult of the prompt that asks. */
export const askingPrompt = {
  name: 'test_input_required_result_prompt',
  title: 'Prompt that asks',
  description: 'A prompt that asks the user for its context',
  messages: async (call) => {
    const { user_context } = await call.ask({
      user_context: form(call, 'What context should the prompt use?', { context: { type: 'string' } })
    });
    const text = `Use this context: ${user_context.content?.context ?? user_context.action}`;
    return [{ role: 'user', content: { type: 'text', text } }];
  }
};

/** ReadResourceResult of the resource that asks; it is in no list, so that lists are alike in every revision. */
export const askingResource = {
  uri: 'test://asking-resource',
  contents: async (call) => {
    const { confirm } = await call.ask({ confirm: confirmation(call, 'May this be read?') });
    return [{ uri: askingResource.uri, mimeType: 'text/plain', text: outcome(confirm) }];
  }
};
