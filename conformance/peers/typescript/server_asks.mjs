// Tools that ask the client while they run: sampling, elicitation, roots.
//
// extra.sendRequest ties the ask to the call, so it travels on the stream of that call; server.createMessage
// without a relation travels on the stream of GET.

const SAMPLING = (prompt) => ({
  messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
  systemPrompt: 'Answer briefly.',
  temperature: 0.5,
  maxTokens: 100
});

const WEATHER_TOOL = {
  name: 'get_weather',
  description: 'Current weather of a city',
  inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
};

const blocks = (content) => (Array.isArray(content) ? content : [content]);
const said = (content) =>
  blocks(content)
    .map((block) => block.text ?? `[${block.type}]`)
    .join(' ');

function elicit(call, params) {
  return call.extra.sendRequest({ method: 'elicitation/create', params }, call.types.ElicitResultSchema);
}

async function elicitForm(call, message, properties, required) {
  const requestedSchema = { type: 'object', properties, ...(required && { required }) };
  const { action, content } = await elicit(call, { message, requestedSchema });
  return `action=${action} content=${JSON.stringify(content ?? null)}`;
}

const promptArgument = (name) => ({
  type: 'object',
  properties: { [name]: { type: 'string', description: 'shown to the client' } },
  required: [name]
});

/** Same form as in server_tools.mjs. */
export const askTools = [
  {
    name: 'test_sampling',
    description: 'Asks the model of the client, on the stream of the call',
    inputSchema: promptArgument('prompt'),
    run: async (call) => {
      const answer = await call.extra.sendRequest(
        { method: 'sampling/createMessage', params: SAMPLING(call.arguments.prompt) },
        call.types.CreateMessageResultSchema
      );
      return `LLM response: ${said(answer.content)}`;
    }
  },
  {
    name: 'sampling_get_stream',
    description: 'Asks the model of the client without relation to the call, on the stream of GET',
    inputSchema: promptArgument('prompt'),
    run: async (call) => {
      const answer = await call.server.createMessage(SAMPLING(call.arguments.prompt));
      return `LLM response: ${said(answer.content)}`;
    }
  },
  {
    name: 'sampling_tools',
    description: 'Lets the model of the client use a tool, and hands it what the tool answered',
    feature: 'samplingTools',
    run: async (call) => {
      const ask = (messages) =>
        call.extra.sendRequest(
          {
            method: 'sampling/createMessage',
            params: { messages, tools: [WEATHER_TOOL], toolChoice: { mode: 'auto' }, maxTokens: 100 }
          },
          call.types.CreateMessageResultWithToolsSchema
        );
      const question = { role: 'user', content: { type: 'text', text: 'How warm is it in Paris?' } };
      const first = await ask([question]);
      const uses = blocks(first.content).filter((block) => block.type === 'tool_use');
      if (uses.length === 0) return `LLM response: ${said(first.content)}`;
      const results = uses.map((use) => ({
        type: 'tool_result',
        toolUseId: use.id,
        content: [{ type: 'text', text: '21.5 C' }]
      }));
      const last = await ask([
        question,
        { role: 'assistant', content: uses },
        { role: 'user', content: results }
      ]);
      return `LLM response: ${said(last.content)}`;
    }
  },
  {
    name: 'roots',
    description: 'Asks for the roots of the client',
    run: async (call) => {
      const { roots } = await call.extra.sendRequest({ method: 'roots/list' }, call.types.ListRootsResultSchema);
      return JSON.stringify(roots.map((root) => root.uri));
    }
  },
  {
    name: 'test_elicitation',
    description: 'Asks the user for a name and an address',
    feature: 'elicitation',
    inputSchema: promptArgument('message'),
    run: (call) =>
      elicitForm(
        call,
        call.arguments.message,
        {
          username: { type: 'string', description: 'name of the user' },
          email: { type: 'string', format: 'email', description: 'address of the user' }
        },
        ['username', 'email']
      )
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'Asks with a default for every primitive type',
    feature: 'elicitationDefaults',
    run: (call) =>
      elicitForm(call, 'Please check these values', {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true }
      })
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'Asks with every form of an enumeration',
    feature: 'elicitationEnums',
    run: (call) => {
      const titled = ['one', 'two', 'three'].map((value) => ({ const: value, title: `Number ${value}` }));
      return elicitForm(call, 'Please choose', {
        untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
        titledSingle: { type: 'string', oneOf: titled },
        legacyEnum: { type: 'string', enum: ['opt1', 'opt2'], enumNames: ['Option one', 'Option two'] },
        untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
        titledMulti: { type: 'array', items: { anyOf: titled } }
      });
    }
  },
  {
    name: 'url_elicitation',
    description: 'Sends the user to a page, then tells the client that the page is done',
    feature: 'urlElicitation',
    run: async (call) => {
      const elicitationId = 'everything-1';
      const { action } = await elicit(call, {
        mode: 'url',
        message: 'Please open this page',
        elicitationId,
        url: 'https://example.com/confirm'
      });
      if (action === 'accept') {
        await call.extra.sendNotification({
          method: 'notifications/elicitation/complete',
          params: { elicitationId }
        });
      }
      return action;
    }
  }
];
