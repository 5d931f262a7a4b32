"""Bodies of a usual shape, and what a lane still has to do on them.

Nearly all messages have one of a few shapes: a tool result of plain text, a call with a name and arguments, progress.
Which operations such a body needs is worked out at its first sight from the lane's own operations (`witnesses.py`), so
a new one cannot be passed over; later bodies of the shape cost one look at each member.
Invariant: a lane that knows usual shapes does what its operations do one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from protocol_versions.base import Slot, notification, params, result
from translators.context import Context
from translators.op import Op
from translators.tree import Body
from translators.witnesses import Kind, Symbol, SymbolName, SymbolObject, needed

MAX_BLOCKS = 4
"""Blocks of a result that is still usual; each number of blocks up to it has its own witness."""
SHORT = 1_024
"""Bytes of content up to which its texts are decoded: for longer ones a copy costs more than a check."""


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: str


class _LongText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: Raw


class _TokenOnly(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    progressToken: int | str | UnsetType = UNSET  # noqa: N815 - the member's name


_texts = msgspec.json.Decoder(list[_Text]).decode
_long_texts = msgspec.json.Decoder(list[_LongText]).decode
_token_only = msgspec.json.Decoder(_TokenOnly).decode
_QUOTE, _BRACE = 0x22, 0x7B


def _are_texts(raw: Raw) -> bool:
    try:
        if len(raw) <= SHORT:
            return len(_texts(raw)) <= MAX_BLOCKS
        blocks = _long_texts(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return len(blocks) <= MAX_BLOCKS and all(memoryview(block.text)[0] == _QUOTE for block in blocks)


def _is_text(raw: Raw) -> bool:
    return memoryview(raw)[0] == _QUOTE


def _is_object(raw: Raw) -> bool:
    return memoryview(raw)[0] == _BRACE


def _is_flag(raw: Raw) -> bool:
    return memoryview(raw)[0] in b"tf"


def _is_number(raw: Raw) -> bool:
    return memoryview(raw)[0] in b"-0123456789"


def _is_token(raw: Raw) -> bool:
    return _is_text(raw) or _is_number(raw)


def _holds_token_only(raw: Raw) -> bool:
    try:
        _token_only(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def _blocks_of(texts: list[Any]) -> list[Any]:
    return [{"type": Raw(b'"text"'), "text": text} for text in texts]


def _strings(names: list[str]) -> list[bytes]:
    quoted = [msgspec.json.encode(name) for name in names]
    return [b'""', b'"null"', b'"\\u006eull"', msgspec.json.encode(" ".join(map(repr, names))), *quoted]


def _parts(texts: list[bytes]) -> list[list[Raw]]:
    return [[Raw(text) for text in texts[at : at + MAX_BLOCKS]] for at in range(0, len(texts), MAX_BLOCKS)]


def _objects(names: list[str]) -> list[bytes]:
    empty, full = (msgspec.json.encode(dict.fromkeys(names, value)) for value in (None, {"type": "text", "a": True}))
    return [b"{}", b'{"a":null}', empty, full, b'{"type":"object","properties":%b}' % full]


TEXT = Kind(_is_text, lambda: [Symbol()], _strings)
FLAG = Kind(_is_flag, lambda: [Symbol()], lambda _names: [b"true", b"false"])
NUMBER = Kind(_is_number, lambda: [Symbol()], lambda _names: [b"0", b"-1.5", b"1e3", b"9007199254740993"])
TOKEN = Kind(_is_token, lambda: [Symbol()], lambda names: [b"0", b"-7", *_strings(names)])
OBJECT = Kind(_is_object, lambda: [SymbolObject(a=Symbol()), {SymbolName("a"): Symbol()}], _objects)
TEXTS = Kind(
    _are_texts,
    lambda: [_blocks_of([Symbol() for _ in range(count)]) for count in range(MAX_BLOCKS + 1)],
    lambda names: [msgspec.json.encode(_blocks_of(texts)) for texts in ([], *_parts(_strings(names)))],
)
TOKEN_ONLY = Kind(
    _holds_token_only,
    lambda: [{}, {"progressToken": Symbol()}],
    lambda names: [b"{}", *(b'{"progressToken":%b}' % token for token in (b"7", *_strings(names)))],
)

SHAPES: dict[Slot, dict[str, Kind]] = {
    result("tools/call"): {"content": TEXTS, "isError": FLAG, "structuredContent": OBJECT},
    params("tools/call"): {"name": TEXT, "arguments": OBJECT, "_meta": TOKEN_ONLY},
    **{
        notification("notifications/progress", toward): {
            "progressToken": TOKEN,
            "progress": NUMBER,
            "total": NUMBER,
            "message": TEXT,
        }
        for toward in ("client", "server")
    },
}
"""The members of usual bodies; a body may lack any of them."""

TOOLS = "tools"
"""The fact that operations on results ask for, and that is missing where the backend's tools need no watching."""

Known = tuple[tuple[tuple[str, Callable[[Raw], bool]], ...], Any] | None
"""What the members of a shape must show, and what is left to run then; None where nothing can be said."""

_MISSING: Any = object()


class Usual:
    """The usual bodies of one lane. `compiled` turns the operations left over into what the lane runs."""

    __slots__ = ("_compiled", "_known", "_ops", "_shape")

    def __init__(self, shape: dict[str, Kind], ops: list[Op], compiled: Callable[[list[Op]], Any]) -> None:
        self._shape = shape
        self._ops = ops
        self._compiled = compiled
        self._known: tuple[dict[tuple[str, ...], Known], dict[tuple[str, ...], Known]] = ({}, {})

    def rest(self, body: Body, ctx: Context) -> Any:
        """What is left to run on this body (maybe nothing), None if it is not of a usual shape."""
        names = tuple(body)
        told = TOOLS in ctx.facts
        known = self._known[told].get(names, _MISSING)
        if known is _MISSING:
            # Bounded: only orders of the shape's own few names are kept.
            if not self._shape.keys() >= body.keys():
                return None
            left = needed(self._ops, {name: self._shape[name] for name in names}, "" if told else TOOLS)
            tests = tuple((name, self._shape[name].test) for name in names)
            known = self._known[told][names] = None if left is None else (tests, self._compiled(left))
        if known is None:
            return None
        for name, test in known[0]:
            value = body[name]
            if type(value) is not Raw or not test(value):
                return None
        return known[1]
