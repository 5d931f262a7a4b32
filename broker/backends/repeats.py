"""The same announcement again and again: told at once, and once more at the end of a while in which it came again.

Follows the pages on lists of every revision: an announcement says that a list may have changed, and nothing else, so
that a reader of two learns what a reader of one does, and reads the list once more for each. Some servers announce for
each of a thousand tools. Invariant: after the last announcement of a storm there is one that is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from protocol_versions.jsonrpc import Frame

WITHIN_S: Final = 0.2
"""How long an announcement stands for those that follow; below the 0.3 s in which the TypeScript SDK gathers them."""

_SUFFIX: Final = "/list_changed"

Tell = Callable[[Frame], None]


class Later(Protocol):
    """How a loop is asked to call back."""

    def __call__(self, delay_s: float, callback: Callable[..., Any], *given: Any) -> Any: ...


class Repeats:
    """The announcements of one stream or session. `later`: by default the running loop's `call_later`."""

    __slots__ = ("_later", "_waiting")

    def __init__(self, later: Later | None = None) -> None:
        self._later = later
        self._waiting: dict[str, Frame | None] = {}

    def holds(self, frame: Frame, tell: Tell) -> bool:
        """True if the same was told a moment ago: `tell` is given it once more when that moment is over."""
        method: Any = frame.method
        if not method.endswith(_SUFFIX):
            return False
        if method in self._waiting:
            self._waiting[method] = frame
            return True
        self._waiting[method] = None
        later = self._later or asyncio.get_running_loop().call_later
        later(WITHIN_S, self._over, method, tell)
        return False

    def _over(self, method: str, tell: Tell) -> None:
        frame = self._waiting.pop(method)
        if frame is not None and not self.holds(frame, tell):
            tell(frame)
