"""TOML with positions: `tomllib` judges and gives the values, a line scanner finds where they stand.

A table may be written in pieces (`[a.b]`, `[a.b.c]`, `a.b.d = 1`), with others between them; its node knows its pieces.
The scanner trusts that the text is valid, for `tomllib` read it before.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from broker.hosts.spans import CannotRead, Member, Node

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACES = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' + r"|'''.*?'{3,5}(?!')" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'", re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\r\n]+")


class _Table(msgspec.Struct, eq=False):
    """A table that grows while the lines are read."""

    members: dict[str, _Table | list[_Table] | Node] = {}
    starts: dict[str, int] = {}
    parts: dict[str, list[tuple[int, int]]] = {}
    insert_at: int = -1
    prefix: str = ""


def parse(text: str) -> Node:
    """The tree of a TOML text.

    Raises:
        CannotRead: with line and column, as `tomllib` says them.
    """
    try:
        # CRLF inside multi-line texts is for tomllib to normalise; positions are taken from the text as it is.
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).partition(" (at ")
        raise CannotRead(f"not valid TOML: {what}", "correct it there", where.removesuffix(")")) from None
    except RecursionError:
        raise CannotRead("not valid TOML: nested too deep", "make it flatter") from None
    lines = _Lines(text)
    return _Builder(lines.read(), lines.statements).node(tree)


class _Lines:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.statements: list[int] = []

    def read(self) -> _Table:
        root = section = _Table(insert_at=0)
        section_path: list[str] = []
        while self._skip(_BLANK) < len(self.text):
            start = self.at
            self.statements.append(start)
            header = self.text.startswith("[", start)
            if header:
                array = self.text.startswith("[[", start)
                self.at += 2 if array else 1
                section_path = self._key()
                self.at += 2 if array else 1
                end = self._line_end()
                section = self._open(root, section_path, start, array=array)
                section.insert_at, section.prefix = end, ""
                self._claim(root, section_path, start, end)
            else:
                path = self._key()
                self.at += 1  # the equals sign
                self._skip(_SPACES)
                value = self._value()
                end = self._line_end()
                self._put(section, path, start, end, value)
                self._claim(root, section_path, start, end)
        return root

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        return self.at

    def _line_end(self) -> int:
        """The end of the line, its newline not included."""
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        self.at = end
        return end - 1 if self.text[end - 1 : end] == "\r" else end

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_SPACES)
            found = _TEXT.match(self.text, self.at) or _BARE.match(self.text, self.at)
            assert found is not None
            self.at = found.end()
            parts.append(tomllib.loads(f"k = {found[0]}")["k"] if found[0][0] in "\"'" else found[0])
            self._skip(_SPACES)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _value(self) -> Node:
        start = self.at
        match self.text[start]:
            case "[":
                self.at += 1
                items: list[Node] = []
                while self._skip(_BLANK) >= 0 and self.text[self.at] != "]":
                    items.append(self._value())
                    self._comma()
                self.at += 1
                return Node(None, start, self.at, "braces", items=tuple(items))
            case "{":
                self.at += 1
                members: list[Member] = []
                while self._skip(_BLANK) >= 0 and self.text[self.at] != "}":
                    key_at, path = self.at, self._key()
                    self.at += 1
                    self._skip(_SPACES)
                    node = self._value()
                    for key in reversed(path[1:]):  # `a.b = 1` inside braces: not edited, only seen
                        node = Node(None, node.start, node.end, "scalar", members=(Member(key, key_at, node),))
                    members.append(Member(path[0], key_at, node, self._comma()))
                self.at += 1
                return Node(None, start, self.at, "braces", members=tuple(members))
        found = _TEXT.match(self.text, start) or _PLAIN.match(self.text, start)
        assert found is not None
        self.at = start + len(found[0].rstrip())
        return Node(None, start, self.at)

    def _comma(self) -> int:
        self._skip(_BLANK)
        if not self.text.startswith(",", self.at):
            return -1
        self.at += 1
        return self.at - 1

    def _open(self, root: _Table, path: list[str], start: int, *, array: bool) -> _Table:
        """The table a header names, made where it is new; `[[x]]` makes one more."""
        table = root
        for index, key in enumerate(path):
            inner = table.members.get(key)
            table.starts.setdefault(key, start)
            if array and index == len(path) - 1:
                new = _Table()
                tables = inner if isinstance(inner, list) else []
                table.members[key] = [*tables, new]
                return new
            if isinstance(inner, list):
                table = inner[-1]
            else:
                if not isinstance(inner, _Table):
                    inner = table.members[key] = _Table()
                table = inner
        return table

    def _put(self, section: _Table, path: list[str], start: int, end: int, value: Node) -> None:
        table = section
        section.insert_at = max(section.insert_at, end)
        for index, key in enumerate(path[:-1]):
            table.starts.setdefault(key, start)
            table.parts.setdefault(key, []).append((start, end))
            inner = table.members.get(key)
            if not isinstance(inner, _Table):
                inner = table.members[key] = _Table()
            table = inner
            table.insert_at, table.prefix = end, "".join(f"{bare(part)}." for part in path[: index + 1])
        table.members[path[-1]] = value
        table.starts[path[-1]] = start
        table.parts.setdefault(path[-1], []).append((start, end))

    def _claim(self, root: _Table, path: list[str], start: int, end: int) -> None:
        """Count the line to every table that the section's header goes through."""
        table = root
        for key in path:
            table.parts.setdefault(key, []).append((start, end))
            inner = table.members[key]
            if isinstance(inner, list):
                inner = inner[-1]
                inner.parts.setdefault("", []).append((start, end))  # its own lines: arrays have no key of their own
            if not isinstance(inner, _Table):
                return
            table = inner


class _Builder:
    """Tables and values as nodes: the scanner knows the places, `tomllib` the values."""

    def __init__(self, root: _Table, statements: list[int]) -> None:
        self.root = root
        self.statements = statements

    def node(self, tree: dict[str, Any]) -> Node:
        return self._table(self.root, tree, [])

    def _any(self, found: _Table | list[_Table] | Node, value: Any, parts: list[tuple[int, int]]) -> Node:
        if isinstance(found, _Table):
            return self._table(found, value, parts)
        if isinstance(found, Node):
            return _filled(found, value)
        items = [self._table(table, item, table.parts[""]) for table, item in zip(found, value, strict=True)]
        return Node(value, parts[0][0], parts[-1][1], "lines", items=tuple(items))

    def _table(self, table: _Table, value: Any, parts: list[tuple[int, int]]) -> Node:
        start, end = (parts[0][0], parts[-1][1]) if parts else (0, 0)
        members = tuple(
            Member(key, table.starts[key], self._any(inner, value[key], table.parts[key]), -1, tuple(table.parts[key]))
            for key, inner in table.members.items()
        )
        whole = sum(start <= each < end for each in self.statements) == len(parts)
        return Node(value, start, end, "lines", members, (), whole, table.insert_at, table.prefix)


def _filled(node: Node, value: Any) -> Node:
    """The node of an inline value with the values of all that is in it."""
    items = tuple(_filled(item, each) for item, each in zip(node.items, value, strict=True)) if node.items else ()
    members = tuple(
        Member(member.key, member.start, _filled(member.node, value[member.key]), member.comma)
        for member in node.members
    )
    return Node(value, node.start, node.end, node.layout, members, items)


def bare(key: str) -> str:
    """A key as TOML writes it, quoted only where it must be."""
    return key if _BARE.fullmatch(key) else msgspec.json.encode(key).decode()
