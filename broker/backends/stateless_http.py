"""Requests to a stateless backend over Streamable HTTP: each is its own POST, and its answer is all there is.

Follows basic/transports/streamable-http of 2026-07-28. Invariants: an answer is matched by its HTTP exchange and then
by id; every leg ends in exactly one response or one failure; closing the connection is the cancellation; nothing is
sent twice, and no stream is resumed (event ids and `retry` mean nothing here).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import UNSET

from broker import sse
from broker.backends.base import Observer, Refusal, StatelessOwner
from broker.backends.hidden import NOTHING, Hidden
from broker.backends.http1_types import BackendFailure, Pool, Ticket
from broker.backends.legs import LINGER_S, REASONS
from broker.backends.repeats import Repeats
from broker.backends.seen import SEEN
from broker.backends.streamable_http import Deadlines
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, WireLimits

REVISION = "2026-07-28"
"""What these requests are written in."""

NOT_DISPATCHED = (401, 403, 404, 405, 406, 415)
"""Statuses without a JSON-RPC body that say the request went nowhere (RFC 9110 section 15.5)."""

HEADS, HEAD_BYTES = 64, 512  # how many written heads a session keeps, and the longest; it calls few tools
OBSERVED_TEXT = 256
"""Characters of an error's text that are shown to the observer; the sentences it looks for are shorter."""


class StatelessLegs:
    """The open requests to one backend, by numbers the owner chose. Belongs to one event loop."""

    def __init__(
        self,
        pool: Pool,
        owner: StatelessOwner,
        deadlines: Deadlines,
        limits: WireLimits,
        *,
        revision: str = REVISION,
        linger_s: float = LINGER_S,
        observer: Observer | None = None,
        hidden: Callable[[], Hidden] = lambda: NOTHING,
    ) -> None:
        self.owner = owner
        self.limits = limits
        self.linger_s = linger_s
        self.observer = observer
        self._hidden = hidden
        self.open: dict[int, StatelessLeg] = {}
        self.lingering: dict[StatelessLeg, None] = {}
        self._pool = pool
        self._heads: dict[tuple[tuple[str, str], ...], bytes] = {}
        self._deadlines = deadlines
        self._head = (
            b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
            b"mcp-protocol-version: %b\r\n" % revision.encode()
        )

    def post(self, leg: int, frame: Frame, headers: Sequence[tuple[str, str]], *, stream: bool = False) -> None:
        """Send one request. `stream` is for subscriptions/listen: a place among the streams, no total time-out.

        Raises:
            ValueError: the frame is no request, the leg is open, or a header is no line of ASCII; nothing was sent.
        """
        if frame.id is UNSET or frame.method is UNSET:
            raise ValueError("only requests are sent to a stateless backend")
        if leg in self.open:
            raise ValueError("this leg is open")
        head = self._heads.get(tuple(headers)) or self._written(tuple(headers))
        sink = StatelessLeg(self, leg, frame.id, self._hidden())
        self.open[leg] = sink
        timeouts = self._deadlines.stream if stream else self._deadlines.call
        sink.ticket = self._pool.send(b"POST", head, jsonrpc.encode(frame), sink, timeouts=timeouts, stream=stream)

    def _written(self, headers: tuple[tuple[str, str], ...]) -> bytes:
        lines = [f"{name}: {value}" for name, value in headers]
        if not all(line.isascii() and line.isprintable() for line in lines):
            raise ValueError("a header cannot be sent")
        head = self._head + "\r\n".join((*lines, "")).encode()
        if len(headers) <= 2 and len(head) <= HEAD_BYTES and len(self._heads) < HEADS:  # arguments do not come again
            self._heads[headers] = head
        return head

    def abort(self, leg: int) -> None:
        """Close the connection of a leg, which cancels its request; the owner hears nothing more of it."""
        sink = self.open.pop(leg, None)
        if sink is not None:
            sink.stop()

    def ticket(self, leg: int) -> Ticket | None:
        """The hold on an open leg's connection: `pause` and `resume` are its flow control."""
        return self.open[leg].ticket if leg in self.open else None

    def close(self) -> None:
        """Abort everything, without a word to the owner."""
        for sink in [*self.open.values(), *self.lingering]:
            sink.stop()
        self.open.clear()


