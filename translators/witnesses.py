"""Which operations have something to do on every body of a shape, found by running them on bodies of symbols.

A *shape* names the members a body has and the kind of each. Its *witnesses* are bodies of that shape whose values are
symbols that raise when anybody looks at them. What an operation does without looking it does to every body of the
shape; from the first one that looks, at a symbol or at the Context, all of them are needed. A second set of witnesses
with real values, made of the names the operations look for, has to bear this out, else nothing is said.
Invariant: an operation that is not needed leaves every body of the shape as it is and notes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from translators.loss import Noted
from translators.op import Op
from translators.tree import Body


class Looked(BaseException):  # an Exception might be caught by the operation
    """An operation looked at what the shape leaves open."""


def _looked(*_args: Any, **_kwargs: Any) -> Any:
    raise Looked


class Symbol:
    """Any value of a kind: it may be kept, moved and stored, but not looked at."""

    __getattribute__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __bool__ = _looked
    __len__ = __iter__ = __getitem__ = __contains__ = __str__ = __repr__ = __bytes__ = __int__ = __float__ = _looked
    __index__ = __format__ = __add__ = __radd__ = __reduce_ex__ = _looked


class SymbolName(str):
    """A member of unknown name: an object that holds one cannot be iterated, compared or written unnoticed."""

    __slots__ = ()
    __eq__ = __ne__ = __str__ = __repr__ = __format__ = __getattribute__ = _looked

    def __hash__(self) -> int:
        return 0


class SymbolObject(dict[str, Any]):
    """Any object: it may be asked for its kind, and nothing else."""

    __getitem__ = __contains__ = __iter__ = __len__ = __eq__ = __ne__ = __bool__ = __or__ = __ror__ = _looked
    get = keys = values = items = pop = copy = setdefault = update = _looked
    __hash__ = None


class _FewFacts:
    """Facts among which the named ones are missing; whoever asks for another one has looked."""

    __slots__ = ("_missing",)

    def __init__(self, missing: str) -> None:
        self._missing = missing

    def get(self, name: str, default: Any = None) -> Any:
        if name != self._missing:
            raise Looked
        return default

    def __getattr__(self, _name: str) -> Any:
        raise Looked


class _Notes:
    """Everything a Context knows is a symbol, save that one fact may be missing; what operations note is kept."""

    __slots__ = ("_missing", "losses")

    def __init__(self, missing: str) -> None:
        self.losses: list[Noted] = []
        self._missing = missing

    @property
    def facts(self) -> _FewFacts:
        if not self._missing:
            raise Looked
        return _FewFacts(self._missing)

    def __getattr__(self, _name: str) -> Any:
        raise Looked


class Kind(msgspec.Struct, frozen=True, eq=False):
    """What a member's unopened bytes must show, and values of that kind: symbols, and bytes that hold some names."""

    test: Callable[[Raw], bool]
    symbols: Callable[[], list[Any]]
    samples: Callable[[list[str]], list[bytes]]


def needed(ops: list[Op], shape: dict[str, Kind], missing: str = "") -> list[Op] | None:
    """The operations that have something to do on bodies of exactly this shape; None if the witnesses disagree.

    With `missing`, it is said only of messages in whose Context this fact is missing.
    """
    left: set[int] = set()
    for witness in _variants({name: kind.symbols for name, kind in shape.items()}):
        left |= _acting(ops, witness, missing)
    names = _names(ops)
    samples = {name: functools.partial(_opened, kind, names) for name, kind in shape.items()}
    for witness in _variants(samples):
        if not _acting(ops, witness, missing) <= left:
            return None
    return [op for at, op in enumerate(ops) if at in left]


def _opened(kind: Kind, names: list[str]) -> list[Any]:
    return [Raw(text) for text in kind.samples(names)]


def _variants(values: Mapping[str, Callable[[], list[Any]]]) -> list[Body]:
    """Bodies that together hold every value of every member at least once; nothing is shared between them."""
    most = max((len(make()) for make in values.values()), default=1)
    return [{name: (made := make())[at % len(made)] for name, make in values.items()} for at in range(most)]


def _acting(ops: list[Op], body: Body, missing: str) -> set[int]:
    """The places of the operations that change this body, and of all from the first that looks where it must not."""
    ctx: Any = _Notes(missing)
    found: set[int] = set()
    before = _frozen(body)
    for at, op in enumerate(ops):
        noted = len(ctx.losses)
        try:
            op.apply(body, ctx)
            after = _frozen(body)
        except (Looked, Exception):
            return found | set(range(at, len(ops)))
        if after != before or len(ctx.losses) != noted:
            found.add(at)
        before = after
    return found


def _frozen(value: Any) -> Any:
    """What can be compared: unopened bytes by what they say, symbols by what they are."""
    kind = type(value)
    if kind is Raw:
        return _frozen(msgspec.json.decode(value))
    if kind is dict:
        return [(id(name) if type(name) is SymbolName else name, _frozen(inner)) for name, inner in value.items()]
    if kind is list:
        return ["[]", *map(_frozen, value)]
    return (kind, id(value)) if kind in (Symbol, SymbolObject) else (kind, value)


def _names(ops: list[Op]) -> list[str]:
    """Every name an operation may look for."""
    found: dict[str, None] = {"null": None, "true": None}
    for op in ops:
        words = [*op.route, *sorted(op.names), *(token.decode().strip('"') for token in (*op.tokens, *op.absent))]
        found |= dict.fromkeys([*words, *_names(list(op.inner))] if op.inner else words)
    return [name for name in found if name not in ("[]", "{}", "")]
