"""Session clients before a stateless server: the chasm between 2025-11-25 and 2026-07-28, going down.

The client's side sees a 2025-11-25 server with `initialize`, a session, a GET stream and questions as real requests;
the server's side sees a 2026-07-28 client that sends self-contained requests. What has no counterpart is kept here:

    the client says                     the machine
    initialize                          answers from server/discover, cached as long as that allows
    notifications/initialized           keeps it
    ping                                answers
    logging/setLevel                    answers, and stamps the level on every later request
    resources/subscribe, unsubscribe    changes the one subscriptions/listen (see listening)
    notifications/cancelled             closes the call's leg, which is the cancellation
    an answer to a question             collects it; the last one starts the retry (see rounds)
    anything else                       becomes a leg: envelope, minted id, mirrored headers

`handle(event, now)` is sans-IO. Towards the client a `ToClient` names the call (or STANDING) it belongs to; towards the
server every `ToServer` is a leg of its own, answered once.
"""

from __future__ import annotations

from translators.session_client.facts import Facts
from translators.session_client.machine import SessionClient

__all__ = ["Facts", "SessionClient"]
