"""`x-mcp-header`: arguments of a tool that are repeated in headers.

Follows changelog minor 4 (SEP-2243); server/tools.mdx and basic/transports/streamable-http.mdx, custom headers. A
session client sends no such headers, so it is not told. A modern client must drop a tool with one wrong annotation, so
an annotation that breaks the rules is taken out of an older server's schema: the tool is worth more than the header.
"""

from __future__ import annotations

import re
from typing import Any

from translators.change import Change, result
from translators.context import Context
from translators.ops import KEEP, Loss, each
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_walk import inside, walked

LOG = "2026-07-28/changelog.mdx"
ANNOTATION = "x-mcp-header"
MIRRORS = "mirrors"
"""The fact that whoever plays a session's client has stateless clients behind it, who do send such headers."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_TYPES = ("integer", "string", "boolean")
_NEEDED = (b'"x-mcp-header"',)


def without_annotations(schema: Any) -> Any:
    """The schema without any annotation."""
    return walked(schema, _plain)


def with_sound_annotations(schema: Any) -> Any:
    """The schema with those annotations only that a client accepts: of reachable primitives, each name once."""
    if not isinstance(schema, dict):
        return schema
    return _plain(_reachable(schema, set()))


def _plain(schema: Body) -> Body:
    return {name: value for name, value in schema.items() if name != ANNOTATION}


def _reachable(schema: Body, taken: set[str]) -> Body:
    """Annotations count along chains of `properties` only."""
    found = {}
    for name, value in schema.items():
        if name == "properties" and isinstance(value, dict):
            found[name] = {key: _property(inner, taken) for key, inner in value.items()}
        else:
            found[name] = inside(name, value, _plain)
    return found


def _property(schema: Any, taken: set[str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    reached = _reachable(schema, taken)
    header = reached.get(ANNOTATION)
    if header is None and ANNOTATION not in reached:
        return reached
    if not isinstance(header, str) or not _TOKEN.fullmatch(header) or reached.get("type") not in _TYPES:
        return _plain(reached)
    if header.lower() in taken:
        return _plain(reached)
    taken.add(header.lower())
    return reached


def _dropped(schema: Any, ctx: Context) -> Any:
    if ctx.facts.get(MIRRORS):
        return KEEP
    plain = without_annotations(schema)
    return KEEP if plain == schema else plain


def _sound(schema: Any, _ctx: Context) -> Any:
    sound = with_sound_annotations(schema)
    return KEEP if sound == schema else sound


HEADERS = Change(
    name="headers from arguments",
    spec=f"{LOG} minor 4",
    rows=("N62",),
    up={result("tools/list"): (each("tools[].inputSchema", _sound, Loss.COSMETIC, needing=_NEEDED),)},
    down={result("tools/list"): (each("tools[].inputSchema", _dropped, Loss.COSMETIC, needing=_NEEDED),)},
)
