// A client application's half of signing in: what it remembers, and a person who consents to everything at once.
//
// The SDK does the rest, but for two things that are the application's: it takes the code back from the browser, and
// it tries again what the person was asked for.

import { randomUUID } from 'node:crypto';

const CALLBACK = 'http://127.0.0.1:1/callback'; // nobody listens there: the browser's next address is read, not visited

/** The SDK's OAuthClientProvider. `scope`: what is asked for where the release or the challenge does not say it. */
export class Person {
  #answer;
  #client;
  #state;
  #tokens;
  #verifier;
  #whole;

  /** `whole`: this release is handed all that the browser brought back, not the code alone. */
  constructor(scope, whole = false) {
    this.redirectUrl = CALLBACK;
    this.clientMetadata = {
      client_name: 'typescript-scripted',
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      ...(scope === '' ? {} : { scope })
    };
    this.#whole = whole;
  }

  clientInformation() {
    return this.#client;
  }

  saveClientInformation(client) {
    this.#client = client;
  }

  tokens() {
    return this.#tokens;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
  }

  codeVerifier() {
    return this.#verifier;
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }

  state() {
    this.#state = randomUUID();
    return this.#state;
  }

  /** Opens the page; it sends straight back. */
  async redirectToAuthorization(page) {
    const answer = await fetch(page, { redirect: 'manual' });
    const back = answer.headers.get('location');
    if (back === null || !back.startsWith(CALLBACK)) {
      throw new Error(`no redirect but HTTP ${answer.status}: ${await answer.text()}`);
    }
    this.#answer = new URL(back).searchParams;
    if (this.#state !== undefined && this.#answer.get('state') !== this.#state) throw new Error('another state');
  }

  /** Runs `run`; if that sent a person to a page, finishes at the transport that `at()` gives and runs it again. */
  async through(run, at) {
    try {
      return await run();
    } catch (error) {
      const answer = this.#answer;
      if (answer === undefined) throw error;
      this.#answer = undefined;
      await at().finishAuth(this.#whole ? answer : answer.get('code'));
      return run();
    }
  }
}
