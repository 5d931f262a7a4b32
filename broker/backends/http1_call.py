"""One call's life: waiting, sent, answering, over; its deadlines; and the end that is reported exactly once.

Deadlines are looked at when something wakes the call, which then asks to be woken again: while it waits by its
own handle on the wheel, afterwards by its connection's, which outlives the call. So neither a call over an
idle connection nor a byte received touches the wheel as a rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Literal, Protocol

import msgspec

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

    def wake_by(self, deadline: float) -> None:
        """See to it that `Call.woken` runs soon after this time of the wheel's clock; earlier does no harm."""


class Owner(Protocol):
    """The pool of a call, as far as the call needs it."""

    def forget(self, call: Call) -> None:
        """A call that was not sent yet is over."""

    def connecting(self, call: Call) -> bool:
        """Whether a connection is being opened for calls like this, or all places are taken."""


class Call(msgspec.Struct, eq=False):
    """The ticket, and the record the pool and the connection work on."""

    # A Struct for its constructor in C: one call makes one of these.
    pool: Owner
    wheel: Wheel
    method: bytes
    headers: bytes
    body: bytes
    sink: Sink
    timeouts: Timeouts
    repeatable: bool
    max_body: int | None
    stream: bool
    started: float
    connection: Carrier | None = None
    handle: Handle | None = None
    phase: int = WAITING
    written: bool = False
    repeated: bool = False
    paused: bool = False
    head_due: float = 0.0
    last_read: float = 0.0
    waits_since: float = 0.0  # when a repeated call began to wait again

    def __repr__(self) -> str:
        """Without headers and body: this reaches logs of the event loop."""
        return f"<Call {self.method.decode()} {_PHASES[self.phase]}>"

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

    def sent(self, connection: Carrier, now: float) -> None:
        """A connection takes the call; from here on the backend may have executed it."""
        self.connection = connection
        self.phase = SENT
        self.written = True
        if self.handle is not None:
            self.wheel.cancel(self.handle)
            self.handle = None
        limits = self.timeouts
        if limits.head_s is not None and not self.head_due:
            self.head_due = now + limits.head_s
        due = self.head_due
        if limits.total_s is not None and (not due or self.started + limits.total_s < due):
            due = self.started + limits.total_s
        if due:
            connection.wake_by(due)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The final head arrived."""
        self.phase = ANSWERING
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
        """Be woken no later than at the next deadline."""
        if self.phase == OVER:
            return
        due = self._next_due()[0]
        if due is None:
            return
        if self.connection is not None:
            self.connection.wake_by(due)
        elif self.handle is None:
            self.handle = self.wheel.add(due, self.woken)

    def woken(self) -> None:
        """Look whether a deadline has passed."""
        self.handle = None
        due, reason = self._next_due()
        if self.phase == OVER or due is None:
            return
        if due > self.wheel.clock():
            self.watch()
        elif reason == "connect-timeout" and not self.pool.connecting(self):
            self.fail("pool-full", "no connection became free in time")
        else:
            self.fail(reason, f"no progress in phase {_PHASES[self.phase]}")

    def _next_due(self) -> tuple[float | None, _TimedOut]:
        limits = self.timeouts
        due: float | None = None
        reason: _TimedOut = "total-timeout"
        if self.phase <= SENT:
            # A repeated call waits again, but its time for the head runs since it was first sent.
            due, reason = self.head_due or None, "head-timeout"
            if self.phase == WAITING and limits.connect_s is not None:
                connect_due = (self.waits_since or self.started) + limits.connect_s
                if due is None or connect_due < due:
                    due, reason = connect_due, "connect-timeout"
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
