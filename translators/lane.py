"""All that happens to one slot's bodies on the way from writer to reader, compiled for speed.

Operations that look at the same top-level member stand in one block: while that member is still bytes, one search
for the names they need decides whether it is opened at all. Within a block, neighbours with the same route share the
walk. Neither changes the order of operations; a test compares a lane with its steps applied one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import msgspec
from msgspec import Raw

from protocol_versions.base import Slot
from translators import tree
from translators.change import Gate
from translators.context import Context
from translators.errors import Refused
from translators.ops import Op, occurs
from translators.tree import Body, Route

Action = Op | Gate


class _Walk(msgspec.Struct, frozen=True):
    """Neighbouring operations on the same objects."""

    route: Route
    names: frozenset[str]
    tokens: tuple[bytes, ...]
    ops: tuple[Op, ...]

    def run(self, body: Body, ctx: Context) -> None:
        """Reach the objects once, leave out those that interest none of the operations, apply in order."""
        if not self.route:
            for op in self.ops:
                op.on((body,), ctx)
            return
        nodes = tree.parents(body, self.route)
        if self.names:
            nodes = [node for node in nodes if not self.names.isdisjoint(node)]
        if nodes:
            for op in self.ops:
                op.on(nodes, ctx)


class _Block(msgspec.Struct, frozen=True):
    """Neighbouring operations on the same top-level member (`top` empty: on the body itself)."""

    top: str
    tokens: tuple[bytes, ...]
    walks: tuple[_Walk, ...]

    def run(self, body: Body, ctx: Context) -> None:
        """Skip what the unopened bytes prove unnecessary."""
        if self.top:
            value = body.get(self.top)
            if value is None:
                if self.top not in body:
                    return
            elif type(value) is Raw:
                text = bytes(value)
                if self.tokens and not occurs(self.tokens, text):
                    return
                for walk in self.walks:
                    if walk.tokens and type(body.get(self.top)) is Raw and not occurs(walk.tokens, text):
                        continue
                    walk.run(body, ctx)
                return
        for walk in self.walks:
            walk.run(body, ctx)


class Lane:
    """Immutable, shared. `actions` come from the steps, `repairs` from the hygiene every reader gets."""

    __slots__ = ("_blocks", "actions", "gate", "repairs", "slot")

    def __init__(self, slot: Slot, actions: tuple[Action, ...] = (), repairs: tuple[Op, ...] = ()) -> None:
        self.slot = slot
        self.actions = actions
        self.repairs = repairs
        self.gate = next((action for action in actions if isinstance(action, Gate)), None)
        self._blocks = _compiled(self._before_gate())

    @property
    def passes(self) -> bool:
        """True if nothing looks at this slot's bodies: their bytes pass."""
        return not self.actions and not self.repairs

    def run(self, body: Body, ctx: Context) -> Body:
        """Rewrite the body in place. Raises Refused, Swallowed or Answered where a gate or operation says so."""
        try:
            for block in self._blocks:
                block.run(body, ctx)
            if self.gate is not None:
                self.gate.apply(body, ctx)
        except Refused as refused:
            refused.slot = self.slot
            raise
        return body

    def _before_gate(self) -> list[Op]:
        """Nothing behind a gate runs; nothing before one that refuses or drops could reach anybody."""
        if self.gate is None:
            return [*(action for action in self.actions if isinstance(action, Op)), *self.repairs]
        if self.gate.verdict != "answered":
            return []
        before = itertools.takewhile(lambda action: action is not self.gate, self.actions)
        return [action for action in before if isinstance(action, Op)]


def _compiled(ops: list[Op]) -> tuple[_Block, ...]:
    blocks = []
    for top, same_top in itertools.groupby(ops, key=lambda op: op.top):
        walks = []
        for _key, neighbours in itertools.groupby(same_top, key=lambda op: (op.route, bool(op.names))):
            walked = tuple(neighbours)
            names = frozenset[str]().union(*(op.names for op in walked))
            walks.append(_Walk(walked[0].route, names, _union(op.tokens for op in walked), walked))
        blocks.append(_Block(top, _union(walk.tokens for walk in walks), tuple(walks)))
    return tuple(blocks)


def _union(parts: Iterable[tuple[bytes, ...]]) -> tuple[bytes, ...]:
    """All tokens, or none if one part has none (it must always look)."""
    found: dict[bytes, None] = {}
    for tokens in parts:
        if not tokens:
            return ()
        found.update(dict.fromkeys(tokens))
    return tuple(found)
