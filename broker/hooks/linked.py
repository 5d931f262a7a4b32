"""Resources that results hold or link to: one that its reader may not see is left out of what is said.

Follows server/tools and server/prompts (resource links, embedded resources) and server/resources: a read gives the
contents of several resources where the server likes, such as those of a folder. What tools and prompts say is opened
if it mentions a resource: that is looked for in its bytes. Invariant: what cannot be read strictly is withheld.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw

from broker.hooks.base import PASS, Body, CallInfo, Glance, Replace, Verdict
from protocol_versions import jsonrpc

HOLDERS: Final = {
    "tools/call": "content", "tasks/result": "content", "prompts/get": "messages", "resources/read": "contents"
}  # fmt: skip
"""The results in which resources may be, and the member that holds them."""

CONTENTS: Final = "contents"


def _mentions(member: str, _info: CallInfo, body: Body) -> bool:
    value = body.get(member)
    return type(value) is not Raw or _mentioned(value)


def _mentioned(value: Raw) -> bool:
    """Whether the word is there, or an escape that may be one of its letters."""
    text = bytes(value)
    return b"resource" in text or b"\\u00" in text


MENTIONS: Final[dict[str, Glance]] = {
    method: functools.partial(_mentions, member) for method, member in HOLDERS.items() if member != CONTENTS
}
"""By method, whether a result may hold or link to a resource."""

Hides = Callable[[Any], bool]
"""Whether a URI is hidden from the reader."""


def without_hidden(body: Body, member: str, hides: Hides) -> Verdict:
    """A result without the blocks that are of hidden resources.

    Raises:
        protocol_versions.jsonrpc.Refused: the content cannot be read in one way alone.
    """
    value = body.get(member)
    if type(value) is Raw:
        if member != CONTENTS and not _mentioned(value):
            return PASS
        value = jsonrpc.open_value(value)
    if not isinstance(value, list):
        return PASS
    if member == CONTENTS:
        shown = [item for item in value if isinstance(item, dict) and not hides(item.get("uri"))]
    else:
        shown = [kept for item in value if (kept := _shown(item, hides)) is not None]
    same = len(shown) == len(value) and all(new is old for new, old in zip(shown, value, strict=True))
    return PASS if same else Replace({**body, member: shown})


def _shown(item: Any, hides: Hides) -> Any:
    """A block or a message as it may be seen, None if it may not."""
    if not isinstance(item, dict):
        return item
    if item.get("type") == "resource_link":
        return None if hides(item.get("uri")) else item
    if item.get("type") == "resource":
        held = item.get("resource")
        return None if not isinstance(held, dict) or hides(held.get("uri")) else item
    content = item.get("content")
    if isinstance(content, dict):
        return item if _shown(content, hides) is not None else None
    if isinstance(content, list):
        kept = [each for each in content if _shown(each, hides) is not None]
        return item if len(kept) == len(content) else {**item, "content": kept} if kept else None
    return item
