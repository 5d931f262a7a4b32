"""The POST legs of a backend session: a call's answer as JSON or as a stream that may break off and be resumed.

Follows basic/transports of 2025-03-26 to 2025-11-25 (sending messages, resumability, polling). Invariants: an answer
is matched by its HTTP exchange and then by id, never by id alone; only a JSON-RPC response ends a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET

from broker import sse
from broker.backends.batches import is_batch
from broker.backends.http1_types import BackendFailure, Ticket
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.backends.streamable_http import BackendSession

MAX_RESUMES = 8
"""Consecutive resumptions of a call's stream that bring nothing; the TypeScript client gives up after 2."""
RETRY_S = (0.01, 30.0)
"""Bounds on the reconnection delay a backend may ask for."""
DEFAULT_RETRY_S = 1.0
"""Without a `retry` field; the SDKs' default."""
LINGER_S = 1.0
"""How long a call's stream may stay open after its answer; TypeScript SDK 1.10.2 never closes it after an error."""

UNSUPPORTED_VERSION = -32022
"""How a stateless server (2026-07-28) answers a request of a session."""

REASONS = {
    "connect": "backend-connect",
    "tls": "backend-connect",
    "connect-timeout": "backend-connect",
    "head-timeout": "backend-timeout",
    "idle-timeout": "backend-timeout",
    "total-timeout": "backend-timeout",
    "closed": "backend-closed",
    "protocol": "backend-garbage",
    "too-large": "too-large",
    "pool-full": "overloaded",
    "aborted": "backend-closed",
    "sign-in": "backend-sign-in",
    "credential": "backend-credential",
}
"""Why a leg failed, in the words a client is told."""


