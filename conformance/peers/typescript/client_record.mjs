// What arrives beside the answers of one session: notifications, refusals, questions, errors nobody asked for.

/** Members: options (request options), refusals, asked, action (the person's answer to forms), strays, opened. */
export class Record {
  #notes = [];
  #waiting = new Set();
  refusals = [];
  asked = [];
  action = 'accept';
  strays = [];
  opened = false;

  constructor(timeout) {
    this.options = { timeout };
  }

  /** Forgets what earlier features left behind. */
  begin() {
    this.refusals = [];
    this.asked = [];
    this.action = 'accept';
    this.#notes = [];
  }

  /** What the line `stray` shows. */
  get stray() {
    return { errors: this.strays };
  }

  /** The JSON-RPC error of the peer that `error` of the SDK stands for, if there was one. */
  refusalOf(error) {
    return this.refusals.find((one) => one.code === error.code);
  }

  /** Takes one notification in. */
  keep(note) {
    this.#notes.push(note);
    for (const waiter of this.#waiting) if (waiter.method === note.method) waiter.resolve(true);
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

  /** Sees each message before the SDK does: only the wire tells a peer's error from one the SDK made itself. */
  tap(transport, see = () => {}) {
    let inner;
    const seen = (message, extra) => {
      if (message.error !== undefined) this.refusals.push(message.error);
      see(message);
      return inner?.(message, extra);
    };
    Object.defineProperty(transport, 'onmessage', {
      configurable: true,
      get: () => (inner === undefined ? undefined : seen),
      set: (handler) => (inner = handler)
    });
  }
}
