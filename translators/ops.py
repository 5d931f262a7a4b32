"""Field operations: the declared, reviewable unit of every rewrite.

Each operation has a path (`tools[].outputSchema`), a Loss that it names itself, and runs on a JSON tree in place.
An operation that finds nothing to do leaves the tree's bytes alone; one that acts notes its Loss in the Context.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from translators import tree
from translators.context import Context
from translators.errors import Refused
from translators.loss import Loss, Noted
from translators.tree import Body

__all__ = ["KEEP", "REMOVE", "Loss", "Op", "drop", "each", "fill", "refuse_if", "rename", "swap", "when"]

KEEP: Any = type("Keep", (), {"__repr__": lambda _self: "KEEP"})()
"""Returned by a function of `fill` or `each`: leave it as it is."""
REMOVE: Any = type("Remove", (), {"__repr__": lambda _self: "REMOVE"})()
"""Returned by a function of `swap`, `each` or `fill`: the value leaves its list or object."""

Function = Callable[[Any, Context], Any]


class Op(msgspec.Struct, frozen=True):
    """One field operation; `run` returns True if it changed anything."""

    kind: str
    path: str
    loss: Loss
    run: Callable[[Body, Context], bool]
    inner: tuple[Op, ...] = ()
    change: str = ""

    def apply(self, body: Body, ctx: Context) -> None:
        """Run and note the loss if it acted (`when` lets its inner operations note their own)."""
        if self.run(body, ctx) and not self.inner:
            ctx.losses.append(Noted(self.change, self.path, self.loss))

    def named(self, change: str) -> Op:
        """The same operation, carrying the Change it belongs to into what it notes."""
        if not self.inner:
            return msgspec.structs.replace(self, change=change)
        inner = tuple(op.named(change) for op in self.inner)
        return _when(self.path, *_predicate_of(self), inner)


def drop(path: str, loss: Loss) -> Op:
    """Delete the member at `path`."""
    *prefix, name = tree.segments(path)
    route = tuple(prefix)

    def run(body: Body, _ctx: Context) -> bool:
        acted = False
        for node in tree.parents(body, route) if route else (body,):
            if name in node:
                del node[name]
                acted = True
        return acted

    return Op("drop", path, loss, run)


def rename(path: str, name: str, loss: Loss = Loss.NONE) -> Op:
    """Give the member at `path` another name, unless that name is taken."""
    *prefix, old = tree.segments(path)
    route = tuple(prefix)

    def run(body: Body, _ctx: Context) -> bool:
        acted = False
        for node in tree.parents(body, route):
            if old in node and name not in node:
                node[name] = node.pop(old)
                acted = True
        return acted

    return Op("rename", path, loss, run)


def fill(path: str, function: Function, loss: Loss = Loss.NONE) -> Op:
    """Set the member at `path` to `function(parent, ctx)`; KEEP leaves, REMOVE deletes it.

    The parent's members may be unopened: functions read them with `tree.member` and `tree.whole`.
    """
    *prefix, name = tree.segments(path)
    route = tuple(prefix)

    def run(body: Body, ctx: Context) -> bool:
        acted = False
        for node in tree.parents(body, route) if route else (body,):
            value = function(node, ctx)
            if value is KEEP:
                continue
            if value is REMOVE:
                acted = node.pop(name, KEEP) is not KEEP or acted
                continue
            node[name] = value
            acted = True
        return acted

    return Op("fill", path, loss, run)


def swap(path: str, tag: str, function: Function, loss: Loss, *, key: str = "type") -> Op:
    """Replace each object at `path` whose `key` member is `tag` by `function(object, ctx)` (REMOVE: leave it out).

    `path` ends in `[]` for a list of union members, or names a member that holds one. The object is fully opened.
    """
    route = tree.segments(path)

    def run(body: Body, ctx: Context) -> bool:
        return _replace(body, route, lambda item: _tagged(item, key, tag), function, ctx)

    return Op("swap", path, loss, run)


def each(path: str, function: Function, loss: Loss, *, having: tuple[str, ...] = ()) -> Op:
    """Replace each value at `path` by `function(value, ctx)`; returning KEEP or the same object means unchanged.

    `having` limits it to objects that hold at least one of these members, so that others stay unopened.
    """
    route = tree.segments(path)

    def wanted(item: Any) -> bool:
        return not having or (type(item) is dict and any(name in item for name in having))

    def run(body: Body, ctx: Context) -> bool:
        return _replace(body, route, wanted, function, ctx)

    return Op("each", path, loss, run)


def refuse_if(path: str, predicate: Callable[[Any, Context], bool], code: int, reason: str, message: str) -> Op:
    """Refuse the whole message if any value at `path` satisfies the predicate: what must not be lost is a gate."""
    route = tree.segments(path)

    def run(body: Body, ctx: Context) -> bool:
        for container, key in tree.places(body, route):
            value = container[key] = tree.deep(container[key])
            if predicate(value, ctx):
                raise Refused(code, message, reason=reason)
        return False

    return Op("refuse_if", path, Loss.NONE, run)


def when(path: str, predicate: Callable[[Body, Context], bool], *ops: Op) -> Op:
    """Run the operations on each object at `path` ("" is the body) that satisfies the predicate."""
    return _when(path, predicate, tree.segments(path) if path else (), ops)


def _when(
    path: str, predicate: Callable[[Body, Context], bool], route: tuple[str, ...], ops: tuple[Op, ...]
) -> Op:
    def run(body: Body, ctx: Context) -> bool:
        acted = False
        for node in tree.parents(body, route) if route else (body,):
            if predicate(node, ctx):
                acted = True
                for op in ops:
                    op.apply(node, ctx)
        return acted

    run.predicate = (predicate, route)  # type: ignore[attr-defined]
    return Op("when", path, Loss.NONE, run, ops)


def _predicate_of(op: Op) -> tuple[Callable[[Body, Context], bool], tuple[str, ...]]:
    return op.run.predicate  # type: ignore[attr-defined, no-any-return]


def _tagged(item: Any, key: str, tag: str) -> bool:
    return type(item) is dict and tree.member(item, key) == tag


def _replace(
    body: Body, route: tuple[str, ...], wanted: Callable[[Any], bool], function: Function, ctx: Context
) -> bool:
    acted = False
    gone: list[tuple[Any, Any]] = []
    for container, key in list(tree.places(body, route)):
        item = container[key]
        if type(item) is msgspec.Raw:
            item = container[key] = tree.shallow(item)
        if not wanted(item):
            continue
        item = container[key] = tree.deep(item)
        value = function(item, ctx)
        if value is KEEP or value is item:
            continue
        acted = True
        if value is REMOVE:
            gone.append((container, key))
        else:
            container[key] = value
    for container, key in reversed(gone):
        del container[key]
    return acted
