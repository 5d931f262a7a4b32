// Tools that report, or tell what the server knows, in the manner of 2026-07-28. They stand before tools of the
// same name in server_reports.mjs: changes go to subscriptions/listen, and every request says who sent it.

const WATCHED = 'test://watched-resource';
const PREFIX = 'io.modelcontextprotocol/';

const change = (name, list, publish) => ({
  name,
  description: `Puts an entry into the list of ${list}, or takes it out, and tells everyone who listens`,
  run: (call) => {
    if (!call.world.extra.delete(list)) call.world.extra.add(list);
    publish(call.world.handler.notify);
    return `${list} changed`;
  }
});

/** Same form as in server_tools.mjs. */
export const modernReportTools = [
  change('change_tools', 'tools', (notify) => notify.toolsChanged()),
  change('change_prompts', 'prompts', (notify) => notify.promptsChanged()),
  change('change_resources', 'resources', (notify) => notify.resourcesChanged()),
  change('test_trigger_tool_change', 'tools', (notify) => notify.toolsChanged()),
  change('test_trigger_prompt_change', 'prompts', (notify) => notify.promptsChanged()),
  {
    name: 'touch_watched',
    description: `Announces an update of ${WATCHED} to everyone who listens for it`,
    run: (call) => {
      call.world.handler.notify.resourceUpdated(WATCHED);
      return 'announced';
    }
  },
  {
    name: 'test_logging_tool',
    description: 'Writes one message of level info, which only a request that names a level gets to see',
    run: async (call) => {
      await call.log('info', 'The logging tool ran');
      return 'One message written.';
    }
  },
  {
    name: 'whoami',
    description: 'What this very request said of its sender',
    run: ({ envelope }) => {
      const said = Object.fromEntries(
        ['protocolVersion', 'clientCapabilities', 'clientInfo', 'logLevel'].map((key) => [key, envelope[PREFIX + key]])
      );
      // The name the servers of the handshake revisions use, so that one reader serves them all.
      return JSON.stringify({ ...said, capabilities: said.clientCapabilities });
    }
  },
  {
    name: 'array_output',
    description: 'Answers structured content that is no object',
    outputSchema: { type: 'array', items: { type: 'number' } },
    run: () => ({ content: [{ type: 'text', text: '[21.5,19]' }], structuredContent: [21.5, 19] })
  },
  {
    name: 'mirrored',
    description: 'Answers the header its argument is mirrored into, as it came',
    inputSchema: {
      type: 'object',
      properties: { region: { type: 'string', description: 'any text', 'x-mcp-header': 'Region' } }
    },
    run: (call) => call.headers.get('mcp-param-region') ?? 'no header'
  },
  {
    name: 'test_x_mcp_header',
    description: 'Takes arguments that are mirrored into headers',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', description: 'a text', 'x-mcp-header': 'Region' },
        priority: { type: 'integer', description: 'a number', 'x-mcp-header': 'Priority' },
        urgent: { type: 'boolean', description: 'a truth value', 'x-mcp-header': 'Urgent' }
      },
      required: ['region']
    },
    run: (call) => JSON.stringify(call.arguments)
  }
];
