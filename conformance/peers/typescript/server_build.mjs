// Builds one session's server on the SDK's low-level Server, so that every shape is exactly what is written
// here: the high-level class of some releases adds members of a later revision.

import { askingPrompt, askingResource } from './modern_asks.mjs';
import { samples } from './samples.mjs';
import { has } from './sdk.mjs';
import { askTools } from './server_asks.mjs';
import { completion, getPrompt, prompts } from './server_prompts.mjs';
import { asksForms, pushing, pushTools } from './server_push.mjs';
import { readResource, resources, templates } from './server_resources.mjs';
import { contentTools, describe } from './server_tools.mjs';
import { reportTools } from './server_reports.mjs';

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

function serverInfo(revision) {
  return {
    name: 'typescript-everything',
    version: '1.0.0',
    ...(has(revision, 'title') && { title: 'Everything, in TypeScript' }),
    ...(has(revision, 'implementationDescription') && {
      description: 'Offers every feature of its revision',
      websiteUrl: 'https://example.com/everything',
      icons: [samples.icon]
    })
  };
}

function capabilities(revision) {
  return {
    logging: {},
    prompts: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    tools: { listChanged: true },
    ...(has(revision, 'completionsCapability') && { completions: {} })
  };
}

/**
 * One SDK Server with all handlers. `world` is the process (sessions, cancelled counter, inputKeys), `session` the
 * connection: { initialize (its params as they came), level, subscriptions }.
 */
export function buildServer(sdk, world, session) {
  const { revision, types } = sdk;
  const server = new sdk.Peer(serverInfo(revision), {
    capabilities: capabilities(revision),
    instructions: 'Every tool is safe to call.'
  });
  const tools = new Map(
    [...contentTools, ...reportTools, ...pushTools, ...askTools]
      .filter((tool) => tool.feature === undefined || has(revision, tool.feature))
      .map((tool) => [tool.name, tool])
  );
  const handle = (name, run) => server.setRequestHandler(types[`${name}RequestSchema`], run);

  handle('ListTools', () => ({ tools: [...tools.values()].map((tool) => describe(tool, revision)) }));
  handle('CallTool', async ({ params }, extra) => {
    const tool = tools.get(params.name);
    if (tool === undefined) {
      throw new types.McpError(types.ErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    }
    const call = {
      arguments: params.arguments ?? {},
      progressToken: params._meta?.progressToken,
      log: async (level, data) => {
        if (session.level !== null && LEVELS.indexOf(level) < LEVELS.indexOf(session.level)) return;
        await extra.sendNotification({
          method: 'notifications/message',
          params: { level, logger: 'everything', data }
        });
      },
      extra,
      revision,
      server,
      session,
      types,
      world,
      ...pushing({ extra, types, session }, world.inputKeys)
    };
    const result = await tool.run(call);
    return typeof result === 'string' ? { content: [{ type: 'text', text: result }] } : result;
  });

  handle('ListResources', () => ({ resources: resources(revision) }));
  handle('ListResourceTemplates', () => ({ resourceTemplates: templates(revision) }));
  handle('ReadResource', async ({ params }, extra) =>
    params.uri === askingResource.uri && asksForms(revision)
      ? { contents: await askingResource.contents(pushing({ extra, types, session }, world.inputKeys)) }
      : readResource(params.uri, types)
  );
  handle('Subscribe', ({ params }) => (session.subscriptions.add(params.uri), {}));
  handle('Unsubscribe', ({ params }) => (session.subscriptions.delete(params.uri), {}));

  const { messages, ...asking } = askingPrompt;
  handle('ListPrompts', () => ({ prompts: [...prompts(revision), ...(asksForms(revision) ? [asking] : [])] }));
  handle('GetPrompt', async ({ params }, extra) =>
    params.name === asking.name && asksForms(revision)
      ? { messages: await messages(pushing({ extra, types, session }, world.inputKeys)) }
      : getPrompt(params, types)
  );
  handle('SetLevel', ({ params }) => ((session.level = params.level), {}));
  handle('Complete', ({ params }) => completion(params));
  return server;
}
