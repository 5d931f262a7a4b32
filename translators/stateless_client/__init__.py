"""Stateless clients before a session server: the chasm between 2025-11-25 and 2026-07-28, going up.

The client's side sees a 2026-07-28 server that answers self-contained requests; the server's side sees one 2025-11-25
client per session, played by this machine. One machine is one session; who shares it is for the broker to decide (one
caller, one set of declared capabilities). What has no counterpart is kept here:

    the client sends                    the machine
    server/discover                     answers from the `initialize` result of its session
    a level in `_meta`                  raises the session's level if it must, and filters for each request
    subscriptions/listen                subscribes, acknowledges, and passes on what comes on any stream (listening)
    a retry with `requestState`         brings the answers to the suspended call and takes its place (resuming)
    closing a request's connection      notifications/cancelled
    anything else                       the request in the older revision's words, under an id of its own

    the server sends                    the machine
    a question during a call            ends the request with `input_required` and suspends the call (questions, rounds)
    a question before any call          keeps it for the first request that may ask (setup)
    -32042, URLs to visit               asks for them in the same way; the call is sent again after consent (urls)
    ping                                answers
    progress, log messages              the request that waits now; the last ones are kept while none does (notices)
    list changes, updates               the listening requests that want them (listening)

`handle(event, now)` is sans-IO. Towards the server a `ToServer` is what the session's Conversation is told by its
client; towards the client a `ToClient` names the leg: one request of a client that waits for an answer.
A call that runs at the server outlives its legs: it is never run again, whatever a client sends twice. What is kept is
plain data but for what sessions share (habits, roots, quotas) and the lanes: it can be written and read between any two
events, though nothing does so, because what it is about is a connection to the server that ends with the process.

Deviations from a plain reading of the pages: an elicitation nobody answers in time is answered `cancel`, and sampling
and roots with an error, because the session server waits for something; a call whose connection is lost ends as a tool
error that says it may have taken effect, because a model can act on that and on a code it cannot.
"""

from __future__ import annotations

from translators.stateless_client.calls import Asked, Greeted, Habits, Memory, Unopened
from translators.stateless_client.machine import Rules, StatelessClient
from translators.stateless_client.state import LOST, State, bad_state, read_state

__all__ = [
    "LOST",
    "Asked",
    "Greeted",
    "Habits",
    "Memory",
    "Rules",
    "State",
    "StatelessClient",
    "Unopened",
    "bad_state",
    "read_state",
]
