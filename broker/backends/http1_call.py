"""One call's life: waiting, sent, answering, over; its deadlines; and the end that is reported exactly once.

A call arms one handle on the wheel. Deadlines that move (silence within a body) do not touch the wheel: the
handle looks when it fires and arms again, so that a byte received costs one clock reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Literal, Protocol

from broker.backends.http1_types import BackendFailure, Reason, Sink, Timeouts
from broker.wheel import Handle, Wheel

WAITING: Final = 0
SENT: Final = 1
ANSWERING: Final = 2
OVER: Final = 3


class Carrier(Protocol):
    """What carries a sent call: a connection of ours, or an exchange through aiohttp."""

    def drop(self) -> None:
        """Close at once; the call has been told already."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read again."""


class Owner(Protocol):
    """The pool of a call, as far as the call needs it."""

    def forget(self, call: Call) -> None:
        """A call that was not sent yet is over."""

    def connecting(self, call: Call) -> bool:
        """Whether a connection is being opened for calls like this, or all places are taken."""


class Call:
    """The ticket, and the record the pool and the connection work on."""

    __slots__ = (
        "body",
        "connection",
        "handle",
        "head_due",
        "headers",
        "last_read",
        "max_body",
        "method",
        "paused",
        "phase",
        "pool",
        "repeatable",
        "repeated",
        "sink",
        "started",
        "stream",
        "timeouts",
        "wheel",
        "written",
    )

    def __init__(
        self,
        pool: Owner,
        wheel: Wheel,
        method: bytes,
        headers: bytes,
        body: bytes,
        sink: Sink,
        timeouts: Timeouts,
        repeatable: bool,
        max_body: int | None,
        stream: bool,
    ) -> None:
        self.pool = pool
        self.wheel = wheel
        self.method = method
        self.headers = headers
        self.body = body
        self.sink = sink
        self.timeouts = timeouts
        self.repeatable = repeatable
        self.max_body = max_body
        self.stream = stream
        self.connection: Carrier | None = None
        self.handle: Handle | None = None
        self.phase = WAITING
        self.written = False
        self.repeated = False
        self.paused = False
        self.started = wheel.clock()
        self.head_due = 0.0
        self.last_read = 0.0

    # The ticket.

    def abort(self) -> None:
        """See `Ticket`."""
        self.fail("aborted", "the caller gave the call up")

    def pause(self) -> None:
        """See `Ticket`."""
        if self.phase < OVER and not self.paused:
            self.paused = True
            if self.connection is not None:
                self.connection.pause()

    def resume(self) -> None:
        """See `Ticket`."""
        if self.phase < OVER and self.paused:
            self.paused = False
            self.last_read = self.wheel.clock()
            if self.connection is not None:
                self.connection.resume()
            self.watch()

    # What the pool and the connection report.

    def sent(self, connection: Carrier) -> None:
        """A connection took the call; from here on the backend may have executed it."""
        self.connection = connection
        self.phase = SENT
        self.written = True
        head_s = self.timeouts.head_s
        if head_s is not None and not self.head_due:
            self.head_due = self.wheel.clock() + head_s

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The final head arrived."""
        self.phase = ANSWERING
        self.last_read = self.wheel.clock()
        self.sink.head(status, headers)

    def finish(self) -> None:
        """The answer is complete."""
        if self.phase < OVER:
            self._over()
            try:
                self.sink.done()
            except Exception as error:
                blame(self.sink, error)

    def fail(self, reason: Reason, detail: str) -> None:
        """End the call without an answer and give its place up."""
        if self.phase == OVER:
            return
        waiting = self.phase == WAITING
        connection = self.connection
        self._over()
        if connection is not None:
            connection.drop()
        elif waiting:
            self.pool.forget(self)
        failure = BackendFailure(reason, "unknown" if self.written else "no", detail)
        try:
            self.sink.failed(failure)
        except Exception as error:
            blame(self.sink, error)

    def _over(self) -> None:
        self.phase = OVER
        self.connection = None
        self.body = self.headers = b""
        if self.handle is not None:
            self.wheel.cancel(self.handle)
            self.handle = None

    # Deadlines.

    def watch(self) -> None:
        """Have the wheel wake this call no later than its next deadline."""
        if self.phase == OVER:
            return
        due = self._next_due()[0]
        if self.handle is not None:
            if due is not None and self.handle.deadline <= due:
                return
            self.wheel.cancel(self.handle)
        self.handle = None if due is None else self.wheel.add(due, self._woken)

    def _woken(self) -> None:
        self.handle = None
        due, reason = self._next_due()
        if due is None or due > self.wheel.clock():
            self.watch()
            return
        if reason == "connect-timeout" and not self.pool.connecting(self):
            self.fail("pool-full", "no connection became free in time")
        else:
            self.fail(reason, f"no progress in phase {_PHASES[self.phase]}")

    def _next_due(self) -> tuple[float | None, _TimedOut]:
        limits = self.timeouts
        due: float | None = None
        reason: _TimedOut = "total-timeout"
        if self.phase == SENT or (self.head_due and self.phase == WAITING):
            # A repeated call waits again, but its time for the head runs since it was first sent.
            due, reason = self.head_due or None, "head-timeout"
        elif self.phase == WAITING:
            if limits.connect_s is not None:
                due, reason = self.started + limits.connect_s, "connect-timeout"
        elif limits.idle_s is not None and not self.paused:
            due, reason = self.last_read + limits.idle_s, "idle-timeout"
        if limits.total_s is not None and (due is None or self.started + limits.total_s <= due):
            return self.started + limits.total_s, "total-timeout"
        return due, reason


_TimedOut = Literal["connect-timeout", "head-timeout", "idle-timeout", "total-timeout"]
_PHASES: Final = ("waiting", "sent", "answering", "over")


def blame(sink: Sink, error: Exception) -> None:
    """Report a sink that raised: our bug, kept away from the transport."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"{type(sink).__name__} raised while it was told of its call", "exception": error}
    )
