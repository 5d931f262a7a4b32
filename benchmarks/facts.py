"""What the harness and its backend agree on: tool names, members by revision, header rules.

Follows the official schemas of the five revisions. The invariant: a backend shows only members of
its own revision.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

STATEFUL: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS: Final = "2026-07-28"
REVISIONS: Final = (*STATEFUL, STATELESS)
LIST_TOOLS: Final = 200
FRESH: Final = "fresh-"  # a cursor that begins so is the first tool's name: no two such lists are equal
LIST_TOOL_BYTES: Final = 465  # 200 of them make the 93 KB list of the paper
BIG_TEXT_BYTES: Final = 1_000_000
BACKLOG: Final = 4096  # pending connections; every load opens fewer
BURST_EVENTS_PER_WRITE: Final = 50


def has(revision: str, since: str) -> bool:
    """Whether `revision` is `since` or a later one."""
    return REVISIONS.index(revision) >= REVISIONS.index(since)


def version_header(revision: str) -> bool:
    """Whether a client of this revision must send `MCP-Protocol-Version` (2025-06-18/basic/transports)."""
    return has(revision, "2025-06-18")


def _tool(revision: str, number: int) -> dict[str, Any]:
    name = f"tool_{number:03d}"
    tool: dict[str, Any] = {"name": name, "description": ""}
    if has(revision, "2025-06-18"):
        tool["title"] = f"Tool {number:03d}"
    tool["inputSchema"] = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    if has(revision, "2025-03-26"):
        tool["annotations"] = {"readOnlyHint": True}
    if has(revision, "2025-06-18"):
        tool["outputSchema"] = {"type": "object", "properties": {"t": {"type": "number"}}}
    if has(revision, "2025-11-25"):
        tool["icons"] = [{"src": "https://example.com/i.png"}]
    if revision == "2025-11-25":
        tool["execution"] = {"taskSupport": "forbidden"}
    size = len(msgspec.json.encode(tool))
    tool["description"] = (f"Answers questions of kind {number}. " * 12)[: LIST_TOOL_BYTES - size]
    return tool


def tools_json(revision: str) -> bytes:
    """The JSON list of 200 tools, using every member this revision has; about 93 KB."""
    return msgspec.json.encode([_tool(revision, number) for number in range(LIST_TOOLS)])


ONE_TOOL: Final = msgspec.json.encode(
    {"tools": [{"name": "echo", "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}]}
)
"""The result of `tools/list` with the small call's tool alone."""


def initialize_json(revision: str, changing: bool) -> bytes:
    """The result of `initialize`: the pinned revision, whatever was asked."""
    return msgspec.json.encode(
        {
            "protocolVersion": revision,
            "capabilities": {"tools": {"listChanged": True} if changing else {}},
            "serverInfo": {"name": "bench-backend", "version": "1"},
        }
    )


def page_json(tools: bytes, cursor: str) -> bytes:
    """The 93 KB list as a page whose `nextCursor` brings the asked cursor back."""
    if cursor.startswith(FRESH):
        tools = tools.replace(b'"tool_000"', msgspec.json.encode(cursor), 1)
    return b'{"tools":%b,"nextCursor":%b}' % (tools, msgspec.json.encode(f"after-{cursor}"))


def reading_json(revision: str, mark: str) -> bytes:
    """The result of `measure`, structured where the revision has that."""
    reading = {"mark": mark, "temperature": 21.5, "unit": "C"}
    result: dict[str, Any] = {"content": [{"type": "text", "text": msgspec.json.encode(reading).decode()}]}
    if has(revision, "2025-06-18"):
        result["structuredContent"] = reading
    return msgspec.json.encode(result)


def tool_members(revision: str) -> frozenset[str]:
    """Members of the listed tools that a reader of this revision knows."""
    since = {
        "name": "2024-11-05",
        "description": "2024-11-05",
        "inputSchema": "2024-11-05",
        "annotations": "2025-03-26",
        "title": "2025-06-18",
        "outputSchema": "2025-06-18",
        "icons": "2025-11-25",
        "execution": "2025-11-25",
    }
    gone = {"execution"} if revision == STATELESS else set()
    return frozenset(name for name, first in since.items() if has(revision, first)) - gone
