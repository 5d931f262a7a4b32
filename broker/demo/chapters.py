"""The chapters of the story: what each shows, and how it is read from a client's reports.

A check returns what was seen, for people, or None if the chapter does not hold. Invariant: a check looks at the reports
alone; it knows what the sample servers offer, not what the broker does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from broker.demo.offers import MODERN_TOOLS, NOTES, NOTES_URI, TOOLS
from protocol_versions.v2024_11_05 import REVISION as OLDEST
from protocol_versions.v2025_11_25 import REVISION as ASKING
from protocol_versions.v2026_07_28 import REVISION as MODERN

Line = dict[str, Any]
Chapter = tuple[str, Callable[[list[Line]], str | None]]
"""`(what it shows, the client's reports -> what was seen, None if it does not hold)`."""

_NEWER: Final = frozenset(["outputSchema", "title", "icons", "annotations", "execution"])
"""Members of a tool that 2024-11-05 does not have."""


def _find(lines: list[Line], feature: str, tool: str = "") -> Line:
    return next((line for line in lines if line["feature"] == feature and line.get("tool", "") == tool), {})


def _blocks(lines: list[Line], tool: str) -> list[Line]:
    line = _find(lines, "tools/call", tool)
    return [] if line.get("is_error", True) else line["content"]


def _texts(lines: list[Line], tool: str) -> list[str]:
    return [block["text"] for block in _blocks(lines, tool) if block["type"] == "text"]


def _negotiated(revision: str) -> Callable[[list[Line]], str | None]:
    def check(lines: list[Line]) -> str | None:
        line = _find(lines, "initialize")
        return f"{line['revision']} with {line['server']}" if line.get("revision") == revision else None

    return check


def _listed(offered: list[Line]) -> Callable[[list[Line]], str | None]:
    def check(lines: list[Line]) -> str | None:
        tools = _find(lines, "tools/list").get("tools", [])
        names = [tool["name"] for tool in tools]
        if names != [tool["name"] for tool in offered] or any(_NEWER & tool.keys() for tool in tools):
            return None
        return f"{', '.join(names)}: name, description and inputSchema, as its revision has them"

    return check


def _structured(lines: list[Line]) -> str | None:
    texts = _texts(lines, "weather")
    return texts[0] if len(texts) == 1 and json.loads(texts[0]).keys() == {"temperature", "unit", "sky"} else None


def _bare(lines: list[Line]) -> str | None:
    """The list, as it is or within the object it was wrapped in for newer sessions, in one of the texts."""
    for text in _texts(lines, "forecast"):
        found = json.loads(text) if text[:1] in ("[", "{") else None
        found = found.get("result") if isinstance(found, dict) else found
        if isinstance(found, list) and len(found) == 3:
            return text
    return None


def _wrapped(lines: list[Line]) -> str | None:
    line = _find(lines, "tools/call", "forecast")
    structured = line.get("structured")
    if line.get("is_error", True) or not isinstance(structured, dict) or len(structured.get("result", [])) != 3:
        return None
    return json.dumps(structured)


def _link(lines: list[Line]) -> str | None:
    texts = _texts(lines, "notes")
    return texts[0] if len(texts) == 1 and NOTES_URI in texts[0] else None


def _audio(lines: list[Line]) -> str | None:
    blocks = [block["resource"] for block in _blocks(lines, "beep") if block["type"] == "resource"]
    if len(blocks) != 1 or blocks[0].get("mimeType") != "audio/wav" or not blocks[0].get("blob"):
        return None
    return f"{blocks[0]['mimeType']}, {len(blocks[0]['blob'])} characters of base64, at {blocks[0]['uri']}"


def _unasked(lines: list[Line]) -> str | None:
    line = _find(lines, "tools/call", "greet")
    if line.get("is_error"):
        return str(line["content"][0]["text"])
    return line.get("error")


def _read(lines: list[Line]) -> str | None:
    contents = _find(lines, "resources/read").get("contents", [])
    return NOTES if [item.get("text") for item in contents] == [NOTES] else None


def _prompted(lines: list[Line]) -> str | None:
    messages = _find(lines, "prompts/get").get("messages", [])
    return str(messages[0]["content"]["text"]) if len(messages) == 1 else None


def _asked(lines: list[Line]) -> str | None:
    line = _find(lines, "tools/call", "greet")
    asked, texts = line.get("asked", []), _texts(lines, "greet")
    if [question["method"] for question in asked] != ["elicitation/create"] or len(texts) != 1:
        return None
    return f"asked {asked[0]['params']['message']!r}, answered, and then told {texts[0]!r}" if "!" in texts[0] else None


def _followed(lines: list[Line]) -> str | None:
    line = _find(lines, "resources/subscribe")
    return f"{NOTES_URI} has changed" if line.get("uri") == NOTES_URI else None


def _discovered(lines: list[Line]) -> str | None:
    line = _find(lines, "server/discover")
    return f"{line['server']}, which speaks {MODERN.id}" if MODERN.id in line.get("revisions", []) else None


def _kept(lines: list[Line]) -> str | None:
    line = _find(lines, "tools/list")
    names = [tool["name"] for tool in line.get("tools", [])]
    if names != [tool["name"] for tool in TOOLS] or not isinstance(line.get("ttlMs"), int):
        return None
    return f"{', '.join(names)}: {line['cacheScope']}, for {line['ttlMs']} ms"


def _in_rounds(lines: list[Line]) -> str | None:
    line = _find(lines, "tools/call", "greet")
    asked, texts = line.get("asked", []), _texts(lines, "greet")
    if [question["method"] for question in asked] != ["elicitation/create"] or len(texts) != 1 or "!" not in texts[0]:
        return None
    return f"asked {asked[0]['params']['message']!r} in an interim result, and then told {texts[0]!r}"


def _whole(lines: list[Line]) -> str | None:
    structured = _find(lines, "tools/call", "weather").get("structured")
    known = isinstance(structured, dict) and structured.keys() == {"temperature", "unit", "sky"}
    return json.dumps(structured) if known else None


def old_client(*, modern: bool) -> tuple[Chapter, ...]:
    """What the 2024-11-05 client sees of the modern sample server, or of the one before."""
    bare = (("output that is a bare list arrives as text", _bare),) if modern else ()
    return (
        ("the client is answered in its own revision", _negotiated(OLDEST.id)),
        ("the tools are listed without what the client does not know", _listed(MODERN_TOOLS if modern else TOOLS)),
        ("structured output arrives as text", _structured),
        *bare,
        ("a resource link arrives as a text with the address", _link),
        ("audio arrives as an embedded resource", _audio),
        ("a question this client cannot be asked ends cleanly", _unasked),
        ("a resource is read", _read),
        ("a prompt is rendered", _prompted),
    )


def asking_client(*, modern: bool) -> tuple[Chapter, ...]:
    """What the 2025-11-25 client sees."""
    more: tuple[Chapter, ...] = (
        ("output that is a bare list arrives inside an object, as its schema then says", _wrapped),
        ("a change of a resource it follows is announced on its stream", _followed),
    )
    return (
        ("the client is answered in its own revision", _negotiated(ASKING.id)),
        ("an interim result of the server becomes a real request, and its answer goes back", _asked)
        if modern
        else ("a question of the server reaches the client, and its answer goes back", _asked),
        *(more if modern else ()),
    )


def modern_client() -> tuple[Chapter, ...]:
    """What a client of 2026-07-28, which knows no sessions, sees of the server that knows nothing else."""
    return (
        ("the server is discovered from its handshake", _discovered),
        ("the tools are listed, with how long the list keeps", _kept),
        ("structured output arrives as it is", _whole),
        ("a question ends the call for now, and the call goes on when it comes again with the answer", _in_rounds),
        ("a resource is read", _read),
    )
