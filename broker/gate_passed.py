"""Calls that policy lets through without another look: equal ones have passed, and nothing else of them matters.

Most calls of a session are of a few tools by one caller. Where every hook says that its verdict on a request depends on
the method, the target and the caller alone (`Hook.lasting`), the first verdict stands for all that are alike.
Invariants: alike are requests whose target has the same bytes, of the very same caller; what is kept is bounded, and
forgotten when there are other hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Raw

from broker.gate_edge import TARGET
from broker.hooks import inner

if TYPE_CHECKING:
    from broker.hooks.base import Caller, CallInfo
    from broker.hooks.runner import Runner
    from protocol_versions.jsonrpc import Frame

MAX_PASSED: Final = 64
"""Kinds of calls kept for one session; a session calls some dozens of tools."""

MAX_TARGET: Final = 512
"""Bytes of a target that is kept; names and URIs of real servers have below 200."""

Key = tuple[str, Any, int]


class Passed:
    """What one session's calls have been let through for. `key` is that of the request asked about last, if any."""

    __slots__ = ("_known", "key")

    def __init__(self) -> None:
        self._known: dict[Key, CallInfo] | None = None
        self.key: Key | None = None

    def like(self, frame: Frame, caller: Caller) -> CallInfo | None:
        """What is known of a call that was let through and is like this one; None if there is none."""
        self.key = None
        method, params = frame.method, frame.params
        member = TARGET.get(method)  # type: ignore[arg-type]
        if member is None or params is UNSET:
            return None
        target: Any = params.get(member)
        if type(target) is Raw:
            target = bytes(target)
        elif type(target) is not str:
            return None
        if len(target) > MAX_TARGET or inner.RESPONSES in params:
            return None
        self.key = method, target, id(caller)  # type: ignore[assignment]
        found = None if self._known is None else self._known.get(self.key)  # type: ignore[arg-type]
        # A caller is kept with what it was let through for, so that no other can come to its number.
        return found if found is not None and found.caller is caller else None

    def learn(self, hooks: Runner, info: CallInfo) -> None:
        """The request asked about last has passed every hook."""
        key, self.key = self.key, None
        if key is None or not hooks.lasting(info.method, info):
            return
        if self._known is None:
            self._known = {}
        elif len(self._known) >= MAX_PASSED:
            del self._known[next(iter(self._known))]
        self._known[key] = info

    def clear(self) -> None:
        """There are other hooks."""
        self._known = self.key = None
