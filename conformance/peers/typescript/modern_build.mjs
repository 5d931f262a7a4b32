// Builds the server that answers one request of 2026-07-28.
//
// Tools are registered with the SDK's high-level class, because only there the entry compares Mcp-Param-* headers
// with the schema of the tool. Everything else is answered by the same functions as in the handshake revisions.

import { samples } from './samples.mjs';
import { interactive } from './modern_ask.mjs';
import { askingPrompt, askingResource, modernAskTools } from './modern_asks.mjs';
import { modernReportTools } from './modern_reports.mjs';
import { REVISION } from './modern_sdk.mjs';
import { askTools } from './server_asks.mjs';
import { completion, getPrompt, prompts } from './server_prompts.mjs';
import { reportTools } from './server_reports.mjs';
import { readResource, resources, templates } from './server_resources.mjs';
import { contentTools } from './server_tools.mjs';

const STATE_SECONDS = 600; // the SDK's own default
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
/** Tools whose means are gone: the stream of GET, and the resumption of streams. */
const GONE = new Set(['sampling_get_stream', 'test_reconnection']);
const CACHE_HINTS = {
  'tools/list': { ttlMs: 60_000, cacheScope: 'public' },
  'resources/templates/list': { ttlMs: 60_000, cacheScope: 'public' },
  'resources/read': { ttlMs: 1000, cacheScope: 'private' }
};

/** What `change_*` puts into a list, and takes out again. */
const EXTRA = {
  tool: { name: 'extra_tool', description: 'Comes and goes' },
  prompt: { name: 'extra_prompt', description: 'Comes and goes' },
  resource: { uri: 'test://extra', name: 'extra', description: 'Comes and goes' }
};

/** What is made once for the process: builders, the seal of states, compiled schemas, error shapes. */
export function kitOf(sdk) {
  const offered = [...contentTools, ...reportTools, ...askTools, ...modernReportTools, ...modernAskTools];
  const tools = new Map(offered.filter((tool) => !GONE.has(tool.name)).map((tool) => [tool.name, tool]));
  const compiled = (schema) => schema && sdk.fromJsonSchema(schema);
  class NotFound extends sdk.ResourceNotFoundError {
    constructor(_code, message, { uri }) {
      super(uri, message);
    }
  }
  return {
    sdk,
    inputRequired: sdk.inputRequired,
    states: sdk.createRequestStateCodec({
      key: crypto.getRandomValues(new Uint8Array(32)),
      ttlSeconds: STATE_SECONDS,
      bind: (context) => context.mcpReq.method
    }),
    tools: [...tools.values()].map((tool) => ({
      ...tool,
      inputSchema: compiled(tool.inputSchema),
      outputSchema: compiled(tool.outputSchema)
    })),
    resourceErrors: { McpError: NotFound },
    promptErrors: { McpError: sdk.ProtocolError, ErrorCode: sdk.ProtocolErrorCode }
  };
}

/** The call a tool sees: the members of server_build.mjs, and `ask`, `capabilities`, `envelope`, `headers`, `kit`. */
function callOf(kit, world, headers, given, context, ask) {
  const { mcpReq } = context;
  const envelope = mcpReq.envelope ?? {};
  let asked = 0;
  return {
    arguments: given,
    ask,
    capabilities: envelope[CAPABILITIES_KEY] ?? {},
    envelope,
    // server_asks.mjs asks here; only url elicitation has another shape by now, and a tool of its own.
    extra: {
      sendNotification: (notification) => mcpReq.notify(notification),
      sendRequest: async (request) => {
        asked += 1;
        const key = `ask_${asked}`;
        return (await ask({ [key]: request }))[key];
      },
      signal: mcpReq.signal
    },
    headers,
    kit,
    log: (level, data) => mcpReq.log(level, data, 'everything'),
    progressToken: mcpReq._meta?.progressToken,
    revision: REVISION,
    types: {},
    world
  };
}

/** What announces changes where one server lasts: its table of tools has to follow, and tells of it by itself. */
export function changesOf(mcp, world) {
  let registered;
  return {
    toolsChanged: () => {
      if (!world.extra.has('tools')) return registered?.remove();
      registered = mcp.registerTool(EXTRA.tool.name, { description: EXTRA.tool.description }, () => ({ content: [] }));
    },
    promptsChanged: () => mcp.server.sendPromptListChanged(),
    resourcesChanged: () => mcp.server.sendResourceListChanged(),
    resourceUpdated: (uri) => mcp.server.sendResourceUpdated({ uri })
  };
}

/** One McpServer. `world` is the process (handler, cancelled counter, changed lists), `headers` are the request's. */
export function buildModernServer(kit, world, headers) {
  const mcp = new kit.sdk.McpServer(
    {
      name: 'typescript-everything',
      version: '1.0.0',
      title: 'Everything, in TypeScript',
      description: 'Offers every feature of its revision',
      websiteUrl: 'https://example.com/everything',
      icons: [samples.icon]
    },
    {
      cacheHints: CACHE_HINTS,
      capabilities: {
        completions: {},
        logging: {},
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        tools: { listChanged: true }
      },
      instructions: 'Every tool is safe to call.',
      requestState: { verify: kit.states.verify }
    }
  );
  mcp.server.onerror = (error) => console.error(error.message);
  const asking = (name, given, context, run) =>
    interactive(kit, name, context, (ask) => run(callOf(kit, world, headers, given, context, ask)));

  for (const { name, run, feature: _feature, ...shown } of kit.tools) {
    const answer = async (given, context) => {
      const result = await asking(`tool ${name}`, given, context, run);
      return typeof result === 'string' ? { content: [{ type: 'text', text: result }] } : result;
    };
    mcp.registerTool(name, shown, shown.inputSchema ? answer : (context) => answer({}, context));
  }

  const extra = (list, entry) => (world.extra.has(list) ? [entry] : []);
  for (const { name, description } of extra('tools', EXTRA.tool)) {
    mcp.registerTool(name, { description }, () => ({ content: [] }));
  }

  const handle = (method, run) => mcp.server.setRequestHandler(method, run);
  handle('resources/list', () => ({ resources: [...resources(REVISION), ...extra('resources', EXTRA.resource)] }));
  handle('resources/templates/list', () => ({ resourceTemplates: templates(REVISION) }));
  handle('resources/read', ({ params }, context) => {
    if (params.uri !== askingResource.uri) return readResource(params.uri, kit.resourceErrors);
    return asking(`resource ${params.uri}`, {}, context, async (call) => ({
      contents: await askingResource.contents(call)
    }));
  });
  handle('prompts/list', () => {
    const { name, title } = askingPrompt;
    return {
      prompts: [
        ...prompts(REVISION),
        { name, title, description: askingPrompt.description },
        ...extra('prompts', EXTRA.prompt)
      ]
    };
  });
  handle('prompts/get', ({ params }, context) => {
    if (params.name !== askingPrompt.name) return getPrompt(params, kit.promptErrors);
    return asking(`prompt ${params.name}`, {}, context, async (call) => ({
      description: askingPrompt.description,
      messages: await askingPrompt.messages(call)
    }));
  });
  handle('completion/complete', ({ params }) => completion(params));
  return mcp;
}