class QuietLeg:
    """A request whose outcome nobody waits for."""

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Ignored: 405 and 404 are legitimate answers to DELETE."""

    def body(self, data: bytes) -> None:
        """Ignored."""

    def done(self) -> None:
        """Ignored."""

    def failed(self, failure: BackendFailure) -> None:
        """Ignored: the backend forgets an unused session by itself."""


class NotifyLeg:
    """A POST that carries no request: 202 is all that is expected."""

    __slots__ = ("_body", "_exchange", "_named", "_session", "_status")

    def __init__(self, session: BackendSession, body: bytes, exchange: int) -> None:
        self._session = session
        self._body = body
        self._exchange = exchange
        self._named = session.session_id
        self._status = 0

    def head(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002
        """Remember the status."""
        self._status = status

    def body(self, data: bytes) -> None:
        """A body here says nothing a client could be told."""

    def done(self) -> None:
        """Taken, refused, or the session is lost."""
        owner = self._session.owner
        if self._status == 404 and self._named is not None:
            owner.backend_lost(0, self._body, self._named)
        elif self._status >= 400:
            owner.backend_violation("notification-refused")
        owner.backend_accepted(self._exchange)

    def failed(self, failure: BackendFailure) -> None:  # noqa: ARG002
        """Notifications are not repeated; the client is not kept waiting."""
        self._session.owner.backend_violation("notification-failed")
        self._session.owner.backend_accepted(self._exchange)


class PostLeg:
    """One call at the backend: a JSON answer, or a stream that may break off and be resumed."""

    __slots__ = (
        "_answered", "_chunks", "_initialize", "_mode", "_named", "_parser", "_resumes", "_retry_s",
        "_session", "_started", "_status", "_stopped", "_timer", "call", "payload", "ticket",
    )  # fmt: skip

    def __init__(self, session: BackendSession, call: int, payload: bytes, initialize: bool) -> None:
        self._session = session
        self.call = call
        self.payload = payload
        self._initialize = initialize
        self._named = None if initialize else session.session_id
        self._mode = "json"
        self._status = 0
        self._chunks: list[bytes] = []
        self._parser: sse.Parser | None = None
        self._answered = False
        self._stopped = False
        self._started = monotonic()
        self._resumes = 0
        self._retry_s = DEFAULT_RETRY_S
        self._timer: asyncio.TimerHandle | None = None
        self.ticket: Ticket | None = None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer's kind is decided once, by status and Content-Type."""
        self._status = status
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if status == 200 and kind == "text/event-stream":
            self._mode = "sse"
            self._session.streams = True
            last = self._parser.last_event_id if self._parser is not None else ""
            self._parser = sse.Parser(self._session.limits.backend_body)
            self._parser.last_event_id = last  # a resumed stream is a new body: nothing else survives
        elif kind == "application/json":
            self._mode = "json"
        else:
            self._mode = "other"
        if self._initialize and status == 200:
            self._session.adopt(headers)

    def body(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._mode == "json":
            self._chunks.append(data)
        elif self._mode == "sse" and self._parser is not None:
            try:
                events = self._parser.feed(data)
            except sse.TooLarge as error:
                self._events(error.events)
                if self._answered:
                    self._session.owner.backend_violation("event-too-large")
                    self.stop()
                elif not self._stopped:
                    self._fail("too-large")
                return
            self._events(events)

    def done(self) -> None:
        """The body is complete; without an answer in it the call is not."""
        if self._stopped or self._answered:
            if self._timer is not None:
                self._timer.cancel()
            return
        if self._mode == "sse" and self._status == 200:
            self._resume()
        elif self._parser is not None:
            self._fail("backend-closed")  # the call ran, and the rest of its stream cannot be had
        elif self._status == 404 and self._named is not None:
            self._lost()
        elif self._mode == "json" and self._chunks:
            self._json()
        elif 200 <= self._status < 300:
            self._fail("backend-garbage")
        elif self._status == 400 and self._named is not None:
            self._lost()  # pypi mcp up to 1.22 refuses an unknown session id with 400 and plain text
        else:
            self._refusal()

    def failed(self, failure: BackendFailure) -> None:
        """The connection failed; a stream that can be resumed is."""
        if self._stopped or self._answered:
            if self._timer is not None:
                self._timer.cancel()
            return
        parser = self._parser
        if self._mode == "sse" and parser is not None and parser.last_event_id and failure.reason == "closed":
            self._resume()
        else:
            self._fail(REASONS.get(failure.reason, "backend-closed"), failure.executed)

    def stop(self) -> None:
        """Nobody waits for this call any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self.ticket is not None:
            self.ticket.abort()

    def _json(self) -> None:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if self._session.batching and self._status == 200 and is_batch(body):
            for each in self._session.frames(body):
                self._frame(each)
            if not self._answered and not self._stopped:
                self._fail("backend-garbage")
            return
        try:
            frame = self._session.decode(body)
        except jsonrpc.Refused:
            if self._status < 400:
                self._fail("backend-garbage")
            else:
                self._refusal()  # OAuth's errors are JSON too
            return
        if frame.method is not UNSET:
            self._fail("backend-garbage")
        elif frame.error is not UNSET and (frame.id == self.call or frame.id is UNSET or self._status >= 400):
            # SDK servers answer a POST they refuse with `id: null` or "server-error"; it is this POST they answer.
            if self._status == 400 and frame.id != self.call and self._named is not None:
                self._lost()  # 400 with a foreign id though we sent a session id: the session is gone
                return
            if frame.error.code == UNSUPPORTED_VERSION and self._named and not self._initialize:
                self._lost()  # the server has left sessions behind: nothing of this was dispatched
                return
            self._answer(Frame(id=self.call, error=frame.error))
        elif frame.id == self.call and self._status < 400:
            self._answer(frame)
        else:
            self._fail("backend-garbage")

    def _events(self, events: list[sse.Event]) -> None:
        for event in events:
            if self._stopped:
                return
            if event.retry_ms is not None:
                self._retry_s = min(max(event.retry_ms / 1000, RETRY_S[0]), RETRY_S[1])
            if not event.data or event.name != "message":
                continue  # priming, or a kind of event this transport does not define
            self._resumes = 0
            for frame in self._session.frames(event.data):
                self._frame(frame)

    def _frame(self, frame: Frame) -> None:
        if self._stopped:
            return
        if frame.method is not UNSET:
            self._session.notified(self.call, frame)
        elif frame.id == self.call and not self._answered:
            self._answer(frame)
        else:
            self._session.owner.backend_violation("foreign-answer")

    def _answer(self, frame: Frame) -> None:
        self._answered = True
        self._session.legs.pop(self.call, None)
        if self._mode == "sse" and self.ticket is not None:
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self.stop)
        self._session.owner.backend_message(self.call, frame)

    def _lost(self) -> None:
        self._stopped = True
        self._session.legs.pop(self.call, None)
        self._session.owner.backend_lost(self.call, self.payload, self._named)

    def _refusal(self) -> None:
        executed: Literal["no", "unknown"] = "no" if self._status in (401, 403, 404, 405, 406, 415) else "unknown"
        self._fail("backend-unauthorized" if self._status in (401, 403) else "backend-status", executed)

    def _fail(self, reason: str, executed: Literal["no", "unknown"] = "unknown") -> None:
        self._stopped = True
        self._session.legs.pop(self.call, None)
        if self.ticket is not None:
            self.ticket.abort()
        self._session.owner.backend_failed(self.call, reason, executed)

    def _resume(self) -> None:
        """Polling: the backend closed the connection before the answer, after giving us an event id."""
        parser, self._resumes = self._parser, self._resumes + 1
        if parser is None or not parser.last_event_id or self._resumes > MAX_RESUMES or self._session.closed:
            self._fail("backend-closed")
            return
        self._timer = asyncio.get_running_loop().call_later(self._retry_s, self._poll)

    def _poll(self) -> None:
        if self._stopped or self._parser is None:
            return
        if (left_s := self._session.deadlines.call.total_s) is not None:
            left_s += self._started - monotonic()
        if left_s is not None and left_s <= 0:
            self._fail("backend-timeout")
        else:
            self.ticket = self._session.get(self, self._parser.last_event_id, total_s=left_s)
