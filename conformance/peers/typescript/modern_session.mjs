// One client of 2026-07-28: the SDK's client, pinned, behind the calls the features make of every client.
//
// There is no session on the wire. What the handshake revisions keep in one (the level of logs, the subscriptions)
// this client keeps itself and says with each request, or with a subscriptions/listen stream of its own.

import { answers, clientCapabilities } from './client_answers.mjs';
import { Record } from './client_record.mjs';
import { transportArguments, transportOptions } from './client_run.mjs';
import { cut } from './modern_cut.mjs';
import { REVISION } from './modern_sdk.mjs';

const LEVEL_KEY = 'io.modelcontextprotocol/logLevel';
const NOTIFICATIONS = [
  'notifications/message',
  'notifications/resources/updated',
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed'
];
/** client_answers.mjs asks for the schema of a request; this SDK wants its method. */
const METHODS = {
  CreateMessageRequestSchema: 'sampling/createMessage',
  ListRootsRequestSchema: 'roots/list',
  ElicitRequestSchema: 'elicitation/create'
};

/**
 * The JSON-RPC error in the body of a 404. The SDK hands on only those of status 400, but a method nobody has is
 * refused with 404 by the specification, and that is a refusal as well. One without the id of a request is none.
 */
function refusalInBody(error) {
  try {
    const { id, error: refusal } = JSON.parse(error.data.text);
    return error.data.status === 404 && id !== null && Number.isInteger(refusal.code) ? refusal : undefined;
  } catch {
    return undefined;
  }
}

/** Members: client, types, revision, and those of Record. */
export class ModernSession extends Record {
  #peer;
  #dial;
  #transport;
  #level;
  #sent;
  #cut = new Set();
  #watches = new Map();
  #closing = false;

  /** `place` is that of runClient. */
  constructor(sdk, place, timeout) {
    super(timeout);
    this.revision = REVISION;
    this.types = METHODS;
    const Transport = place.command === undefined ? sdk.StreamableHTTPClientTransport : sdk.StdioClientTransport;
    this.#dial = () => new Transport(transportArguments(place), transportOptions(place));
    this.#peer = new sdk.Client(
      { name: 'typescript-scripted', version: '1.0.0' },
      {
        // roots has no listChanged any more
        capabilities: { ...clientCapabilities(REVISION), roots: {} },
        inputRequired: { maxRounds: 20 },
        versionNegotiation: { mode: { pin: REVISION } }
      }
    );
    this.#peer.onerror = (error) => {
      if (!this.#closing && refusalInBody(error) === undefined) this.strays.push(String(error.message ?? error));
    };
    for (const method of NOTIFICATIONS) this.#peer.setNotificationHandler(method, (note) => this.keep(note));
    this.client = this.#face();
    answers(this);
  }

  /** Discovers the server; answers what it said of itself. */
  async open() {
    this.#transport = this.#dial();
    this.tap(this.#transport, (message) => {
      if (message.result !== undefined) this.#sent = message.result;
    });
    await this.#peer.connect(this.#transport, this.options);
    this.opened = true;
    return {
      protocolVersion: this.#peer.getNegotiatedProtocolVersion(),
      serverInfo: this.#peer.getServerVersion(),
      capabilities: this.#peer.getServerCapabilities(),
      instructions: this.#peer.getInstructions(),
      supportedVersions: this.#peer.getDiscoverResult()?.supportedVersions
    };
  }

  get transport() {
    return this.#transport;
  }

  begin() {
    super.begin();
    this.#level = undefined;
  }

  refusalOf(error) {
    return super.refusalOf(error) ?? refusalInBody(error);
  }

  /** `cut`: members that were sent and that the SDK did not hand on, by method. */
  get stray() {
    return { ...super.stray, cut: [...this.#cut].sort() };
  }

  /** Runs `action` while a subscriptions/listen stream with `filter` is open and acknowledged. */
  async listening(filter, action) {
    const subscription = await this.#peer.listen(filter, this.options);
    try {
      return await action(subscription.honoredFilter);
    } finally {
      await subscription.close();
    }
  }

  async close() {
    this.#closing = true;
    await this.#peer.close();
  }

  /** The calls of a client of the handshake SDK, made on this one. */
  #face() {
    const peer = this.#peer;
    // A list served from the client's own cache would show nothing of what lies between it and the server.
    const fresh = (options) => ({ ...options, cacheMode: 'refresh' });
    const levelled = (params) =>
      this.#level === undefined ? params : { ...params, _meta: { ...params._meta, [LEVEL_KEY]: this.#level } };
    const compared = async (method, answered) => {
      const result = await answered;
      for (const member of cut(this.#sent, result)) this.#cut.add(`${method}: ${member}`);
      return result;
    };
    return {
      callTool: (params, _schema, options) => compared('tools/call', peer.callTool(levelled(params), options)),
      complete: (params, options) => compared('completion/complete', peer.complete(params, options)),
      getPrompt: (params, options) => compared('prompts/get', peer.getPrompt(params, options)),
      listPrompts: (params, options) => compared('prompts/list', peer.listPrompts(params, fresh(options))),
      listResources: (params, options) => compared('resources/list', peer.listResources(params, fresh(options))),
      listResourceTemplates: (params, options) =>
        compared('resources/templates/list', peer.listResourceTemplates(params, fresh(options))),
      listTools: (params, options) => compared('tools/list', peer.listTools(params, fresh(options))),
      readResource: (params, options) => compared('resources/read', peer.readResource(params, fresh(options))),
      setLoggingLevel: async (level) => {
        this.#level = level;
      },
      setRequestHandler: (method, run) => peer.setRequestHandler(method, run),
      subscribeResource: async ({ uri }, options) => {
        const subscription = await peer.listen({ resourceSubscriptions: [uri] }, options);
        this.#watches.set(uri, subscription);
        if (!subscription.honoredFilter.resourceSubscriptions?.includes(uri)) throw new Error(`${uri} not honoured`);
      },
      unsubscribeResource: async ({ uri }) => {
        await this.#watches.get(uri)?.close();
        this.#watches.delete(uri);
      }
    };
  }
}
