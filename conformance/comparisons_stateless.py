"""Comparisons of what a session client sees of a server of 2026-07-28: inputs asked in rounds, headers, arrays.

Follows basic/patterns/mrtr, basic/transports/streamable-http and server/tools of 2026-07-28.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from conformance import projection
from conformance.comparisons import Compare, Reference, difference, is_error, refused_as_direct, short, unseen
from conformance.lines import Line

INTERNAL_ERROR: Final = -32603
NOT_FOUND: Final = -32002
INVALID_PARAMS: Final = -32602
SYNTHESISED: Final = ("mode", "elicitationId")
"""Members of an ask that one of the two revisions has not."""


def inputs(*kinds: str, spared: str = "") -> Compare:
    """The call's text is as direct, and the application was asked exactly these things (see `_kind`), in any order.

    `spared`: a kind that it need not be asked for, because it gave the answer a moment ago.
    """

    def compare(line: Line, reference: Reference) -> str | None:
        if (found := difference(line, reference, "texts")) is not None:
            return found
        asked = list(projection.camel(line.seen.get("asked") or []))
        were = [_kind(each) for each in asked]
        expected = [kind for kind in kinds if kind != spared or kind in were]
        if sorted(were) != sorted(expected):
            return f"asked {were}, not {list(kinds)}"
        assert reference.server is not None
        direct = list(projection.camel(reference.server.seen.get("asked") or []))
        for ask in direct:
            if _kind(ask) not in expected:
                continue
            same = [each for each in asked if _kind(each) == _kind(ask)]
            wanted = {key: value for key, value in ask.items() if key not in SYNTHESISED}
            if all(unseen(wanted, each, "asked") is not None for each in same):
                return f"nobody was asked {short(ask)}"
        return None

    return compare


def _kind(ask: Mapping[str, Any]) -> str:
    if "messages" in ask:
        return "sample"
    return "form" if "requestedSchema" in ask else "roots"


def answered(action: str) -> Compare:
    """The person's action reached the server, whose text is as direct and names it."""

    def compare(line: Line, reference: Reference) -> str | None:
        found = inputs("form")(line, reference)
        if found is None and not any(action in str(text) for text in line.seen["texts"]):
            return f"no text names {action!r}: {line.brief}"
        return found

    return compare


def refused_in_its_own_way(line: Line, _reference: Reference) -> str | None:
    """A prompt or a resource has no error result: -32603, and the application was asked nothing."""
    if line.seen.get("asked"):
        return f"the client was asked: {line.brief}"
    if line.status != "refused":
        return f"not refused: {line.brief}"
    return None if line.code == INTERNAL_ERROR else f"code {line.code}, not {INTERNAL_ERROR}"


def missing_resource(line: Line, reference: Reference) -> str | None:
    """The code that session clients know for a missing resource; the server itself says invalid params."""
    if reference.server is None or reference.server.code != INVALID_PARAMS:
        return refused_as_direct(line, reference)
    if line.status != "refused":
        return f"not refused: {line.brief}"
    return None if line.code == NOT_FOUND else f"code {line.code}, not {NOT_FOUND}"


def wrapped_array(line: Line, reference: Reference) -> str | None:
    """The list stands under `result` in structuredContent, and as JSON in one text block."""
    value = _list(reference)
    return _array(line, value, {"result": value})


def array_as_text(line: Line, reference: Reference) -> str | None:
    """The list stands as JSON in one text block alone."""
    return _array(line, _list(reference), None)


def _list(reference: Reference) -> Any:
    return reference.server.seen.get("structured") if reference.server is not None else None


def _array(line: Line, value: Any, structured: Any) -> str | None:
    if not isinstance(value, list):
        return f"nothing to compare with: the direct run shows {short(value)}"
    if line.status != "ok" or is_error(line):
        return line.brief
    if (said := projection.json_blocks(list(line.seen.get("texts", ())))) != [value]:
        return f"the texts say {short(said)}, not {short([value])}"
    seen = line.seen.get("structured")
    return None if seen == structured else f"structuredContent is {short(seen)}, not {short(structured)}"


def visit(line: Line, reference: Reference) -> str | None:
    """The person was sent to a page, under an id that the server has not and the client's revision requires."""
    if (found := difference(line, reference, "texts")) is not None:
        return found
    asked = projection.camel(line.seen.get("asked") or {})
    wrong = [key for key in ("mode", "url", "message", "elicitationId") if not isinstance(asked.get(key), str)]
    if wrong or asked["mode"] != "url":
        return f"asked {short(asked)}"
    return None


def level(wanted: str) -> Callable[[Line, Reference], str | None]:
    """The request carried the level that the client had set before."""

    def compare(line: Line, _reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        seen = line.seen.get("logLevel")
        return None if seen == wanted else f"the server saw level {seen!r}, not {wanted!r}"

    return compare