class StatelessLeg:
    """One request and its answer: a JSON object, or a stream of notifications and then the response."""

    __slots__ = (
        "_answered", "_chunks", "_garbled", "_hidden", "_id", "_legs", "_name", "_parser", "_repeats", "_status",
        "_timer", "ticket",
    )  # fmt: skip

    def __init__(self, legs: StatelessLegs, name: int, frame_id: int | str, hidden: Hidden) -> None:
        self._legs: StatelessLegs | None = legs  # None when nobody is to hear of it any more
        self._name = name
        self._hidden = hidden
        self._id = frame_id
        self._status = 0
        self._chunks: list[bytes] | None = None
        self._parser: sse.Parser | None = None
        self._repeats: Repeats | None = None
        self._answered = False
        self._garbled = False
        self._timer: asyncio.TimerHandle | None = None
        self.ticket: Ticket | None = None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer's kind is decided once, by status and Content-Type."""
        self._status = status
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if self._legs is None or 300 <= status < 400:
            return
        if kind == "text/event-stream":
            self._parser = sse.Parser(self._legs.limits.backend_body)
        elif kind == "application/json" or status >= 400:  # an error's body counts under any name
            self._chunks = []

    def body(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._chunks is not None:
            self._chunks.append(data)
        elif self._parser is not None and self._legs is not None:
            try:
                events = self._parser.feed(data)
            except sse.TooLarge as error:
                self._events(error.events)
                self._overflow()
                return
            self._events(events)

    def done(self) -> None:
        """The body is complete; without a response in it the leg has failed."""
        if self._legs is None or self._answered:
            self._forget()
        elif self._parser is not None:
            self._fail("backend-garbage" if self._garbled else "backend-closed")
        elif self._chunks:
            self._whole(b"".join(self._chunks))
        elif self._status < 300:
            self._fail("backend-garbage")  # 202 is for notifications, and HTML for people
        else:
            self._refusal("")

    def failed(self, failure: BackendFailure) -> None:
        """The connection failed; there is no second one."""
        if self._legs is None or self._answered:
            self._forget()
        else:
            self._fail(REASONS.get(failure.reason, "backend-closed"), failure.executed)

    def stop(self) -> None:
        """Nobody waits for this leg any more."""
        self._forget()
        if self.ticket is not None:
            self.ticket.abort()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._legs is not None:
            self._legs.lingering.pop(self, None)
            self._legs = None

    def _whole(self, body: bytes) -> None:
        legs = self._legs
        assert legs is not None
        if self._hidden.forms:
            body = self._hidden.clean(body)
        try:
            frame = SEEN.decode(body, legs.limits)
        except jsonrpc.Refused:
            if self._status < 400:
                self._fail("backend-garbage")
            else:
                self._refusal(body[:OBSERVED_TEXT].decode("utf-8", "replace"))
            return
        if not self._answers(frame):
            self._fail("backend-garbage" if self._status < 400 else "backend-status")

    def _events(self, events: list[sse.Event]) -> None:
        for event in events:
            legs = self._legs
            if legs is None:
                return
            if not event.data or event.name != "message":
                continue  # a kind of event this transport does not define
            if self._answered:
                legs.owner.leg_violation(self._name, "message-after-answer")
                continue
            data = self._hidden.clean(event.data) if self._hidden.forms else event.data
            try:
                frame = SEEN.decode(data, legs.limits)
            except jsonrpc.Refused as refused:
                if refused.id is not None and refused.id == self._id:
                    self._fail("backend-garbage")  # this was to be the response: no other will come
                    return
                self._garbled = True
                legs.owner.leg_violation(self._name, "unreadable-event")
                continue
            if frame.kind == "notification":
                if self._repeats is None:
                    self._repeats = Repeats()
                if not self._repeats.holds(frame, self._again):
                    legs.owner.leg_message(self._name, frame)
            elif frame.kind == "request":
                legs.owner.leg_violation(self._name, "backend-request")
            elif not self._answers(frame):
                legs.owner.leg_violation(self._name, "foreign-answer")

    def _again(self, frame: Frame) -> None:
        if self._legs is not None and not self._answered:
            self._legs.owner.leg_message(self._name, frame)

    def _answers(self, frame: Frame) -> bool:
        """Give the owner its response, if the frame is one.

        An error counts without our id when it has none, or when the status says that this POST was refused: servers
        answer what they did not read with `null` or "server-error". A status of error makes no result.
        """
        legs = self._legs
        own = frame.id == self._id
        if legs is None or frame.method is not UNSET:
            return False
        if frame.error is not UNSET:
            if self._status == 401:  # whatever it says, it is about our credentials
                self._refusal(frame.error.message)
                return True
            if not own and frame.id is not UNSET and self._status < 400:
                return False
            if legs.observer is not None:
                error = frame.error
                legs.observer(self._name, Refusal(self._status, error.code, error.message[:OBSERVED_TEXT], not own))
            frame = frame if own else Frame(id=self._id, error=frame.error)
        elif not own or self._status >= 400:
            return False
        self._answered = True
        legs.open.pop(self._name, None)
        if self._parser is not None:
            legs.lingering[self] = None
            self._timer = asyncio.get_running_loop().call_later(legs.linger_s, self.stop)
        legs.owner.leg_message(self._name, frame)
        return True

    def _overflow(self) -> None:
        legs = self._legs
        if legs is not None and self._answered:
            legs.owner.leg_violation(self._name, "event-too-large")
            self.stop()
        elif legs is not None:
            self._fail("too-large")

    def _refusal(self, text: str) -> None:
        """A status without a JSON-RPC body that could be given on."""
        if self._legs is not None and self._legs.observer is not None:
            self._legs.observer(self._name, Refusal(self._status, None, text[:OBSERVED_TEXT]))
        reason = "backend-unauthorized" if self._status in (401, 403) else "backend-status"
        self._fail(reason, "no" if self._status in NOT_DISPATCHED else "unknown")

    def _fail(self, reason: str, executed: Literal["no", "unknown"] = "unknown") -> None:
        legs = self._legs
        if legs is None:
            return
        legs.open.pop(self._name, None)
        self.stop()
        legs.owner.leg_failed(self._name, reason, executed)
