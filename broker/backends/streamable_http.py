"""One session with a backend over Streamable HTTP: POST legs, the standing GET stream, DELETE.

Follows basic/transports of 2025-03-26 to 2025-11-25. Invariants: an answer is matched by its HTTP exchange and then by
id, never by id alone; only a JSON-RPC response ends a call, never the end of a body; nothing is sent twice except a
call the backend provably never ran; header values come from this leg's own negotiation, never from the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, structs

from broker.backends.base import Headers, Owner, lines_of
from broker.backends.batches import batch_of
from broker.backends.farewell import Farewells
from broker.backends.hidden import NOTHING, Hidden
from broker.backends.http1_types import Pool, Sink, Ticket, Timeouts
from broker.backends.legs import NotifyLeg, PostLeg
from broker.backends.repeats import Repeats
from broker.backends.seen import SEEN
from broker.backends.standing import StandingLeg
from protocol_versions import jsonrpc
from protocol_versions.base import Traits
from protocol_versions.jsonrpc import Frame, WireLimits
from translators.machine import ToServer

SESSION_ID_MAX = 1024
"""Longest session id adopted from a backend; sealed ids of gateways stay below it."""


class Deadlines:
    """The timeouts of the four kinds of leg, made once per backend."""

    def __init__(self, *, connect_s: float, head_s: float, idle_s: float, total_s: float, stream_idle_s: float) -> None:
        self.call = Timeouts(connect_s=connect_s, head_s=head_s, idle_s=idle_s, total_s=total_s)
        self.short = Timeouts(connect_s=connect_s, head_s=connect_s, idle_s=connect_s, total_s=2 * connect_s)
        self.stream = Timeouts(connect_s=connect_s, head_s=head_s, idle_s=stream_idle_s, total_s=None)

    @classmethod
    def of(cls, limits: Any, *, wait_s: float = 0.0) -> Deadlines:
        """From the limits of the configuration; a call that waits for a person is silent for `wait_s` more."""
        return cls(
            connect_s=limits.connect_s,
            head_s=limits.call_head_s + wait_s,
            idle_s=limits.call_idle_s + wait_s,
            total_s=limits.call_total_s,
            stream_idle_s=limits.get_stream_idle_s,
        )


class BackendSession:
    """A session as the backend knows it. `version` is what it negotiated, empty before `initialize` is answered."""

    acknowledges = False
    one_line = False

    def __init__(
        self,
        pool: Pool,
        owner: Owner,
        deadlines: Deadlines,
        limits: WireLimits,
        farewells: Farewells,
        hidden: Hidden = NOTHING,
    ) -> None:
        self.pool = pool
        self.hidden = hidden
        self.farewells = farewells
        self.owner = owner
        self.deadlines = deadlines
        self.limits = limits
        self.session_id: str | None = None
        self.batching = False
        self.streams = False  # whether any answer of this backend came as a stream
        self._post = b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
        self._get = b"accept: text/event-stream\r\n"
        self._identity = b""
        self._extra = b""  # what policy adds to `initialize`, for what belongs to no call
        self._head = self._post
        self.repeats = Repeats()
        self.standing: StandingLeg | None = None
        self.legs: dict[int, PostLeg] = {}
        self.closed = False

    def settle(self, revision: str, traits: Traits) -> None:
        """The backend's revision and session id are known: every later request names them."""
        self.batching = traits.batching
        identity = b""
        if traits.version_header:
            identity += b"mcp-protocol-version: %b\r\n" % revision.encode()
        if self.session_id is not None:
            identity += b"mcp-session-id: %b\r\n" % self.session_id.encode()
        self._identity = identity
        self._head = self._post + identity + self._extra

    def frames(self, data: bytes) -> list[Frame]:
        """The messages of one event or body: one, or several where the backend's revision has batches."""
        texts = batch_of(data, self.limits, self.owner.backend_violation) if self.batching else [data]
        found: list[Frame] = []
        for text in texts:
            try:
                found.append(self.decode(text))
            except jsonrpc.Refused:
                self.owner.backend_violation("unreadable-event")
        return found

    def decode(self, data: bytes) -> Frame:
        """One message, without what is to be hidden. Raises `Refused` for what is none."""
        return SEEN.decode(self.hidden.clean(data) if self.hidden.forms else data, self.limits)

    def notified(self, call: int, frame: Frame) -> None:
        """A message of the backend that is no answer, on the stream of a call or on the standing one (0)."""
        if frame.id is not UNSET or not self.repeats.holds(frame, self._notified_again):
            self.owner.backend_message(call, frame)

    def _notified_again(self, frame: Frame) -> None:
        if not self.closed:
            self.owner.backend_message(0, frame)

    def forget(self) -> None:
        """The backend lost the session: the next `initialize` starts from nothing."""
        self.session_id = None
        self._identity = b""
        self._head = self._post
        if self.standing is not None:
            self.standing.stop()
            self.standing = None

    def send(self, effect: ToServer) -> None:
        """Write what the relay decided to send."""
        body = jsonrpc.encode(effect.frame)
        if effect.call:
            if effect.initialize:
                self._extra = lines_of(effect.headers)
            self.request(effect.call, body, initialize=effect.initialize, headers=effect.headers)
        else:
            self.notify(body, effect.exchange)

    def request(self, call: int, body: bytes, *, initialize: bool = False, headers: Headers = ()) -> None:
        """POST a request; its answer or failure comes to the owner."""
        head = self._head if not headers else self._post + self._identity + lines_of(headers)
        leg = PostLeg(self, call, body, initialize)
        self.legs[call] = leg
        leg.ticket = self.pool.send(b"POST", head, body, leg, timeouts=self.deadlines.call)

    def notify(self, body: bytes, exchange: int) -> None:
        """POST a notification or an answer; the owner learns when the backend took it."""
        self.pool.send(b"POST", self._head, body, NotifyLeg(self, body, exchange), timeouts=self.deadlines.short)

    def sent(self, call: int) -> bytes:
        """The request of an open call."""
        leg = self.legs.get(call)
        return b"" if leg is None else leg.payload

    def abort(self, call: int) -> None:
        """Stop a call's leg; the owner hears nothing more of it."""
        leg = self.legs.pop(call, None)
        if leg is not None:
            leg.stop()

    def open_stream(self) -> None:
        """Open the standing stream and keep it open until `close`."""
        if self.closed:
            return
        if self.standing is not None:
            self.standing.stop()
        self.standing = StandingLeg(self)
        self.standing.start()

    def close(self) -> None:
        """End everything; a session the backend gave us is deleted."""
        self.closed = True
        if self.standing is not None:
            self.standing.stop()
        for leg in list(self.legs.values()):
            leg.stop()
        self.legs.clear()
        if self.session_id is not None:
            # A handshake that failed after its answer was never settled: its session is named all the same.
            identity = self._identity or b"mcp-session-id: %b\r\n" % self.session_id.encode()
            identity += self._extra
            self.pool.send(b"DELETE", identity, b"", self.farewells.begin(), timeouts=self.deadlines.short)
            self.session_id = None

    def get(self, sink: Sink, last_event_id: str, *, total_s: float | None = None) -> Ticket:
        """GET a stream, from the beginning or after an event; for no longer than `total_s`."""
        head = self._get + self._identity + self._extra
        if last_event_id:
            head += b"last-event-id: %b\r\n" % last_event_id.encode()
        timeouts = self.deadlines.stream
        if total_s is not None:
            timeouts = structs.replace(timeouts, total_s=total_s)
        return self.pool.send(b"GET", head, b"", sink, timeouts=timeouts)

    def adopt(self, headers: Mapping[str, str]) -> None:
        """Take the session id of an `initialize` answer, if it is one the specification allows."""
        session_id = headers.get("mcp-session-id")
        if session_id is None:
            return
        if 0 < len(session_id) <= SESSION_ID_MAX and all("!" <= char <= "~" for char in session_id):
            self.session_id = session_id
        else:
            self.owner.backend_violation("session-id")
