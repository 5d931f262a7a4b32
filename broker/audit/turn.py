"""What the calls of one turn of the event loop have to say to the audit log, written together when the turn is over.

    hold      a call that policy has passed waits for its `admitted` line, and whatever must not overtake it waits too
    ended     an ordinary call is over, its `outcome` line waits
    over      the lines are made and given to the system in one go, then the calls are sent

One write for all calls of a turn costs less than one for each, and so do lines that are made one after the other.
Invariants: nothing is sent before its line is written; what one edge held leaves in the order in which it was held;
a call that has ended meanwhile is not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from broker import telemetry
from broker.writes import flush_all
from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.audit.admitting import Admitting
    from broker.audit.log import AuditLog
    from broker.audit.record import Record
    from broker.audit.shapes import Shape
    from broker.hooks.base import Caller

Go = Callable[[Any, bool], None]
"""Sends what was held, or, where its line could not be written, refuses it."""

Held = tuple["Admitting", "Record | None", "Caller | None", "Frame | None", Go, Any]


class Turn:
    """Belongs to one log, and so to one event loop."""

    __slots__ = ("_busy", "_ended", "_held", "_log", "_soon")

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._held: list[Held] = []
        self._ended: list[tuple[Shape, Record, float]] = []
        self._soon = self._busy = False

    def hold(
        self, trail: Admitting, record: Record | None, caller: Caller | None, frame: Frame | None, go: Go, what: Any
    ) -> None:
        """`go(what, True)` once the call of `record` is written down, `go(what, False)` if it must not be sent.

        Without a record: behind what this edge holds already.
        """
        trail.held += 1
        self._held.append((trail, record, caller, frame, go, what))
        if not self._soon:
            self.soon()

    def ended(self, shape: Shape, record: Record, now: float) -> None:
        """A call whose outcome is the ordinary one is over."""
        self._ended.append((shape, record, now))
        if not self._soon:
            self.soon()

    def soon(self) -> None:
        """Come round when this turn is over."""
        if self._soon:
            return
        try:
            asyncio.get_running_loop().call_soon(self._come_round)
        except RuntimeError:  # there is no loop: the process is about to end
            self.over()
        else:
            self._soon = True

    def _come_round(self) -> None:
        if self._soon:
            self.over()

    def over(self) -> None:
        """Write what waits, and send what may be sent; what comes meanwhile has a turn of its own."""
        if self._busy:
            return
        self._busy = True
        try:
            self._over()
        finally:
            self._busy = False
        if self._held and not self._soon:  # there is no loop
            self.over()

    def _over(self) -> None:
        self._soon = False
        log = self._log
        self.settle()
        held, self._held = self._held, []
        plain: list[tuple[Shape, Record]] = []
        for trail, record, caller, _, _, _ in held:
            if record is not None and not record.ended:
                try:
                    trail.write(record, caller, plain)  # type: ignore[arg-type]
                except Exception as error:  # it is refused, and the others are sent
                    telemetry.log("error", "internal", error=type(error).__name__)
        if plain:
            log.admitted(plain)
        log.flush()
        for trail, record, caller, frame, go, what in held:
            trail.held -= 1
            try:
                if record is None:
                    go(what, True)
                elif not record.ended:
                    go(what, trail.written(record, caller, frame))  # type: ignore[arg-type]
            except Exception as error:  # which must not keep the others from being sent
                telemetry.log("error", "internal", error=type(error).__name__)
        if held:
            flush_all()

    def settle(self) -> None:
        """Make the lines that wait, without writing them."""
        ended, self._ended = self._ended, []
        if ended:
            self._log.ended(ended)


class NoTurn(Turn):
    """Of a log that writes nothing: nothing waits."""

    __slots__ = ()

    def hold(
        self, trail: Admitting, record: Record | None, caller: Caller | None, frame: Frame | None, go: Go, what: Any
    ) -> None:
        """At once."""
        if record is not None:
            record.admitted, record.requests = True, 1
            trail.sent(record, caller, frame)  # type: ignore[arg-type]
        go(what, True)

    def ended(self, shape: Shape, record: Record, now: float) -> None:
        """No line."""

    def soon(self) -> None:
        """Nothing waits."""
