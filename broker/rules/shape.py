"""What a checked CEL expression consists of, read from its serialised form, and what would make it cost too much.

Follows google/cel-spec proto/cel/expr/checked.proto and syntax.proto, of which only the tree is read. The engine ends a
loop after 10,000 steps, but not what one step costs: nested loops, texts joined again and again, patterns that come
from a caller. An expression that could do this is refused when it is loaded, so that the cost of any other is linear
in the size of the message it judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

MAX_JOINS: Final = 32
"""Additions in one rule. What may be joined is bounded, so that together they stay below some megabytes."""

UNBOUNDED: Final = frozenset(("arguments", "annotations"))
"""Variables whose texts and lists a caller or a server makes as long as it likes."""

_ADD, _MATCHES = "_+_", "matches"
_COLLECTED = "@result"  # what a loop has so far; no expression can name it

# Field numbers of the messages; see the two files above.
_ANY_VALUE, _CHECKED_EXPR = 2, 4
_CONSTANT, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = range(3, 10)
_TEXT_CONSTANT = 6


class Shape(msgspec.Struct):
    """The variables an expression mentions, and its constant patterns."""

    variables: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()


class TooCostly(ValueError):  # noqa: N818 (what is wrong with the expression)
    """An expression that could cost too much, or whose cost a caller could choose."""


def shape_of(serialised: bytes) -> Shape:
    """The shape of an expression as the engine serialises it.

    Raises:
        TooCostly: it may not be used as a rule; the text says what to write instead.
    """
    reader = _Reader()
    names = reader.walk(_one(_one(serialised, _ANY_VALUE), _CHECKED_EXPR), inside=False)
    if reader.joins > MAX_JOINS:
        raise TooCostly(f"more than {MAX_JOINS} additions; split the rule")
    return Shape(frozenset(names), tuple(reader.patterns))


class _Reader:
    """Reads one expression. `walk` gives the free names of a part."""

    def __init__(self) -> None:
        self.joins = 0
        self.patterns: list[str] = []

    def walk(self, expression: bytes, *, inside: bool) -> set[str]:
        names: set[str] = set()
        for number, value in _fields(expression):
            if number == _IDENT:
                names.add(_text(_one(value, 1)))
            elif number == _SELECT:
                names |= self.walk(_one(value, 1), inside=inside)
            elif number == _CALL:
                names |= self._call(value, inside=inside)
            elif number == _LIST:
                names |= self._each(_all(value, 1), inside=inside)
            elif number == _STRUCT:
                parts = [part for entry in _all(value, 2) for key in (3, 4) for part in _all(entry, key)]
                names |= self._each(parts, inside=inside)
            elif number == _LOOP:
                names |= self._loop(value, inside=inside)
        return names

    def _each(self, parts: list[bytes], *, inside: bool) -> set[str]:
        return {name for part in parts for name in self.walk(part, inside=inside)}

    def _call(self, call: bytes, *, inside: bool) -> set[str]:
        function = _text(_one(call, 2))
        parts = [*_all(call, 1), *_all(call, 3)]
        names = self._each(parts, inside=inside)
        if function == _ADD and self.walk(parts[0], inside=inside) != {_COLLECTED}:
            self.joins += 1
            if inside or names & UNBOUNDED:
                raise TooCostly("`+` is not for loops, `arguments` and `annotations`; compare the parts instead")
        elif function == _MATCHES:
            pattern = _one(parts[-1], _CONSTANT)
            if not pattern:
                raise TooCostly("`matches` needs its pattern in the rule itself, as a constant")
            self.patterns.append(_text(_one(pattern, _TEXT_CONSTANT)))
        return names

    def _loop(self, loop: bytes, *, inside: bool) -> set[str]:
        if inside:
            raise TooCostly("a loop within a loop; use one of `all`, `exists`, `exists_one`, `filter`, `map`")
        bound = {_text(name) for number in (1, 3, 8) for name in _all(loop, number)}
        over = self._each(_all(loop, 2), inside=False)
        # What it starts with, goes on by, does in each step and ends in.
        names = {name for number in (4, 5, 6, 7) for name in self._each(_all(loop, number), inside=True)} - bound
        if names & UNBOUNDED:
            raise TooCostly("a loop that looks at `arguments` or `annotations` beside its own element")
        return over | names


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The members of a protobuf message that have a length: number and bytes. Numbers are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 2:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind == 0:
            _, at = _varint(message, at)
        else:
            at += 8 if kind == 1 else 4


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _all(message: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(message) if found == number]


def _one(message: bytes, number: int) -> bytes:
    return next((value for found, value in _fields(message) if found == number), b"")


def _text(value: bytes) -> str:
    return value.decode()
