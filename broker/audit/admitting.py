"""How a call of one edge comes to be sent: its `admitted` line is written first, with those of its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from broker.audit.lines import ALLOWED, PENDING
from broker.audit.record import Record
from broker.audit.shapes import MAX_SHAPES, Shape
from broker.audit.unmeasured import Unmeasured
from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.audit.turn import Go
    from broker.hooks.base import Caller

MAX_TARGET: Final = 512
"""Bytes of a target whose lines have a template; names and URIs of real servers have below 200."""

UNAVAILABLE: Final = "audit-unavailable"
"""Why a call was refused that could not have been written down."""

UNAVAILABLE_TEXT: Final = "The request was not sent: the audit log cannot be written"


class Admitting(Unmeasured):
    """The open calls of one edge, by the number it knows them by."""

    __slots__ = ("_shapes", "calls", "held", "log")

    def __init__(self, log: AuditLog) -> None:
        self.log = log
        self.calls: dict[int, Record] = {}
        self.held = 0
        """Messages that wait for the end of the turn."""
        self._shapes: dict[tuple[Any, ...], Shape] = {}

    def admit(self, call: int, frame: Frame, caller: Caller, go: Go, what: Any) -> None:
        """A call is about to be sent, maybe again: `go(what, True)` does that, once it is written down.

        `go(what, False)` refuses it: it must not be sent, because it could not be written down.
        """
        record = self.calls.get(call)
        if record is not None and not record.admitted and not record.held:
            record.held = True
            record.server_id = frame.id if type(frame.id) is int else 0
            record.client_revision, record.revision = caller.client_revision, caller.backend_revision
            self.log.turn.hold(self, record, caller, frame, go, what)
            return
        if record is not None:
            record.requests += 1
            self.sent(record, caller, frame)
        self.behind(go, what)

    def behind(self, go: Go, what: Any) -> None:
        """`go(what, True)`, in order with what is held."""
        if self.held:
            self.log.turn.hold(self, None, None, None, go, what)
        else:
            go(what, True)

    def write(self, record: Record, caller: Caller, plain: list[tuple[Shape, Record]]) -> None:
        """Make the `admitted` line of a call, unless nothing may be admitted now; those from a template are `plain`."""
        log = self.log
        if log.failing and not log.admits(record.method):
            return
        shape = record.shape = self._shape(record, caller) if record.server_id else None
        if shape is not None:
            plain.append((shape, record))
        else:
            self._name(record, caller)
            log.write("admitted", **self._parts(record), status=PENDING, action=ALLOWED, decision="allow")
        record.admitted = True
        log.open[record.uid] = None

    def written(self, record: Record, caller: Caller, frame: Frame) -> bool:
        """Whether the line of a call is in the file, and the call may be sent."""
        log = self.log
        if record.admitted and (not log.failing or log.admits(record.method)):
            record.requests += 1
            self.sent(record, caller, frame)
            return True
        self._name(record, caller)
        record.denied, record.reason, record.executed = True, UNAVAILABLE, "no"
        return False

    def _parts(self, record: Record) -> dict[str, Any]:
        """What every line of a call says."""
        raise NotImplementedError

    def _name(self, record: Record, caller: Caller) -> None:
        """Note who the caller is."""
        raise NotImplementedError

    def _shape(self, record: Record, caller: Caller) -> Shape | None:
        """The template of this kind of call; None if its line says more than numbers."""
        if record.arguments is not None or record.resumes or record.round != 1 or not record.revision:
            return None
        named = record.named
        key = (id(caller), record.method, bytes(named) if type(named) is Raw else named, record.peer)
        try:
            shape = self._shapes.get(key)
        except TypeError:  # what it names is an object
            return None
        if shape is None:
            if isinstance(named, Raw | str) and len(named) > MAX_TARGET:
                return None
            self._name(record, caller)
            shape = Shape(self.log.process, caller, self._parts(record))
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            self._shapes[key] = shape
        return shape
