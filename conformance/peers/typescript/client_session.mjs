// One client session: the SDK's client and transport, with a record of what arrived beside the answers.

import { answers, clientCapabilities } from './client_answers.mjs';
import { Record } from './client_record.mjs';
import { transportArguments, transportOptions } from './client_run.mjs';

const STREAM_MS = 1000; // how long to wait for the GET stream; a server without one has answered long before

/** Members: client, types, revision, and those of Record. */
export class Session extends Record {
  #dial;
  #transport;
  #initialized;
  #streamAnswered = Promise.resolve();
  #closing = false;

  /** `place` is that of runClient. */
  constructor(sdk, place, timeout) {
    super(timeout);
    this.types = sdk.types;
    this.revision = sdk.revision;
    if (place.transport === 'streamable-http') this.#watchStream();
    this.#dial = () => new sdk.Transport(transportArguments(place), transportOptions(place));
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
    this.#transport = this.#dial();
    this.tap(this.#transport, (message) => {
      if (message.result?.protocolVersion !== undefined) this.#initialized ??= message.result;
    });
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

  get transport() {
    return this.#transport;
  }

  async close() {
    this.#closing = true;
    try {
      await this.#transport.terminateSession?.(); // the other transports end with their connection
      await this.client.close();
    } catch {
      // The session is over either way; a server may answer DELETE with anything.
    }
  }

  #collectNotifications() {
    for (const name of [
      'LoggingMessage',
      'ResourceUpdated',
      'ToolListChanged',
      'PromptListChanged',
      'ResourceListChanged',
      'ElicitationComplete'
    ]) {
      const schema = this.types[`${name}NotificationSchema`];
      if (schema !== undefined) this.client.setNotificationHandler(schema, (note) => this.keep(note));
    }
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
