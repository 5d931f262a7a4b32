"""Content blocks that would make a reader reject the message they are in.

One block of a kind the reader does not know, without a name, or with data that is no base64, costs it the whole
result; a repaired block costs nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

import msgspec

from protocol_versions.base import Slot
from translators.change import Change, answer, ask, result
from translators.context import Context
from translators.ops import KEEP, Loss, Op, each, swap
from translators.tree import Body

KNOWN = frozenset(("text", "image", "audio", "resource", "resource_link"))
STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

PLACES: dict[Slot, tuple[str, ...]] = {
    result("tools/call"): ("content[]",),
    result("prompts/get"): ("messages[].content",),
    ask("sampling/createMessage"): ("messages[].content", "messages[].content[]"),
    answer("sampling/createMessage"): ("content", "content[]"),
}
"""Where content blocks stand; sampling may hold one or several."""
FREE = (result("tools/call"), result("prompts/get"))
"""Where every kind of block may stand."""
SAMPLED = (ask("sampling/createMessage"), answer("sampling/createMessage"))


def at_blocks(make: Callable[[str], Op], slots: tuple[Slot, ...] = tuple(PLACES)) -> dict[Slot, tuple[Op, ...]]:
    """An operation for each place of each slot."""
    return {slot: tuple(make(path) for path in PLACES[slot]) for slot in slots}


def _named(link: Body, _ctx: Context) -> Any:
    if isinstance(link.get("name"), str):
        return KEEP
    uri = str(link.get("uri", ""))
    return {**link, "name": link.get("title") or uri.rstrip("/").rpartition("/")[2] or uri or "resource"}


def _as_text(block: Any, _ctx: Context) -> Any:
    """A block of an unknown kind as its own JSON: the model may still make sense of it."""
    if not isinstance(block, dict) or (isinstance(kind := block.get("type"), str) and kind in KNOWN):
        return KEEP
    return {"type": "text", "text": msgspec.json.encode(block).decode()}


def standard_base64(value: Any, _ctx: Context) -> Any:
    """Base64 of the standard alphabet with padding; KEEP if it is that already, or no base64 at all."""
    if not isinstance(value, str) or _is_standard(value):
        return KEEP
    text = "".join(value.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    text += "=" * (-len(text) % 4)
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (binascii.Error, ValueError):
        return KEEP


def _is_standard(value: str) -> bool:
    if len(value) % 4 or not value.isascii():
        return False
    return not value.rstrip("=").encode().translate(None, STANDARD) and not value.endswith("===")


# Every kind of block is spelled `"type":"<kind>"` by compact encoders; a value that holds only those needs no look.
_SURE = tuple(f'"type":"{kind}"'.encode() for kind in sorted(KNOWN))


# The commonest content of all, in one pass; only asked of short texts.
_PLAIN = re.compile(rb'\[\{"type":"text","text":"[^"\\]*"\}\]').fullmatch
_SHORT = 1_024


def all_known(text: bytes) -> bool:
    """True if the bytes prove that every block is of a known kind (False proves nothing)."""
    if len(text) <= _SHORT and _PLAIN(text) is not None:
        return True
    return text.count(b'"type"') == sum(map(text.count, _SURE)) and b"\\u00" not in text


def _unknown_blocks(path: str) -> Op:
    op = each(path, _as_text, Loss.DEGRADED)
    # A message's role and content stand beside its block, so there the bytes of all messages prove the same.
    return msgspec.structs.replace(op, content=all_known, tokens=())


BLOCKS = (
    Change(
        name="unknown kinds of content",
        spec="every pypi and npm release rejects the whole result",
        down=at_blocks(_unknown_blocks, FREE),
    ),
    Change(
        name="names of resource links",
        spec="every pypi and npm release rejects a link without name",
        rows=("T10",),
        down=at_blocks(lambda path: swap(path, "resource_link", _named, Loss.NONE), FREE),
    ),
    Change(
        name="standard base64",
        spec="npm 1.0.4 to 1.25.1 reject the URL-safe alphabet and missing padding",
        rows=("T25",),
        down={
            **at_blocks(lambda path: each(f"{path}.data", standard_base64, Loss.NONE), SAMPLED),
            **{
                slot: (
                    each(f"{path}.data", standard_base64, Loss.NONE),
                    each(f"{path}.resource.blob", standard_base64, Loss.NONE),
                )
                for slot in FREE
                for path in PLACES[slot]
            },
            result("resources/read"): (each("contents[].blob", standard_base64, Loss.NONE),),
        },
    ),
)
