"""Calls that policy lets through without another look: equal ones have passed, and nothing else of them matters.

Most calls are of a few tools by a few callers. Where every hook says that its verdict on a request depends on
the method, the target and the caller alone (`Hook.lasting`), the first verdict stands for all that are alike.
Invariants: alike are requests whose target has the same bytes, of the very same caller; what is kept is bounded, and
forgotten when there are other hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Raw

from broker.hooks import inner
from broker.hooks.names import TARGETS

if TYPE_CHECKING:
    from broker.hooks.base import Caller, CallInfo
    from broker.hooks.runner import Runner
    from protocol_versions.jsonrpc import Frame

MAX_PASSED: Final = 4_096
"""Kinds of calls kept for one server; a session calls some dozens of tools, and each session is a caller."""

MAX_TARGET: Final = 512
"""Bytes of a target that is kept; names and URIs of real servers have below 200."""

_RESPONSES: Final = inner.RESPONSES
_MEMBER: Final = {method: member for method, (_, member) in TARGETS.items()}

Key = tuple[str, Any, int]


class Passed:
    """What calls of one server have been let through. `key` is that of the request asked about last, if any."""

    __slots__ = ("_known", "key")

    def __init__(self) -> None:
        self._known: dict[Key, CallInfo] = {}
        self.key: Key | None = None

    def like(self, frame: Frame, caller: Caller) -> CallInfo | None:
        """What is known of a call that was let through and is like this one; None if there is none."""
        method: Any = frame.method
        member, params = _MEMBER.get(method), frame.params
        if member is None or params is UNSET:
            self.key = None
            return None
        target: Any = params.get(member)
        if type(target) is Raw:
            target = bytes(target)
        elif type(target) is not str:
            self.key = None
            return None
        key = method, target, id(caller)
        found = self._known.get(key)
        # A caller is kept with what it was let through for, so that no other can come to its number.
        if found is not None and found.caller is caller and _RESPONSES not in params:
            return found
        self.key = None if len(target) > MAX_TARGET or _RESPONSES in params else key
        return None

    def learn(self, hooks: Runner, info: CallInfo) -> None:
        """The request asked about last has passed every hook."""
        key, self.key = self.key, None
        if key is None or not hooks.lasting(info.method, info):
            return
        if len(self._known) >= MAX_PASSED:
            del self._known[next(iter(self._known))]
        self._known[key] = info
