"""How the traffic of a client's session ends: as a whole, or its calls alone, with a reason that its client is told.

Invariant: every call that is open is answered before its stream ends. What somebody else than the client has ended is
cancelled at the server by a message of its own, because the end of a connection cancels nothing for servers with
sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from translators.machine import CallsCut, ClientGone, Event

if TYPE_CHECKING:
    from broker.backends.base import SessionBackend
    from broker.gate import Gate
    from broker.outbox import Outbox


class Ending:
    """The ends of a relay."""

    backend: SessionBackend | None
    outbox: Outbox
    gate: Gate

    def feed(self, event: Event) -> None:
        """Tell the core what happened."""
        raise NotImplementedError

    def close(self, reason: str = "session-ended") -> None:
        """The session is over: calls end, streams end, the backend's session is deleted."""
        self.feed(ClientGone(reason))
        if self.backend is not None:
            self.backend.close()
        self.outbox.close()
        self.gate.close()

    def cut(self, reason: str) -> None:
        """The calls that are open end; the session goes on."""
        self.feed(CallsCut(reason))
