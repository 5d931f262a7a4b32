"""What a trail is told of a server's messages besides, for whoever measures them. The audit log does not."""

from __future__ import annotations

from protocol_versions.jsonrpc import Frame


class Unmeasured:
    """Nobody measures."""

    __slots__ = ()

    def arrived(self, call: int, frame: Frame) -> float:  # noqa: ARG002
        """A message of the server, 0 on no call's stream; when it was, by the clock of whoever measures, else 0."""
        return 0.0

    def passed(self, call: int, frame: Frame, since: float) -> None:
        """A message that is no answer, and arrived at `since`, went on to the client."""
