"""Structured tool output as text: every tool result can be read by a reader that looks at `content` alone.

2025-06-18/server/tools.mdx says a server SHOULD also return the JSON as a text block; not all do.
"""

from __future__ import annotations

from typing import Any

import msgspec

from translators import tree
from translators.context import Context
from translators.ops import KEEP
from translators.tree import Body

_canonical = msgspec.json.Encoder(order="sorted").encode


def content_with_structured(body: Body, _ctx: Context) -> Any:
    """`content`, plus `structuredContent` as JSON text unless a block already says the same (then KEEP)."""
    structured = tree.whole(body, "structuredContent")
    if structured is None:
        return KEEP
    content = tree.whole(body, "content")
    blocks = content if isinstance(content, list) else []
    wanted = [structured]
    if isinstance(structured, dict) and structured.keys() == {"result"}:
        # What the newest step wrapped to give it an object's root is said by the value alone.
        wanted.append(structured["result"])
    texts = {_canonical(value) for value in wanted}
    if any(_says(block, texts) for block in blocks):
        return KEEP
    return [*blocks, {"type": "text", "text": msgspec.json.encode(structured).decode()}]


def _says(block: Any, wanted: set[bytes]) -> bool:
    """True if a text block holds one of these JSON values, whatever its spacing and member order."""
    if not isinstance(block, dict) or not isinstance(text := block.get("text"), str):
        return False
    try:
        return _canonical(msgspec.json.decode(text)) in wanted
    except (msgspec.DecodeError, RecursionError):
        return False
