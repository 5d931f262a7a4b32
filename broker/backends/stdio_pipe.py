"""Stateless requests to a child process of 2026-07-28: one process, any number of owners, every id its own.

Follows basic/transports/stdio of 2026-07-28. On a pipe a notification names what it belongs to: progress by its token,
a subscription's by its id; a log message names nothing and goes to the newest open request that asked for messages.
Invariants: ids and tokens of different owners never meet; every leg ends in exactly one response or one failure;
nothing is sent again to the process that takes the place of one that ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET, Raw

from broker.backends.base import Flow, Observer, Refusal, StatelessOwner
from broker.backends.child import Child
from broker.backends.repeats import Repeats
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, Id
from translators import tree
from translators.asks import UNREADABLE
from translators.reply import notify

if TYPE_CHECKING:
    from broker.backends.stdio_reach import StdioReach

PREFIX = "io.modelcontextprotocol/"
SUBSCRIPTION = PREFIX + "subscriptionId"
LEVEL = PREFIX + "logLevel"
TEXT = 256
"""Characters of an error's text that are shown to an observer."""


class Open(msgspec.Struct):
    """A request at the process: whose it is, and under which id and token they know it.

    `due` is when it is given up, which progress puts off; no further than to `latest`.
    """

    legs: StdioLegs
    leg: int
    own_id: Id
    token: Any
    wants_log: bool
    stream: bool
    due: float
    latest: float
    repeats: Repeats | None = None

    def heard(self, frame: Frame) -> None:
        """A notification for it, told unless the same was told a moment ago."""
        if self.stream:
            if self.repeats is None:
                self.repeats = Repeats()
            if self.repeats.holds(frame, self.tell):
                return
        self.tell(frame)

    def tell(self, frame: Frame) -> None:
        """Tell its owner, as long as it is open."""
        if self.legs.is_open(self.leg):
            self.legs.owner.leg_message(self.leg, frame)


