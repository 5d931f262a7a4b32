// Keeps every SSE event of a session in memory so that a stream can be resumed from Last-Event-ID.

/** The SDK's EventStore interface; ids are "<stream>/<position>" and grow over the whole session. */
export class MemoryEventStore {
  #events = [];

  async storeEvent(streamId, message) {
    this.#events.push({ streamId, message });
    return `${streamId}/${this.#events.length - 1}`;
  }

  async getStreamIdForEventId(eventId) {
    return this.#find(eventId)?.streamId;
  }

  async replayEventsAfter(lastEventId, { send }) {
    const last = this.#find(lastEventId);
    if (last === undefined) throw new Error('unknown event id');
    for (let at = last.position + 1; at < this.#events.length; at++) {
      const { streamId, message } = this.#events[at];
      // An event without a message only opened a stream for resumption: there is nothing to replay.
      if (streamId === last.streamId && Object.keys(message).length > 0) {
        await send(`${streamId}/${at}`, message);
      }
    }
    return last.streamId;
  }

  #find(eventId) {
    const position = Number(eventId.slice(eventId.lastIndexOf('/') + 1));
    const event = this.#events[position];
    return event === undefined ? undefined : { position, streamId: event.streamId };
  }
}
