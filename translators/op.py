"""What every field operation is made of: where it looks, when it need not, and what it notes.

An operation is a *route* to some objects, the *names* of which an object must hold one to be of interest, and an *act*
on such an object. Two guards keep messages cheap that need nothing: `tokens` (an unopened value without any of these
byte strings cannot interest the operation) and `names`. An operation that acts notes its Loss in the Context.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from translators import tree
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.loss import Loss, Noted
from translators.tree import LIST, MAP, Body, Route

KEEP: Any = type("Keep", (), {"__repr__": lambda _self: "KEEP"})()
"""Returned by a function of `fill` or `each`: leave it as it is."""
REMOVE: Any = type("Remove", (), {"__repr__": lambda _self: "REMOVE"})()
"""Returned by a function of `swap`, `each` or `fill`: the value leaves its list or object."""

ESCAPED_ASCII = b"\\u00"
"""A name we look for may be spelled with escapes; every such escape starts like this, and opens the value."""

Function = Callable[[Any, Context], Any]
Act = Callable[[Body, Context], bool]


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """One field operation. `also` lists further paths it writes; `tokens` and `names` empty mean "always look".

    `content`, in place of tokens, says of the unopened bytes of the top-level member that they need nothing. For an
    operation on the body itself, `absent` are bytes without which no unopened member can interest it, and `unless` is
    the member whose presence leaves it nothing to do.
    """

    kind: str
    path: str
    loss: Loss
    route: Route
    act: Act
    names: frozenset[str] = frozenset()
    tokens: tuple[bytes, ...] = ()
    content: Callable[[bytes], bool] | None = None
    absent: tuple[bytes, ...] = ()
    unless: str = ""
    also: tuple[str, ...] = ()
    inner: tuple[Op, ...] = ()
    change: str = ""

    def apply(self, body: Body, ctx: Context) -> None:
        """Run on every object of the route and note the loss if it acted."""
        self.on(tree.parents(body, self.route) if self.route else (body,), ctx)

    def on(self, nodes: list[Body] | tuple[Body, ...], ctx: Context) -> None:
        """Run on objects that were already reached (`when` lets its inner operations note their own loss)."""
        acted = False
        names = self.names
        try:
            for node in nodes:
                if (names and names.isdisjoint(node)) or not self.act(node, ctx):
                    continue
                acted = not self.inner
                for op in self.inner:
                    op.apply(node, ctx)
        except Refused as refused:
            if not refused.change:
                refused.change, refused.path = self.change, self.path
            raise
        except (Swallowed, Answered):
            ctx.losses.append(Noted(self.change, self.path, self.loss))
            raise
        if acted:
            ctx.losses.append(Noted(self.change, self.path, self.loss))

    def named(self, change: str) -> Op:
        """The same operation, carrying the Change it belongs to into what it notes."""
        inner = tuple(op.named(change) for op in self.inner)
        return msgspec.structs.replace(self, change=change, inner=inner)

    @property
    def top(self) -> str:
        """The top-level member without which nothing can happen; empty if the operation looks at the whole body."""
        if self.route:
            return self.route[0]
        return next(iter(self.names)) if len(self.names) == 1 else ""


def operation(
    kind: str,
    path: str,
    loss: Loss,
    route: Route,
    act: Act,
    *,
    names: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Op:
    # A member of the body itself is looked up, not searched for; below that, its quoted name must occur in the bytes.
    tokens = tuple(map(quoted, names)) if route else ()
    return Op(
        kind=kind,
        path=path,
        loss=loss,
        route=route,
        act=act,
        names=frozenset(names),
        tokens=tokens,
        also=also,
    )


def replacing(
    kind: str,
    path: str,
    function: Function,
    loss: Loss,
    wanted: Callable[[Any], bool],
    needing: tuple[bytes, ...] = (),
    also: tuple[str, ...] = (),
) -> Op:
    """An operation on the values at `path`, whose last segment may be a name, `[]` or `{}`."""
    *prefix, last = tree.segments(path)
    if last not in (LIST, MAP):
        name, member = last, last
    else:
        *prefix, name = prefix
        member = ""

    def keys(node: Body) -> tuple[Any, list[Any]]:
        if member:
            return node, [member]
        container = tree.member(node, name)
        if type(container) is list and last == LIST:
            return container, list(range(len(container)))
        return container, list(container) if type(container) is dict and last == MAP else []

    def act(node: Body, ctx: Context) -> bool:
        if needing and type(raw := node[name]) is msgspec.Raw and not occurs(needing, bytes(raw)):
            return False
        container, found = keys(node)
        acted = False
        for key in reversed(found):  # from the end, so that removing an item moves none that is still to come
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
                del container[key]
            else:
                container[key] = value
        return acted

    return Op(
        kind=kind,
        path=path,
        loss=loss,
        route=tuple(prefix),
        act=act,
        names=frozenset((name,)),
        tokens=needing or ((quoted(name),) if prefix else ()),
        also=also,
    )


def occurs(tokens: tuple[bytes, ...], text: bytes) -> bool:
    """True if any of the tokens, or an escape that may hide one, is in the bytes."""
    for token in tokens:
        if token in text:
            return True
    return ESCAPED_ASCII in text


def quoted(name: str) -> bytes:
    # A solidus may be written as `\/`; what follows the last one identifies the name well enough.
    head, _, tail = name.rpartition("/")
    return f'{tail}"'.encode() if head else f'"{tail}"'.encode()
