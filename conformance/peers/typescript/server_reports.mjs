// Tools that report while they run (progress, logs, changes, cancellation) or tell what the server knows.

import { setTimeout as pause } from 'node:timers/promises';

import { has } from './sdk.mjs';

const STEP_MS = 50; // the distance between reports the official suite asks for
const WATCHED = 'test://watched-resource';

async function progress(call, value, total, message) {
  if (call.progressToken === undefined) return;
  await call.extra.sendNotification({
    method: 'notifications/progress',
    params: {
      progressToken: call.progressToken,
      progress: value,
      total,
      ...(has(call.revision, 'progressMessage') && { message })
    }
  });
}

/** Same form as in server_tools.mjs. */
export const reportTools = [
  {
    name: 'test_tool_with_progress',
    description: 'Reports 0, 50 and 100 of 100',
    run: async (call) => {
      await progress(call, 0, 100, 'started');
      await pause(STEP_MS);
      await progress(call, 50, 100, 'half way');
      await pause(STEP_MS);
      await progress(call, 100, 100, 'done');
      // On a pipe, clients of the 1.x SDK lose a report that they read together with the answer.
      await pause(STEP_MS);
      return 'Three steps reported.';
    }
  },
  {
    name: 'test_tool_with_logging',
    description: 'Writes three messages of level info',
    run: async (call) => {
      await call.log('info', 'Tool execution started');
      await pause(STEP_MS);
      await call.log('info', 'Tool processing data');
      await pause(STEP_MS);
      await call.log('info', 'Tool execution completed');
      return 'Three messages written.';
    }
  },
  {
    name: 'slow',
    description: 'Waits; counts it when it is cancelled before the time is over',
    inputSchema: {
      type: 'object',
      properties: { seconds: { type: 'number', description: 'how long to wait' } },
      required: ['seconds']
    },
    run: async (call) => {
      const seconds = Number(call.arguments.seconds);
      await progress(call, 0, seconds, 'waiting');
      try {
        await pause(seconds * 1000, undefined, { signal: call.extra.signal });
      } catch (error) {
        call.world.cancelled += 1;
        throw error;
      }
      return `Waited ${seconds} s.`;
    }
  },
  {
    name: 'cancelled_count',
    description: 'How many calls of slow were cancelled in this process',
    run: (call) => String(call.world.cancelled)
  },
  {
    name: 'change_tools',
    description: 'Announces a changed list of tools',
    run: async (call) => (await call.server.sendToolListChanged(), 'tools changed')
  },
  {
    name: 'change_prompts',
    description: 'Announces a changed list of prompts',
    run: async (call) => (await call.server.sendPromptListChanged(), 'prompts changed')
  },
  {
    name: 'change_resources',
    description: 'Announces a changed list of resources',
    run: async (call) => (await call.server.sendResourceListChanged(), 'resources changed')
  },
  {
    name: 'test_trigger_tool_change',
    description: 'Announces a changed list of tools',
    run: async (call) => (await call.server.sendToolListChanged(), 'tools changed')
  },
  {
    name: 'test_trigger_prompt_change',
    description: 'Announces a changed list of prompts',
    run: async (call) => (await call.server.sendPromptListChanged(), 'prompts changed')
  },
  {
    name: 'test_logging_tool',
    description: 'Writes one message of level info',
    run: async (call) => {
      await call.log('info', 'The logging tool ran');
      return 'One message written.';
    }
  },
  {
    name: 'touch_watched',
    description: `Announces an update of ${WATCHED} to everyone who subscribed to it`,
    run: async (call) => {
      const watchers = [...call.world.sessions.values()].filter((one) => one.subscriptions.has(WATCHED));
      await Promise.all(watchers.map((one) => one.server.sendResourceUpdated({ uri: WATCHED })));
      return String(watchers.length);
    }
  },
  {
    name: 'whoami',
    description: 'What the client said of itself in initialize',
    run: ({ session }) => {
      const { protocolVersion, capabilities, clientInfo } = session.initialize;
      return JSON.stringify({ protocolVersion, capabilities, clientInfo });
    }
  },
  {
    name: 'pid',
    description: 'The id of the process that serves this',
    run: () => String(process.pid)
  },
  {
    name: 'test_reconnection',
    description: 'Closes the stream of its own call and answers on the resumed one',
    feature: 'polling',
    run: async (call) => {
      // Without an event store the SDK gives no way to close: the answer then simply stays on the stream.
      call.extra.closeSSEStream?.();
      await pause(2 * STEP_MS);
      return 'Answered after the stream was closed.';
    }
  }
];
