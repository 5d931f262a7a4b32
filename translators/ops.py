"""Field operations: the declared, reviewable unit of every rewrite.

Each has a path (`tools[].outputSchema`) and a Loss that it names itself, and runs on a JSON tree in place; how it
finds its values is in `op.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from translators import tree
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.loss import Loss
from translators.op import KEEP, REMOVE, Function, Op, operation, quoted, replacing
from translators.tree import Body

__all__ = [
    "KEEP",
    "REMOVE",
    "Loss",
    "Op",
    "answer_if",
    "drop",
    "each",
    "fill",
    "refuse_if",
    "remember",
    "rename",
    "swallow_if",
    "swap",
    "when",
]


def drop(path: str, loss: Loss) -> Op:
    """Delete the member at `path`."""
    *prefix, name = tree.segments(path)

    def act(node: Body, _ctx: Context) -> bool:
        del node[name]
        return True

    return operation("drop", path, loss, tuple(prefix), act, names=(name,))


def rename(path: str, name: str, loss: Loss = Loss.NONE) -> Op:
    """Give the member at `path` another name, unless that name is taken."""
    *prefix, old = tree.segments(path)

    def act(node: Body, _ctx: Context) -> bool:
        if name in node:
            return False
        node[name] = node.pop(old)
        return True

    return operation("rename", path, loss, tuple(prefix), act, names=(old,))


def fill(
    path: str,
    function: Function,
    loss: Loss = Loss.NONE,
    *,
    given: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Op:
    """Set the member at `path` to `function(parent, ctx)`; KEEP leaves, REMOVE deletes it.

    The parent's members may be unopened: functions read them with `tree.member` and `tree.whole`. `given` limits it
    to parents that hold at least one of these members, so that others stay unopened.
    """
    *prefix, name = tree.segments(path)

    def act(node: Body, ctx: Context) -> bool:
        value = function(node, ctx)
        if value is KEEP:
            return False
        if value is REMOVE:
            return node.pop(name, KEEP) is not KEEP
        node[name] = value
        return True

    return operation("fill", path, loss, tuple(prefix), act, names=given, also=also)


def swap(path: str, tag: str, function: Function, loss: Loss, *, key: str = "type") -> Op:
    """Replace each object at `path` whose `key` member is `tag` by `function(object, ctx)` (REMOVE: leave it out).

    `path` ends in `[]` for a list of union members, or names a member that holds one. The object is fully opened.
    """

    def wanted(item: Any) -> bool:
        return type(item) is dict and tree.member(item, key) == tag

    return replacing("swap", path, function, loss, wanted, (quoted(tag),))


def each(
    path: str,
    function: Function,
    loss: Loss,
    *,
    having: tuple[str, ...] = (),
    needing: tuple[bytes, ...] = (),
    also: tuple[str, ...] = (),
) -> Op:
    """Replace each value at `path` by `function(value, ctx)`; returning KEEP or the same object means unchanged.

    `having` limits it to objects that hold at least one of these members, so that others stay unopened; `needing`
    names byte strings without which the function has nothing to do. A function that changes a value answers a new one.
    """
    names = frozenset(having)

    def wanted(item: Any) -> bool:
        return not names or (type(item) is dict and not names.isdisjoint(item))

    return replacing("each", path, function, loss, wanted, needing or tuple(map(quoted, having)), also)


def refuse_if(path: str, predicate: Callable[[Any, Context], bool], code: int, reason: str, message: str) -> Op:
    """Refuse the whole message if any value at `path` satisfies the predicate: what must not be lost is a gate."""

    def function(value: Any, ctx: Context) -> Any:
        if predicate(value, ctx):
            raise Refused(code, message, reason=reason)
        return KEEP

    return replacing("refuse_if", path, function, Loss.NONE, lambda _item: True)


def remember(function: Callable[[Body, Context], None]) -> Op:
    """Let `function(body, ctx)` stash what the answer will need; the body stays as it is, and nothing is noted."""

    def act(body: Body, ctx: Context) -> bool:
        function(body, ctx)
        return False

    return operation("remember", "", Loss.NONE, (), act)


def swallow_if(predicate: Callable[[Body, Context], bool], reason: str) -> Op:
    """Send nothing at all if the (unopened) body satisfies the predicate; for notifications only."""

    def act(body: Body, ctx: Context) -> bool:
        if predicate(body, ctx):
            raise Swallowed(reason)
        return False

    return operation("swallow_if", "", Loss.DEGRADED, (), act)


def answer_if(predicate: Callable[[Body, Context], bool], function: Callable[[Body, Context], Body], loss: Loss) -> Op:
    """Let `function(body, ctx)` be the result if the (unopened) body satisfies the predicate; see `Answered`."""

    def act(body: Body, ctx: Context) -> bool:
        if predicate(body, ctx):
            raise Answered(function(body, ctx))
        return False

    return operation("answer_if", "", loss, (), act)


def when(path: str, predicate: Callable[[Body, Context], bool], *ops: Op) -> Op:
    """Run the operations on each object at `path` ("" is the body) that satisfies the predicate."""
    tokens = tuple(token for op in ops for token in op.tokens) if all(op.tokens for op in ops) else ()
    route = tree.segments(path)
    return Op(kind="when", path=path, loss=Loss.NONE, route=route, act=predicate, inner=ops, tokens=tokens)