class SharedPipe:
    """The process that all stateless requests go to; started by the first, and again by the first after its end."""

    def __init__(self, reach: StdioReach) -> None:
        self.reach = reach
        self.child: Child | None = None
        self.open: dict[int, Open] = {}
        self._minted = 0

    def send(self, legs: StdioLegs, leg: int, frame: Frame, *, stream: bool) -> int:
        """Write a request under an id of this pipe, which is returned; 0 if it cannot be written."""
        if self.child is None:
            self.child = self.reach.spawn(self)
        self._minted += 1
        number = self._minted
        params: dict[str, Any] = dict(frame.params) if frame.params is not UNSET else {}
        meta = params.get("_meta")
        token, wants_log = None, False
        raw = bytes(meta) if type(meta) is Raw else None
        if meta is not None and (raw is None or b"progressToken" in raw or b"logLevel" in raw):
            opened = dict(tree.shallow(meta))
            wants_log = LEVEL in opened
            if "progressToken" in opened:
                token = tree.deep(opened["progressToken"])
                opened["progressToken"] = number
            params["_meta"] = opened
        now = self.reach.now()
        due, latest = (float("inf"), float("inf")) if stream else (now + self.reach.head_s, now + self.reach.total_s)
        assert frame.id is not UNSET
        self.open[number] = Open(legs, leg, frame.id, token, wants_log, stream, due, latest)
        if not self.child.write(jsonrpc.encode(Frame(id=number, method=frame.method, params=params))):
            del self.open[number]
            return 0
        return number

    def cancel(self, number: int) -> None:
        """Tell the process that nobody waits for a request any more."""
        if self.open.pop(number, None) is not None and self.child is not None:
            self.child.write(jsonrpc.encode(notify("notifications/cancelled", {"requestId": number})))

    def sweep(self, now: float) -> None:
        """Give up what has waited too long."""
        for number, one in [(number, one) for number, one in self.open.items() if one.due <= now]:
            self.cancel(number)
            one.legs.failed(one.leg, "backend-timeout")

    # ---- what the process says (broker.backends.base.ChannelOwner) --------------------------------------------------

    def channel_line(self, line: bytes) -> None:
        """One message."""
        if self.reach.hidden.forms:
            line = self.reach.hidden.clean(line)
        try:
            frame = jsonrpc.decode_backend(line, self.reach.wire)
        except jsonrpc.Refused:
            self.channel_violation("unreadable-line")
            return
        if frame.method is UNSET:
            one = self.open.pop(frame.id, None) if type(frame.id) is int else None
            if one is None:
                self.channel_violation("foreign-answer")
            else:
                one.legs.answered(one, frame)
        elif frame.id is not UNSET:
            self.channel_violation("backend-request")
        else:
            self._notified(frame)

    def channel_ended(self, reason: str) -> None:
        """The process is gone; its requests are lost."""
        self.child = None
        lost, self.open = self.open, {}
        for one in lost.values():
            one.legs.failed(one.leg, reason)

    def channel_refused(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A pipe refuses nothing."""

    def channel_violation(self, reason: str) -> None:
        """It wrote something that is carried nowhere."""
        self.reach.violation(reason)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _notified(self, frame: Frame) -> None:
        try:
            one = self._meant(frame)
        except UNREADABLE:
            self.channel_violation("unreadable-line")
            return
        if one is None:
            self.channel_violation("unrelated-notification")
        elif frame.method == "notifications/cancelled":
            one.legs.failed(one.leg, "backend-closed")  # a server cancels subscriptions alone: this one is over
        else:
            one.heard(frame)

    def _meant(self, frame: Frame) -> Open | None:
        """The request a notification belongs to, which is then in its owner's words. Raises what UNREADABLE lists."""
        params: Any = frame.params if frame.params is not UNSET else {}
        number: Any = None
        if frame.method == "notifications/progress":
            number = tree.deep(params.get("progressToken"))
            one = self.open.get(number) if type(number) is int else None
            if one is not None:
                one.due = min(max(one.due, self.reach.now() + self.reach.head_s), one.latest)
                frame.params = {**params, "progressToken": one.token}
        elif frame.method == "notifications/message":
            one = next((each for each in reversed(self.open.values()) if each.wants_log), None)
        elif frame.method == "notifications/cancelled":
            number = tree.deep(params.get("requestId"))
            one = self.open.pop(number, None) if type(number) is int else None
        else:
            meta = tree.shallow(params.get("_meta"))
            number = tree.deep(meta.get(SUBSCRIPTION)) if isinstance(meta, dict) else None
            one = self.open.get(number) if type(number) is int else None
            if one is not None:
                marked: dict[str, Any] = {**meta, SUBSCRIPTION: one.own_id}
                frame.params = {**params, "_meta": Raw(msgspec.json.encode(marked))}
        return one


class StdioLegs:
    """One owner's open requests."""

    def __init__(self, pipe: SharedPipe, owner: StatelessOwner, observer: Observer | None) -> None:
        self.pipe = pipe
        self.owner = owner
        self._observer = observer
        self._numbers: dict[int, int] = {}

    def post(self, leg: int, frame: Frame, headers: Sequence[tuple[str, str]], *, stream: bool = False) -> None:  # noqa: ARG002
        """Write one request. A pipe has no headers: what they would say stands in the body."""
        number = self.pipe.send(self, leg, frame, stream=stream)
        if number:
            self._numbers[leg] = number
        else:
            asyncio.get_running_loop().call_soon(self.owner.leg_failed, leg, "backend-closed", "no")

    def abort(self, leg: int) -> None:
        """Cancel a request; the owner hears nothing more of it."""
        number = self._numbers.pop(leg, 0)
        if number:
            self.pipe.cancel(number)

    def ticket(self, leg: int) -> Flow | None:  # noqa: ARG002
        """There is no hold on one request: to stop the pipe would be to stop everybody's."""
        return None

    def is_open(self, leg: int) -> bool:
        """True until it is answered or given up."""
        return leg in self._numbers

    def close(self) -> None:
        """Cancel everything."""
        for leg in list(self._numbers):
            self.abort(leg)

    def answered(self, one: Open, frame: Frame) -> None:
        """The response to one of them."""
        self._numbers.pop(one.leg, None)
        if frame.error is not UNSET and self._observer is not None:
            self._observer(one.leg, Refusal(200, frame.error.code, frame.error.message[:TEXT]))
        self.owner.leg_message(one.leg, Frame(id=one.own_id, result=frame.result, error=frame.error))

    def failed(self, leg: int, reason: str) -> None:
        """There will be no response; of one that was given up, perhaps because another failed, nobody is told."""
        if self._numbers.pop(leg, 0):
            self.owner.leg_failed(leg, reason, "unknown")
