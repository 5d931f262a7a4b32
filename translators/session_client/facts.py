"""What is known of a stateless backend before a call needs it: its discovery, what its tools mirror and return.

Follows 2026-07-28 server/discover, server/tools and server/utilities/caching. Facts belong to one (backend, caller),
because either may be private; several sessions of that caller share them. They are compiled from what the sessions
see, hooks included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from translators import tree
from translators.mirrored import Annotations, annotations_of
from translators.tree import Body

MAX_TTL_MS = 3_600_000
"""Longest time a discovery or catalogue is believed, whatever its `ttlMs` says: an hour, as a legacy verdict."""

CATALOGUE_MS = 60_000
"""How long a complete catalogue is believed beyond a `ttlMs` of 0: the header race is answered by -32020 anyway."""

UNREAD_MS = 5_000
"""How long a catalogue that could not be read is not asked for again: calls go without it meanwhile."""

MAX_TOOLS = 10_000
"""Tools of which something is kept."""


class Facts:
    """Discovery and catalogue with their expiry, in seconds of the caller's clock."""

    __slots__ = ("_discover", "_discover_until", "_overheard", "_read", "_tools", "_tools_until", "schemas")

    def __init__(self) -> None:
        self._discover: Body | None = None
        self._discover_until = 0.0
        self._tools: dict[str, Annotations] = {}
        self._tools_until = 0.0
        self._overheard: dict[str, Annotations] = {}
        """What tools mirror as the backend wrote it, where policy changes what the sessions see."""
        self._read: tuple[bool, msgspec.Raw, tuple[str, ...]] | None = None
        """The page read last: whether it was all there is, its tools, and those to be left out."""
        self.schemas: dict[str, Body] = {}
        """Tool -> its `outputSchema`, of those tools whose schema a session client is shown another of."""

    def discover(self, now: float) -> Body | None:
        """The discovery result, if it is still fresh."""
        return self._discover if now < self._discover_until else None

    def learn_discover(self, result: Body, now: float) -> None:
        """Keep a discovery for as long as it says."""
        self._discover = tree.deep(dict(result))
        self._discover_until = now + _ttl_ms(result) / 1000

    def knows_tools(self, now: float) -> bool:
        """True if the catalogue was read whole and is fresh."""
        return now < self._tools_until

    @property
    def mirrors(self) -> bool:
        """True if any tool has header annotations."""
        return bool(self._tools or self._overheard)

    def mirrored(self, tool: str) -> Annotations:
        """The header annotations of a tool, empty if it has none or is not known."""
        return self._overheard.get(tool) or self._tools.get(tool, {})

    def overhear(self, result: Body) -> None:
        """Take a page of `tools/list` before policy changes it: headers mirror what is sent, hidden arguments too."""
        for tool in _listed(result.get("tools")):
            found = _mirrored(tool.get("inputSchema"))
            _keep(self._overheard, tree.deep(tool["name"]), found)

    def learn_tools(self, result: Body, now: float, *, first: bool, walk: bool = False) -> tuple[list[str], bool]:
        """Take one page of `tools/list`; returns the tools that must be left out, and whether more pages follow.

        A tool whose annotation breaks the rules MUST be excluded, and the others kept (server/tools, x-mcp-header).
        Only a list of one page, or the last page of a `walk` through all of them, makes the catalogue known.
        """
        # Nothing is stored back: a list that stays bytes is known again as a whole.
        more = tree.deep(result.get("nextCursor")) is not None
        whole = first and not more
        listed = result.get("tools")
        if type(listed) is msgspec.Raw and self._read is not None and (whole, listed) == self._read[:2]:
            self._date(result, now, whole=not more and (first or walk))
            return list(self._read[2]), more
        if whole:
            self._tools.clear()
            self.schemas.clear()  # in place: open calls hold it
        bad: list[str] = []
        for tool in _listed(listed):
            name = tree.deep(tool["name"])
            found = _mirrored(tool.get("inputSchema"))
            if found is None:
                bad.append(name)
            _keep(self._tools, name, found)
            _keep(self.schemas, name, _odd_output(tool.get("outputSchema")))
        self._read = (whole, listed.copy(), tuple(bad)) if type(listed) is msgspec.Raw else None
        self._date(result, now, whole=not more and (first or walk))
        return bad, more

    def _date(self, result: Body, now: float, *, whole: bool) -> None:
        if whole:
            self._tools_until = now + max(_ttl_ms(result), CATALOGUE_MS) / 1000

    def miss_tools(self, now: float) -> None:
        """The catalogue could not be read; it is not asked for again at once."""
        self._tools_until = now + UNREAD_MS / 1000

    def forget_tools(self) -> None:
        """The catalogue has changed."""
        self._tools_until = 0.0

    def forget(self) -> None:
        """The backend is not what it was."""
        self._discover_until = self._tools_until = 0.0


def _listed(tools: Any) -> Iterator[Body]:
    """The tools of a list that have a name, each opened one level; nothing is stored back."""
    opened = tree.shallow(tools)
    for item in opened if isinstance(opened, list) else ():
        tool = tree.shallow(item)
        if isinstance(tool, dict) and isinstance(tree.deep(tool.get("name")), str):
            yield tool


def _keep(known: dict[str, Any], name: str, value: Any) -> None:
    if value and len(known) < MAX_TOOLS:
        known[name] = value
    else:
        known.pop(name, None)


def _mirrored(schema: Any) -> Annotations | None:
    """The annotations of an `inputSchema`, None if they break the rules; a schema without the word stays unopened."""
    if schema is None or (type(schema) is msgspec.Raw and b"x-mcp-header" not in bytes(schema)):
        return {}
    return annotations_of(tree.deep(tree.shallow(schema)))


def _odd_output(schema: Any) -> Body | None:
    """The tool's definition as far as its results need it, if its `outputSchema` is no plain object's."""
    if schema is None or (type(schema) is msgspec.Raw and bytes(schema).startswith(b'{"type":"object"')):
        return None
    opened = tree.deep(tree.shallow(schema))
    return {"outputSchema": opened} if isinstance(opened, dict) and opened.get("type") != "object" else None


def _ttl_ms(result: Body) -> int:
    ttl = tree.deep(result.get("ttlMs"))
    return min(max(ttl, 0), MAX_TTL_MS) if type(ttl) is int else 0
