"""The outcomes of a translation other than a rewritten body; anything else that is raised is our own bug.

Codes are JSON-RPC 2.0's and those the specification pages name. Texts are frozen: they never quote a peer's body.
"""

from __future__ import annotations

from typing import Any

from protocol_versions.base import Side, Slot

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class Refused(Exception):  # noqa: N818 - the outcome's name in the design, not an accident
    """A gate or an operation declares that this message must not cross; the writer is answered with `code`."""

    def __init__(self, code: int, message: str, *, reason: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.data = data
        self.step = ""
        self.change = ""
        self.path = ""
        self.slot: Slot | None = None


class Swallowed(Exception):  # noqa: N818
    """A gate declares that the reader's revision has no such notification: nothing is sent, the loss is noted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Answered(Exception):  # noqa: N818
    """A request was answered on the reader's behalf, or an error became a result.

    On a `params` slot `result` goes back to the writer; on an `error` slot it takes the error's place toward the
    reader, in the reader's revision.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__("answered by the broker")
        self.result = result


class PeerError(Exception):
    """A peer broke its own revision so badly that the message cannot be carried."""

    def __init__(self, side: Side, reason: str) -> None:
        super().__init__(reason)
        self.side = side
        self.reason = reason
