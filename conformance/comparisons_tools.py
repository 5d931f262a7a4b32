"""Comparisons of tool lists, tool results, progress and cancellation.

Follows server/tools and basic/utilities/{progress,cancellation} of each revision.
"""

from __future__ import annotations

from typing import Any, Final

from conformance import projection
from conformance.comparisons import NOTHING, Compare, Reference, difference, is_error
from conformance.lines import Line

LINKED_URI: Final = "test://static-text"
STRUCTURED: Final = {"temperature": 21.5, "unit": "C"}
PROGRESS: Final = [[0.0, 100.0], [50.0, 100.0], [100.0, 100.0]]


def blocks(*types: str) -> Compare:
    """A successful tool result of exactly these block types, its texts as direct."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok" or is_error(line):
            return line.brief
        seen = line.seen.get("types")
        if seen != list(types):
            return f"block types {seen}, not {list(types)}"
        if "text" not in types or "resource" in types:
            return None
        return difference(line, reference, "texts")

    return compare


def link_as_text(line: Line, _reference: Reference) -> str | None:
    """The linked URI is named in a text block, and no block of a newer revision is left."""
    if line.status != "ok" or is_error(line):
        return line.brief
    if set(line.seen.get("types", ())) != {"text"}:
        return f"block types {line.seen.get('types')}, not only text"
    if not any(LINKED_URI in str(text) for text in line.seen.get("texts", ())):
        return f"no text names {LINKED_URI}: {line.brief}"
    return None


def structured(*, shown: bool) -> Compare:
    """The JSON is in exactly one text block; `structuredContent` is there when `shown`, and only then."""

    def compare(line: Line, _reference: Reference) -> str | None:
        if line.status != "ok" or is_error(line):
            return line.brief
        said = projection.json_blocks(list(line.seen.get("texts", ())))
        if said.count(STRUCTURED) != 1:
            return f"{said.count(STRUCTURED)} text blocks carry the JSON: {line.brief}"
        value = line.seen.get("structured")
        if value != (STRUCTURED if shown else None):
            return f"structuredContent is {value!r}"
        return None

    return compare


def error_result(line: Line, reference: Reference) -> str | None:
    """A tool's own error: a result with isError and its text."""
    if not is_error(line):
        return f"no error result: {line.brief}"
    return difference(line, reference, "texts")


def progress(line: Line, reference: Reference) -> str | None:
    """Every report, in order, with its message where the server's revision has one and the SDK shows it."""
    if (found := _progress_numbers(line)) is not None:
        return found
    direct = reference.server
    if direct is None or direct.status != "ok":
        return NOTHING
    wanted, seen = _messages(direct), _messages(line)
    if wanted != seen and any(_messages(reference.client) if reference.client else ()):
        return f"messages {seen}, direct {wanted}"
    return None


def progress_bare(line: Line, _reference: Reference) -> str | None:
    """Every report, in order, without messages."""
    if (found := _progress_numbers(line)) is not None:
        return found
    return f"messages {_messages(line)} of a newer revision" if any(_messages(line)) else None


def _progress_numbers(line: Line) -> str | None:
    if line.status != "ok":
        return line.brief
    seen = [[float(value) for value in report[:2]] for report in line.seen.get("progress", ())]
    return None if seen == PROGRESS else f"reports {seen}, not {PROGRESS}"


def _messages(line: Line) -> list[Any]:
    return [report[2] if len(report) > 2 else None for report in line.seen.get("progress", ())]


def cancelled(line: Line, _reference: Reference) -> str | None:
    """The server's own work was cancelled, once."""
    if line.status != "ok":
        return line.brief
    return None if str(line.seen.get("count")) == "1" else f"{line.seen.get('count')} cancelled, not 1"


def tools(client: str, server: str) -> Compare:
    """The server's tools, each with the members that the client's revision has."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        if reference.server is None or reference.client is None or not reference.server.seen.get("tools"):
            return NOTHING
        shows = projection.tool_members_shown(list(reference.client.seen.get("tools", ())))
        differences = projection.tool_differences(
            list(line.seen.get("tools", ())), list(reference.server.seen["tools"]), client, server, shows
        )
        return "; ".join(differences[:4]) or None

    return compare
