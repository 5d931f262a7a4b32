"""Comparisons of what a client of 2026-07-28 sees, where it is another thing than what session clients see.

Follows client/elicitation and server/resources#error-handling of 2026-07-28.
"""

from __future__ import annotations

from typing import Final

from conformance import comparisons_asks, projection
from conformance.comparisons import Reference, difference, refused_as_direct, short
from conformance.comparisons_stateless import INVALID_PARAMS, NOT_FOUND
from conformance.lines import Line

VISIT: Final = ("mode", "url", "message")
OF_A_SESSION: Final = "elicitationId"


def missing_resource(line: Line, reference: Reference) -> str | None:
    """The code that this revision has for a missing resource, where the server says that of the handshake."""
    if reference.server is None or reference.server.code != NOT_FOUND:
        return refused_as_direct(line, reference)
    if line.status != "refused":
        return f"not refused: {line.brief}"
    return None if line.code == INVALID_PARAMS else f"code {line.code}, not {INVALID_PARAMS}"


def visit(line: Line, reference: Reference) -> str | None:
    """The person was sent to a page, without the id that the server's revision has and this one has not."""
    if (found := difference(line, reference, "texts")) is not None:
        return found
    asked = projection.camel(line.seen.get("asked") or {})
    wrong = [key for key in VISIT if not isinstance(asked.get(key), str)]
    if wrong or asked["mode"] != "url" or OF_A_SESSION in asked:
        return f"asked {short(asked)}"
    return None


def nothing_stray(line: Line, reference: Reference) -> str | None:
    """The SDK met nothing it could not read and cut nothing off, beyond what it meets and cuts directly."""
    if (found := comparisons_asks.nothing_stray(line, reference)) is not None:
        return found
    own = set(reference.client.seen.get("cut", ())) if reference.client is not None else set()
    new = sorted(set(line.seen.get("cut", ())) - own)
    return f"members of another revision: {', '.join(new)}" if new else None
