"""What a configuration text says and where it says it: the tree all three formats are read into.

Positions are character indices into the text without its byte-order mark. Invariant: what is not named by an edit
keeps every character, comments and line ends included.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec


class CannotRead(ValueError):  # noqa: N818 (an outcome, named as the caller reads it)
    """A file that cannot be read: `where` is `line 3, column 5` or empty, `what` the reason, `fix` what to do."""

    def __init__(self, what: str, fix: str, where: str = "") -> None:
        super().__init__(f"{where}: {what}" if where else what)
        self.what, self.fix, self.where = what, fix, where


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong at `path` (`mcpServers.github.args`). Unless `fatal`, its server can be used."""

    path: str
    what: str
    fix: str
    fatal: bool = True

    def line(self, file: object) -> str:
        """The problem as it is printed: `FILE: key.path: what — fix`."""
        path = f" {self.path}:" if self.path else ""
        return f"{file}:{path} {'' if self.fatal else 'note: '}{self.what} — {self.fix}"


class Node(msgspec.Struct, frozen=True):
    """A value and its place.

    `layout` says how members are written: `braces` (JSON, flow YAML, inline TOML), `block` (YAML by indentation) or
    `lines` (a TOML table). Only of a `lines` node may text between `start` and `end` belong to somebody else; then
    `whole` is False. `insert_at` and `prefix` say where and under which dotted prefix a `lines` node grows.
    """

    value: Any
    start: int
    end: int
    layout: Literal["scalar", "braces", "block", "lines"] = "scalar"
    members: tuple[Member, ...] = ()
    items: tuple[Node, ...] = ()
    whole: bool = True
    insert_at: int = -1
    prefix: str = ""

    def get(self, *path: str) -> Node | None:
        """The value at a path of keys; of keys that are there twice, the last."""
        node: Node | None = self
        for key in path:
            node = next((member.node for member in reversed(node.members) if member.key == key), None) if node else None
        return node

    def member(self, key: str) -> Member | None:
        """The member of a key; the last, if it is there twice."""
        return next((member for member in reversed(self.members) if member.key == key), None)

    def doubled(self) -> list[str]:
        """The keys that are there more than once."""
        keys = [member.key for member in self.members]
        return sorted({key for key in keys if keys.count(key) > 1})


class Member(msgspec.Struct, frozen=True):
    """A key and its value. `start` is that of the key, `comma` the place of the comma behind the value or -1; `parts`
    are the line ranges it consists of where its parent is written in lines."""

    key: str
    start: int
    node: Node
    comma: int = -1
    parts: tuple[tuple[int, int], ...] = ()


class Edit(msgspec.Struct, frozen=True):
    """`text` instead of the characters from `start` to before `end`."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with every edit made; edits do not overlap.

    Raises:
        ValueError: two edits claim the same characters.
    """
    pieces: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < done:
            raise ValueError("two edits at one place")
        pieces += [text[done : edit.start], edit.text]
        done = edit.end
    return "".join([*pieces, text[done:]])


def place(text: str, index: int) -> str:
    """`line 3, column 5` of a position, counted from 1 as editors do."""
    line = text.count("\n", 0, index) + 1
    return f"line {line}, column {index - (text.rfind(chr(10), 0, index) + 1) + 1}"


def column(text: str, index: int) -> int:
    """How many characters stand before a position on its line."""
    return index - (text.rfind("\n", 0, index) + 1)


def indent(text: str, index: int) -> str:
    """The blanks that the line of a position begins with."""
    start = text.rfind("\n", 0, index) + 1
    end = start
    while end < len(text) and text[end] in " \t":
        end += 1
    return text[start : min(end, index)]
