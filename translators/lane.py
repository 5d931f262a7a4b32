"""All that happens to one slot's bodies on the way from writer to reader, compiled for speed.

Operations that look at the same top-level member stand in one block: while that member is still bytes, one search
for the names they need decides whether it is opened at all. Within a block, neighbours with the same route share the
walk. Neither changes the order of operations; a test compares a lane with its steps applied one by one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import msgspec
from msgspec import Raw

from protocol_versions.base import Slot
from translators import tree
from translators.change import Gate
from translators.context import Context
from translators.errors import Refused
from translators.memo import MEMO, catalogue
from translators.op import ESCAPED_ASCII, Op, occurs
from translators.tree import Body, Route
from translators.usual import SHAPES, Usual

Action = Op | Gate

SHORT = 1_024
"""Bytes up to which all tokens are searched for at once; measured on CPython 3.11."""


class _Guard(msgspec.Struct, frozen=True):
    """What the unopened bytes of a top-level member must show before anything in it is of interest."""

    always: bool
    tokens: tuple[bytes, ...]
    content: tuple[Callable[[bytes], bool], ...]
    any_token: re.Pattern[bytes]

    def wants(self, text: bytes) -> bool:
        """True unless the bytes prove that no operation would act."""
        if self.always:
            return True
        if self.tokens:
            # One pass of an automaton beats many searches in a short text, and loses to them in a long one.
            if len(text) > SHORT:
                if occurs(self.tokens, text):
                    return True
            elif self.any_token.search(text) is not None:
                return True
        for needs_nothing in self.content:  # noqa: SIM110 - a generator costs more than the search
            if not needs_nothing(text):
                return True
        return False


class _Walk(msgspec.Struct, frozen=True):
    """Neighbouring operations on the same objects."""

    route: Route
    names: frozenset[str]
    guard: _Guard
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
    guard: _Guard
    walks: tuple[_Walk, ...]

    def run(self, body: Body, ctx: Context) -> None:
        """Skip what the unopened bytes prove unnecessary."""
        top = self.top
        if not top:
            for walk in self.walks:
                walk.run(body, ctx)
        elif top in body:
            text = bytes(body[top]) if type(body[top]) is Raw else None
            if text is None or self.guard.wants(text):
                for walk in self.walks:
                    # Once a walk has opened the value, the bytes prove nothing any more.
                    if text is None or type(body.get(top)) is not Raw or walk.guard.wants(text):
                        walk.run(body, ctx)


class _Quiet:
    """Proves, member by member, that a body that was opened nowhere interests no operation of a lane."""

    __slots__ = ("absent", "unless", "watched")

    def __init__(self, watched: dict[str, _Guard], absent: tuple[bytes, ...], unless: tuple[str, ...]) -> None:
        self.watched = watched
        self.absent = absent
        self.unless = unless

    def proves(self, body: Body) -> bool:
        """True only if every operation would leave the body as it is."""
        watched, absent = self.watched, self.absent
        for name in self.unless:
            if name not in body:
                return False
        for name, value in body.items():
            if type(value) is not Raw:
                return False
            text = bytes(value)
            guard = watched.get(name)
            if guard is not None and guard.wants(text):
                return False
            for token in absent:
                if token in text:
                    return False
        return True


class _Plan(msgspec.Struct, frozen=True):
    """What a lane runs: its blocks, unless it is proved that they would do nothing, or fewer of them."""

    blocks: tuple[_Block, ...]
    quiet: _Quiet | None
    usual: Usual | None


class Lane:
    """Shared; only its plan is made later. `actions` come from the steps, around them stands the hygiene of readers."""

    __slots__ = (
        "_plan", "_remembers", "actions", "gate", "passes", "prepares", "repairs", "slot",
    )  # fmt: skip

    def __init__(
        self,
        slot: Slot,
        actions: tuple[Action, ...] = (),
        repairs: tuple[Op, ...] = (),
        prepares: tuple[Op, ...] = (),
    ) -> None:
        self.slot = slot
        self.actions = actions
        self.repairs = repairs
        self.prepares = prepares
        self.gate = next((action for action in actions if isinstance(action, Gate)), None)
        self.passes = not (actions or repairs or prepares)
        """True if nothing looks at this slot's bodies: their bytes pass."""
        self._remembers = self.gate is None and catalogue(slot)
        self._plan: _Plan | None = None  # made for the first body: a conversation needs few of a pair's lanes

    def run(self, body: Body, ctx: Context) -> Body:
        """Rewrite the body in place. Raises Refused, Swallowed or Answered where a gate or operation says so."""
        return MEMO.run(self, self._rewrite, body, ctx) if self._remembers else self._rewrite(body, ctx)

    def _rewrite(self, body: Body, ctx: Context) -> Body:
        plan = self._plan
        if plan is None:
            plan = self._plan = self._planned()
        blocks: tuple[_Block, ...] | None = plan.usual.rest(body, ctx) if plan.usual is not None else None
        if blocks is None:
            if plan.quiet is not None and plan.quiet.proves(body):
                return body
            blocks = plan.blocks
        try:
            for block in blocks:
                block.run(body, ctx)
            if self.gate is not None:
                self.gate.apply(body, ctx)
        except Refused as refused:
            refused.slot = self.slot
            raise
        return body

    def _planned(self) -> _Plan:
        ops = self._before_gate()
        shape = SHAPES.get(self.slot) if self.gate is None else None
        return _Plan(
            _compiled(ops),
            _quiet(ops) if self.gate is None else None,
            Usual(shape, ops, _compiled) if shape else None,
        )

    def _before_gate(self) -> list[Op]:
        """Nothing behind a gate runs; nothing before one that refuses or drops could reach anybody."""
        if self.gate is None:
            return [*self.prepares, *(action for action in self.actions if isinstance(action, Op)), *self.repairs]
        if self.gate.verdict != "answered":
            return []
        before = itertools.takewhile(lambda action: action is not self.gate, self.actions)
        return [*self.prepares, *(action for action in before if isinstance(action, Op))]


def _compiled(ops: list[Op]) -> tuple[_Block, ...]:
    blocks = []
    for top, same_top in itertools.groupby(ops, key=lambda op: op.top):
        within = tuple(same_top)
        walks = []
        for _key, neighbours in itertools.groupby(within, key=lambda op: (op.route, bool(op.names))):
            walked = tuple(neighbours)
            names = frozenset[str]().union(*(op.names for op in walked))
            walks.append(_Walk(walked[0].route, names, _guard(walked), walked))
        blocks.append(_Block(top, _guard(within), tuple(walks)))
    return tuple(blocks)


def _guard(ops: tuple[Op, ...]) -> _Guard:
    tokens = dict.fromkeys(token for op in ops for token in op.tokens)
    content = tuple(dict.fromkeys(op.content for op in ops if op.content is not None))
    always = any(not op.tokens and op.content is None for op in ops)
    return _Guard(always, tuple(tokens), content, re.compile(b"|".join(map(re.escape, (*tokens, ESCAPED_ASCII)))))


def _quiet(ops: list[Op]) -> _Quiet | None:
    """The proof for a lane, None if one of its operations must always look."""
    watched: dict[str, list[Op]] = {}
    absent: dict[bytes, None] = {}
    unless: dict[str, None] = {}
    for op in ops:
        if op.top:
            watched.setdefault(op.top, []).append(op)
        elif op.absent:
            absent.update(dict.fromkeys(op.absent))
        elif op.unless:
            unless[op.unless] = None
        else:
            return None
    return _Quiet({top: _guard(tuple(found)) for top, found in watched.items()}, tuple(absent), tuple(unless))
