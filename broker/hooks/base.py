"""What a hook is: policy at the backend's edge, in the backend's revision, declared by slot.

A hook sees every message of the slots it names, whatever revision the client speaks, and answers with a verdict. It
may be a coroutine; messages of one stream keep their order while it is awaited. A hook that raises, or answers with
anything else than a verdict, denies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from protocol_versions.base import Part, Side, Slot

Body = dict[str, Any]


class Caller(msgspec.Struct, frozen=True):
    """Who sent the call, and in which revisions it is spoken on both sides.

    `principal`, `kind` (`key`, `token`, `certificate`, `local`, `anonymous`; `shared` for what a session that all
    callers share does of its own), `claims`, `scopes` and `expires_at` (seconds since the epoch) are proven. What the
    client says of itself is not: `client_name` and `client_version` are empty where it says nothing, and no reason to
    allow anything. `backend_revision` is empty until the backend has named one.
    """

    principal: str = ""
    kind: str = ""
    claims: Mapping[str, Any] = {}
    scopes: frozenset[str] = frozenset()
    expires_at: float | None = None
    client_name: str = ""
    client_version: str = ""
    client_revision: str = ""
    backend_revision: str = ""


class CallInfo(msgspec.Struct, frozen=True):
    """The call a message belongs to: its method, target (tool or prompt name, or URI), caller and backend.

    `round` counts the requests of one call: from 2 on, they are retries that answer what the server asked.
    `principal` is the caller's id, and `caller` all that is known of it.
    """

    method: str
    target: str | None
    principal: str
    backend: str
    round: int = 1
    caller: Caller = Caller()


class Pass(msgspec.Struct, frozen=True):
    """The message goes on as it is."""


class Replace(msgspec.Struct, frozen=True):
    """The message goes on with this body. `headers`: what its request to a backend over HTTP carries besides."""

    body: Body
    headers: tuple[tuple[str, str], ...] = ()


class Deny(msgspec.Struct, frozen=True):
    """The message does not go on. `message` is shown to the client: it must not reveal what is hidden."""

    code: int
    message: str
    reason: str


class Drop(msgspec.Struct, frozen=True):
    """A notification vanishes."""

    reason: str


Verdict = Pass | Replace | Deny | Drop
PASS = Pass()


class Pattern(msgspec.Struct, frozen=True):
    """Slots by part, method glob (`tools/*`, `*/list`, `*`) and reader. `members`: what the hook reads; None: all."""

    part: Part
    methods: str
    toward: Side
    members: tuple[str, ...] | None = None

    def covers(self, slot: Slot) -> bool:
        """True if the slot is one of them."""
        if slot.part != self.part or slot.toward != self.toward:
            return False
        from fnmatch import fnmatchcase  # a pipe without hooks does without it

        return fnmatchcase(slot.method, self.methods)


Glance = Callable[[CallInfo, Body], bool]
"""True if a message may not pass without a verdict."""


class Hook:
    """Base of all hooks. `slots` says which messages it wants; others never cost anything.

    A server's question is `Slot("params", METHOD, "client")` and its answer `Slot("result", METHOD, "server")` in every
    revision, also where it travels inside a result, and its answer inside a request (2026-07-28).
    """

    slots: tuple[Pattern, ...] = ()
    again = False
    """Whether it judges once more what later hooks made of a request; it must not await then."""

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict | Awaitable[Verdict]:
        """The verdict on one message. `body` holds the declared members as trees; others may be unopened."""
        raise NotImplementedError

    def lasting(self, slot: Slot, info: CallInfo) -> bool:  # noqa: ARG002
        """Whether a request like this one, which it has passed, need not be judged again while the hook is in place.

        Alike are requests of one caller with the same method and target. True where nothing else of them matters.
        """
        return False

    def glances(self, slot: Slot) -> tuple[Glance, ...] | None:  # noqa: ARG002
        """Looks that tell whether a message for the client has to be judged; it passes if none of them says so.

        They are taken at members that are still unopened. None: every message of the slot has to be judged.
        """
        return None

    def audience(self, caller: Caller) -> str:  # noqa: ARG002
        """Which of one caller's credentials may share answers: those of the same audience are shown the same."""
        return ""

    def shown(self, method: str, caller: Caller) -> Any:  # noqa: ARG002
        """What decides what a caller is shown of a list, such as `tools/list`; None if nothing here does.

        Whoever is told that a list has changed, because hooks have, is told by this: equal values show the same.
        """
        slot = Slot("result", method, "client")
        return self if any(pattern.covers(slot) for pattern in self.slots) else None

    def review(self, info: CallInfo) -> Deny | None:  # noqa: ARG002
        """Whether an open call that was let through must end, now that policy has changed; None if it may go on."""
        return None

    async def close(self) -> None:
        """Let go of what the hook holds: its server is gone, or another hook takes its place."""
