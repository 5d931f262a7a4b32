"""One look at a list of tools, while it is still bytes: is every tool what nearly every server writes?

Several operations repair tools that some readers reject, and each would have to open the whole list to see that there
is nothing to repair. They share this proof as their `content`, so a clean list is read once and travels as it came.
Invariant: for a list that passes, every operation that names the proof leaves every tool alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from translators.op import ESCAPED_ASCII

KEPT_BYTES = 1024 * 1024
"""A longer text is looked at each time anew."""


def remembered(proof: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """The proof, with its verdict on the last text kept: a list is asked about several times in a row."""
    text, verdict = b"", proof(b"")

    @functools.wraps(proof)
    def ask(asked: bytes) -> bool:
        nonlocal text, verdict
        if asked == text:
            return verdict
        found = proof(asked)
        if len(asked) <= KEPT_BYTES:
            text, verdict = asked, found
        return found

    return ask


class _Anything(msgspec.Struct, gc=False):
    """An object, whatever it holds."""


class _Schema(msgspec.Struct, gc=False):
    type: Literal["object"]
    properties: dict[str, _Anything] | UnsetType = UNSET


class _Icon(msgspec.Struct, gc=False):
    sizes: list[str] | UnsetType = UNSET
    theme: Literal["light", "dark"] | UnsetType = UNSET


class _Execution(msgspec.Struct, gc=False):
    taskSupport: Literal["forbidden", "optional", "required"] | UnsetType = UNSET  # noqa: N815 - the member's name


class _Tool(msgspec.Struct, gc=False):
    inputSchema: _Schema  # noqa: N815
    outputSchema: _Schema | UnsetType = UNSET  # noqa: N815
    icons: list[_Icon] | UnsetType = UNSET
    execution: _Execution | UnsetType = UNSET


_tools = msgspec.json.Decoder(list[_Tool]).decode


@remembered
def usual_tools(text: bytes) -> bool:
    """True if the bytes prove it of every tool (False proves nothing).

    Schemas are object schemas whose properties are objects; sizes of icons are lists, themes and the support of tasks
    are known ones. Every one of two equal members has to pass, and no name may be spelled with escapes.
    """
    if ESCAPED_ASCII in text:
        return False
    try:
        _tools(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
