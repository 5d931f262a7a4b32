"""Comparisons of what an application saw with what it must see: each gives None, or the difference in words.

A comparison gets the line of the cell and its `Reference`: two direct lines. Here is what all kinds share.
Invariant: no comparison passes on an empty or missing reference; it then says that there is nothing to
compare with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance import projection
from conformance.lines import Line

NOTHING: Final = "nothing to compare with: the direct run did not show it"


@dataclass(frozen=True)
class Reference:
    """The direct runs a line is judged against.

    `server` is this server's line with a client of its own revision and SDK; `client` is this client's line
    with a server of its own revision and SDK; `client_revision` is the client's. Either line is None when
    that run has none.
    """

    server: Line | None
    client: Line | None
    client_revision: str


Compare = Callable[[Line, Reference], str | None]


def ok(line: Line, _reference: Reference) -> str | None:
    """The feature ran."""
    return None if line.status == "ok" else line.brief


def nothing_there(line: Line, _reference: Reference) -> str | None:
    """The server has no such thing and the client is told so, by a refusal or an error result."""
    if line.status in ("refused", "unsupported") or is_error(line):
        return None
    return f"the feature should not exist, but: {line.brief}"


def is_error(line: Line) -> bool:
    """Whether the server answered with an error result; clients that wanted more say `failed` and show it."""
    if line.status == "failed":
        return bool(line.seen.get("texts"))
    return line.status == "ok" and bool(line.seen.get("isError"))


def equal(*keys: str) -> Compare:
    """These members of what was seen are as direct."""

    def compare(line: Line, reference: Reference) -> str | None:
        return difference(line, reference, *keys)

    return compare


def difference(line: Line, reference: Reference, *keys: str) -> str | None:
    if line.status != "ok":
        return line.brief
    direct = reference.server
    if direct is None or direct.status != "ok":
        return NOTHING
    for key in keys:
        if line.seen.get(key) != direct.seen.get(key):
            return f"{key}: {short(line.seen.get(key))}, direct {short(direct.seen.get(key))}"
    return None


def as_direct(line: Line, reference: Reference) -> str | None:
    """Everything seen directly is seen, as far as the client's revision can show it; nothing newer is."""
    if line.status != "ok":
        return line.brief
    direct = reference.server
    if direct is None or direct.status != "ok":
        return NOTHING
    seen = projection.camel(line.seen)
    missing = unseen(projection.visible(projection.camel(direct.seen), reference.client_revision), seen, "")
    if missing:
        return missing
    newer = unseen(seen, projection.visible(seen, reference.client_revision), "")
    return f"of a newer revision: {newer}" if newer else None


def unseen(wanted: Any, seen: Any, path: str) -> str | None:
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        for key, value in wanted.items():
            if key not in seen:
                if value in (None, {}, []):
                    continue
                return f"{path}/{key} is missing"
            if (found := unseen(value, seen[key], f"{path}/{key}")) is not None:
                return found
        return None
    if isinstance(wanted, list) and isinstance(seen, list):
        if len(wanted) != len(seen):
            return f"{path}: {len(seen)} items, not {len(wanted)}"
        for number, (one, other) in enumerate(zip(wanted, seen, strict=True)):
            if (found := unseen(one, other, f"{path}/{number}")) is not None:
                return found
        return None
    return None if wanted == seen else f"{path}: {short(seen)}, not {short(wanted)}"


def refused_as_direct(line: Line, reference: Reference) -> str | None:
    """The refusal is the server's own: the same code, or the same kind of error result."""
    direct = reference.server
    if direct is None or direct.status not in ("refused", "ok"):
        return NOTHING
    if direct.status == "ok":
        return None if is_error(line) == is_error(direct) and line.status == "ok" else line.brief
    if line.status != "refused":
        return f"not refused: {line.brief}"
    return None if line.code == direct.code else f"code {line.code}, direct {direct.code}"


def short(value: Any, limit: int = 200) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"
