"""What a trail is told of a server's messages besides, for whoever measures them. The audit log does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.audit.record import Record
    from broker.hooks.base import Caller


class Unmeasured:
    """Nobody measures."""

    __slots__ = ()

    def sent(self, record: Record, caller: Caller, frame: Frame) -> None:
        """A request of a call goes to the server."""

    def over(self, record: Record, now: float) -> None:
        """A call is over; its record says how. `now` is of the monotonic clock."""

    def arrived(self, call: int, frame: Frame) -> float:  # noqa: ARG002
        """A message of the server, 0 on no call's stream; when it was, by the clock of whoever measures, else 0."""
        return 0.0

    def passed(self, call: int, frame: Frame, since: float) -> None:
        """A message that is no answer, and arrived at `since`, went on to the client."""
