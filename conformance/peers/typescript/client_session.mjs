// One client session: the SDK's client and transport, with a record of what arrived beside the answers.

import { answers, clientCapabilities } from './client_answers.mjs';

const STREAM_MS = 1000; // how long to wait for the GET stream; a server without one has answered long before

/** Members: client, types, revision, options (request options), refusals, asked, strays, opened. */
export class Session {
  #transport;
  #notes = [];
  #waiting = new Set();
  #initialized;
  #streamAnswered;
  #closing = false;

  constructor(sdk, url, timeout) {
    this.types = sdk.types;
    this.revision = sdk.revision;
    this.options = { timeout };
    this.strays = [];
    this.opened = false;
    this.begin();
    this.#watchStream();
    this.#transport = new sdk.Transport(url);
    this.#tap();
    this.client = new sdk.Peer(
      { name: 'typescript-scripted', version: '1.0.0' },
      { capabilities: clientCapabilities(this.revision) }
    );
    this.client.onerror = (error) => {
      if (!this.#closing) this.strays.push(String(error.message ?? error));
    };
    answers(this);
    this.#collectNotifications();
  }

  /** Connects; answers what initialize brought. The GET stream is open (or refused) when this is done. */
  async open() {
    await this.client.connect(this.#transport, this.options);
    this.opened = true;
    await Promise.race([this.#streamAnswered, new Promise((done) => setTimeout(done, STREAM_MS))]);
    return {
      protocolVersion: this.#initialized?.protocolVersion,
      serverInfo: this.client.getServerVersion(),
      capabilities: this.client.getServerCapabilities(),
      instructions: this.client.getInstructions()
    };
  }

  /** Forgets what earlier features left behind. */
  begin() {
    this.refusals = [];
    this.asked = [];
    this.#notes = [];
  }

  /** Parameters of the notifications of `method` that came since begin(). */
  notes(method) {
    return this.#notes.filter((note) => note.method === method).map((note) => note.params ?? {});
  }

  /** Resolves with true once a notification of `method` has come, with false when the time is over. */
  async noted(method) {
    if (this.notes(method).length > 0) return true;
    let waiter;
    let timer;
    const came = new Promise((resolve) => {
      waiter = { method, resolve };
      this.#waiting.add(waiter);
      timer = setTimeout(resolve, this.options.timeout, false);
    });
    try {
      return await came;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiter);
    }
  }

  async close() {
    this.#closing = true;
    try {
      await this.#transport.terminateSession();
      await this.client.close();
    } catch {
      // The session is over either way; a server may answer DELETE with anything.
    }
  }

  #collectNotifications() {
    const collect = (note) => {
      this.#notes.push(note);
      for (const waiter of this.#waiting) if (waiter.method === note.method) waiter.resolve(true);
    };
    for (const name of [
      'LoggingMessage',
      'ResourceUpdated',
      'ToolListChanged',
      'PromptListChanged',
      'ResourceListChanged',
      'ElicitationComplete'
    ]) {
      const schema = this.types[`${name}NotificationSchema`];
      if (schema !== undefined) this.client.setNotificationHandler(schema, collect);
    }
  }

  /** Sees each message before the SDK does: only the wire tells a peer's error from one the SDK made itself. */
  #tap() {
    let inner;
    const seen = (message, extra) => {
      if (message.error !== undefined) this.refusals.push(message.error);
      if (message.result?.protocolVersion !== undefined) this.#initialized ??= message.result;
      return inner?.(message, extra);
    };
    Object.defineProperty(this.#transport, 'onmessage', {
      get: () => (inner === undefined ? undefined : seen),
      set: (handler) => (inner = handler)
    });
  }

  /** The SDK opens the GET stream without telling; whoever waits for a notification must know it is there. */
  #watchStream() {
    const original = globalThis.fetch;
    let resolve;
    this.#streamAnswered = new Promise((done) => (resolve = done));
    globalThis.fetch = async (input, init) => {
      if ((init?.method ?? 'GET') !== 'GET') return original(input, init);
      try {
        return await original(input, init);
      } finally {
        resolve();
      }
    };
  }
}
