"""Paths that name members: the part of JSONPath (RFC 9535) that names places, and nothing that computes.

    $.a.b    $['a b']    $.list[0]    $.list[*]    $.object.*    $..password

Filters, slices, unions and negative indices are refused. A place is followed as the tree is walked, so that a path
costs a look-up per member and never a walk of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

ANY: Final = "*"
MAX_SEGMENTS: Final = 32
"""Names in one path; a message is nested 64 deep at most."""

_SEGMENT: Final = re.compile(
    r"(\.\.?)([A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff-]*|\*)"
    r"|(\.\.)?\[(?:'([^'\\]*)'|\"([^\"\\]*)\"|(0|[1-9][0-9]{0,8})|(\*))\]"
)


class Segment(msgspec.Struct, frozen=True):
    """A name, an index, or anything (None); `deep`: at any depth below."""

    name: str | int | None
    deep: bool


Path = tuple[Segment, ...]
State = tuple[int, int]
"""The number of a path, and how many of its segments are behind us."""
States = tuple[State, ...]


def path_of(text: str) -> Path:
    """The segments of a path.

    Raises:
        ValueError: it is no path of the forms above.
    """
    if not text.startswith("$"):
        raise ValueError("expected a path that begins with $")
    found: list[Segment] = []
    at = 1
    while at < len(text):
        match = _SEGMENT.match(text, at)
        if match is None or len(found) == MAX_SEGMENTS:
            raise ValueError("expected a path of .name, ['name'], [0], [*], .* and ..name")
        dots, name, deep, quoted, double, index, star = match.groups()
        word = next((each for each in (name, quoted, double) if each is not None), None)
        if word == ANY and quoted is None and double is None:
            star = ANY
        found.append(Segment(None if star else int(index) if index else word, dots == ".." or deep is not None))
        at = match.end()
    if not found:
        raise ValueError("expected a path to a member, not to the whole message")
    return tuple(found)


class Paths:
    """Several paths, followed at once."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self.start: States = tuple((number, 0) for number in range(len(self._paths)))

    def step(self, states: States, key: str | int) -> States:
        """Where the paths are after one more member or item."""
        found: list[State] = []
        for number, behind in states:
            path = self._paths[number]
            if behind == len(path):
                continue
            segment = path[behind]
            if segment.name is None or segment.name == key:
                found.append((number, behind + 1))
            if segment.deep:
                found.append((number, behind))
        return tuple(found)

    def ends(self, states: States) -> list[int]:
        """The paths that name this place."""
        return [number for number, behind in states if behind == len(self._paths[number])]
