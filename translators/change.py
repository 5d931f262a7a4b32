"""A Change is one bullet of the official changelog; a Step is the tuple of Changes between two neighbours.

`up` rewrites what a peer of the older revision wrote for a reader of the newer, `down` the reverse. Both are keyed by
Slot, whose `toward` says which way the message travels. A Gate stands where the other revision has no such method.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from protocol_versions.base import Revision, Slot, answer, ask, error, notification, params, result
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.loss import Loss
from translators.ops import Op
from translators.tree import Body

__all__ = [
    "Answered",
    "Change",
    "Gate",
    "Step",
    "answer",
    "answer_with",
    "ask",
    "error",
    "notification",
    "params",
    "refuse",
    "result",
    "slots",
    "swallow",
]


class Gate(msgspec.Struct, frozen=True):
    """What happens to a message the reader's revision does not have: `verdict` is refused, swallowed or answered."""

    verdict: str
    reason: str
    act: Callable[[Body, Context], None]
    code: int = 0
    change: str = ""

    def apply(self, body: Body, ctx: Context) -> None:
        """Raise the gate's outcome; a message that vanishes is noted first, because nobody else will see it."""
        if self.verdict == "swallowed":
            ctx.note("", Loss.DEGRADED, self.change)
        try:
            self.act(body, ctx)
        except Refused as refused:
            refused.change = self.change
            raise


def refuse(code: int, reason: str, message: str) -> Gate:
    """Answer the writer with an error; the reader never sees the request."""

    def act(_body: Body, _ctx: Context) -> None:
        raise Refused(code, message, reason=reason)

    return Gate("refused", reason, act, code)


def swallow(reason: str) -> Gate:
    """Drop a notification the reader's revision does not define; the drop is noted as DEGRADED."""

    def act(_body: Body, _ctx: Context) -> None:
        raise Swallowed(reason)

    return Gate("swallowed", reason, act)


def answer_with(reason: str, function: Callable[[Body, Context], Body]) -> Gate:
    """Answer the request from what is known, on the reader's behalf."""

    def act(body: Body, ctx: Context) -> None:
        raise Answered(function(body, ctx))

    return Gate("answered", reason, act)


Actions = Mapping[Slot, "tuple[Op, ...] | Gate"]
Emulates = Literal["", "body", "conversation"]


class Change(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One wire-visible bullet, both directions. `spec` names the page and bullet it follows.

    `rows` names the differences of `translators.rows` it covers. `emulates` marks a Change that stands in for behaviour
    the reader's revision lacks, instead of only rewriting members: in the "body" itself, or by what a "conversation"
    does before a lane is asked, and then the actions are what is left to a translation that keeps no state.
    """

    name: str
    spec: str
    up: Actions = {}
    down: Actions = {}
    rows: tuple[str, ...] = ()
    emulates: Emulates = ""

    def __repr__(self) -> str:
        """By name: the tables would fill pages."""
        return f"Change({self.name!r})"

    def actions(self, direction: str) -> dict[Slot, tuple[Op, ...] | Gate]:
        """The actions of `up` or `down`, each knowing its Change."""
        return self._named[direction]

    @functools.cached_property
    def _named(self) -> dict[str, dict[Slot, tuple[Op, ...] | Gate]]:
        return {"up": self._naming(self.up), "down": self._naming(self.down)}

    def _naming(self, actions: Actions) -> dict[Slot, tuple[Op, ...] | Gate]:
        return {
            slot: msgspec.structs.replace(action, change=self.name)
            if isinstance(action, Gate)
            else tuple(op.named(self.name) for op in action)
            for slot, action in actions.items()
        }


class Step(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One adjacent pair. Construction fails if a slot only one side has is covered by no Change."""

    older: Revision
    newer: Revision
    changes: tuple[Change, ...]

    def __post_init__(self) -> None:
        names = [change.name for change in self.changes]
        if len(names) != len(set(names)):
            raise ValueError(f"{self.name}: two Changes share a name")
        for direction, writer, reader in (("down", self.newer, self.older), ("up", self.older, self.newer)):
            covered = {slot for change in self.changes for slot in (change.down if direction == "down" else change.up)}
            missing = [slot for slot in writer.types if slot not in reader.types and slot not in covered]
            missing = [slot for slot in missing if slot.part in ("params", "notification")]
            if missing:
                raise ValueError(f"{self.name}: no Change covers {direction} of {missing}")

    def __repr__(self) -> str:
        """By name, as its Changes."""
        return f"Step({self.name!r})"

    @property
    def name(self) -> str:
        """`2025-03-26|2025-06-18`."""
        return f"{self.older.id}|{self.newer.id}"

    def actions(self, direction: str, slot: Slot) -> list[Op | Gate]:
        """Every action on a slot, in the order they run: up first to last, down last to first."""
        ordered = self.changes if direction == "up" else tuple(reversed(self.changes))
        found: list[Op | Gate] = []
        for change in ordered:
            action = change.actions(direction).get(slot)
            if isinstance(action, Gate):
                found.append(action)
            elif action:
                found.extend(action)
        return found

    def down(self, slot: Slot, body: Body, ctx: Context | None = None) -> Body:
        """The body as a reader of the older revision must see it (rewritten in place and returned)."""
        return self._run("down", slot, body, ctx)

    def up(self, slot: Slot, body: Body, ctx: Context | None = None) -> Body:
        """The body as a reader of the newer revision must see it (rewritten in place and returned)."""
        return self._run("up", slot, body, ctx)

    def _run(self, direction: str, slot: Slot, body: Body, ctx: Context | None) -> Body:
        context = ctx if ctx is not None else Context(method=slot.method)
        for action in self.actions(direction, slot):
            action.apply(body, context)
        return body


def slots(methods: tuple[str, ...], make: Callable[..., Slot], *ops: Op) -> dict[Slot, tuple[Op, ...]]:
    """The same operations on several methods' slots."""
    return {make(method): ops for method in methods}
