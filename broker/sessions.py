"""The sessions of one virtual server: found by id, owned by one principal, ended by DELETE, idleness or age.

Ids carry 192 random bits and no meaning. A session of another principal looks exactly like one that does not exist
(basic/security_best_practices, session hijacking).
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from broker.outbox import Outbox
from broker.relay import Relay
from broker.wheel import Wheel

SWEEP_S = 15.0
"""How often idle sessions are looked for; far finer than any sensible time to live."""


class Session:
    """One client's session."""

    __slots__ = ("created", "head", "id", "outbox", "principal", "relay", "revision", "used")

    def __init__(self, principal: str, revision: str, relay: Relay, now: float) -> None:
        self.id = secrets.token_urlsafe(24)
        self.head = f"Content-Type: application/json\r\nMcp-Session-Id: {self.id}\r\n".encode()
        self.principal = principal
        self.revision = revision
        self.relay = relay
        self.outbox: Outbox = relay.outbox
        self.created = now
        self.used = now
        trail = getattr(relay, "trail", None)
        if trail is not None:
            trail.within(self.id)

    @property
    def busy(self) -> bool:
        """True while a call or a stream of it is open."""
        return bool(self.outbox.exchanges) or any(stream.attached for stream in self.outbox.standing)


class TooManySessions(Exception):  # noqa: N818 - the outcome's name in the design
    """The caller, or the process, holds as many sessions as allowed."""


class Sessions:
    """Registry with limits. `on_end` is told of each session that is removed."""

    def __init__(
        self,
        wheel: Wheel,
        *,
        ttl_s: float,
        lifetime_s: float,
        per_principal: int,
        total: int,
        event_store_s: float,
        on_end: Callable[[Session, str], None] = lambda _session, _why: None,
    ) -> None:
        self._wheel = wheel
        self._ttl_s = ttl_s
        self._lifetime_s = lifetime_s
        self._per_principal = per_principal
        self._total = total
        self._event_store_s = event_store_s
        self._on_end = on_end
        self._by_id: dict[str, Session] = {}
        self._counts: dict[str, int] = {}
        self._places: Counter[str] = Counter()
        self._sweeping = False

    def __iter__(self) -> Iterator[Session]:
        """Every session."""
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    @contextmanager
    def place(self, principal: str) -> Iterator[None]:
        """Room for one more session of a caller while it is opened, or as long as it lasts and is registered nowhere.

        Raises:
            TooManySessions: one more is not allowed.
        """
        if self._full(principal):
            self._sweep()
            if self._full(principal):
                raise TooManySessions(principal)
        self._places[principal] += 1
        try:
            yield
        finally:
            self._places[principal] -= 1
            if not self._places[principal]:
                del self._places[principal]

    def _full(self, principal: str) -> bool:
        own = self._counts.get(principal, 0) + self._places[principal]
        return len(self._by_id) + self._places.total() >= self._total or own >= self._per_principal

    def add(self, session: Session) -> None:
        """Register a session whose handshake succeeded."""
        self._by_id[session.id] = session
        self._counts[session.principal] = self._counts.get(session.principal, 0) + 1
        if not self._sweeping:
            self._sweeping = True
            self._wheel.add(self._wheel.clock() + SWEEP_S, self._tick)

    def find(self, session_id: str, principal: str) -> Session | None:
        """The caller's session of that id; using it keeps it alive."""
        session = self._by_id.get(session_id)
        if session is None or session.principal != principal:
            return None
        session.used = self._wheel.clock()
        return session

    def end(self, session: Session, why: str) -> None:
        """Remove a session and close all that belongs to it."""
        if self._by_id.pop(session.id, None) is None:
            return
        left = self._counts[session.principal] - 1
        if left:
            self._counts[session.principal] = left
        else:
            del self._counts[session.principal]
        session.relay.close(why if why == "revoked" else "session-ended")
        self._on_end(session, why)

    def end_all(self, why: str) -> None:
        """Close every session."""
        for session in list(self._by_id.values()):
            self.end(session, why)

    def busy(self) -> int:
        """How many calls are open, over all sessions."""
        return sum(len(session.outbox.exchanges) for session in self._by_id.values())

    def _tick(self) -> None:
        self._sweep()
        self._sweeping = bool(self._by_id)
        if self._sweeping:
            self._wheel.add(self._wheel.clock() + SWEEP_S, self._tick)

    def _sweep(self) -> None:
        now = self._wheel.clock()
        for session in list(self._by_id.values()):
            if now - session.created > self._lifetime_s:
                self.end(session, "lifetime")
            elif not session.busy and now - session.used > self._ttl_s:
                self.end(session, "idle")
            else:
                if session.busy:
                    session.used = now
                session.outbox.expire(now - self._event_store_s)
