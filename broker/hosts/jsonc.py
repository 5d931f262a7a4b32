"""JSON as hosts write and people edit it: comments, trailing commas and a byte-order mark are tolerated.

No library does this for our purpose: those that keep comments lose positions or rewrite spacing, and we must change
a value in place and give everything else back byte by byte. Keys that are there twice are kept: the caller judges them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from broker.hosts.spans import CannotRead, Member, Node, place

DEPTH: Final = 100  # nesting of a host's file; VS Code's own settings stay below 20

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: Final = {"true": True, "false": False, "null": None}


def parse(text: str) -> Node:
    """The tree of a JSON text; of one without any value, an empty object.

    Raises:
        CannotRead: with the line and column of the first character that is wrong.
    """
    reader = _Reader(text)
    reader.blank()
    if reader.at == len(text):
        return Node({}, 0, len(text), "braces")
    root = reader.value(0)
    reader.blank()
    if reader.at < len(text):
        raise reader.wrong("more text after the end of the value", "remove it, or a bracket before it")
    return root


class _Reader:
    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def wrong(self, what: str, fix: str, at: int | None = None) -> CannotRead:
        return CannotRead(f"not valid JSON: {what}", fix, place(self.text, self.at if at is None else at))

    def blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        if self.text.startswith("/*", self.at):
            raise self.wrong("a comment without end", "close it with */")

    def value(self, depth: int) -> Node:
        if depth > DEPTH:
            raise self.wrong(f"nested deeper than {DEPTH}", "make it flatter")
        start = self.at
        match self.text[start : start + 1]:
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case '"':
                return Node(self._string(), start, self.at)
            case "":
                raise self._ended()
        for word, meaning in _WORDS.items():
            if self.text.startswith(word, start):
                self.at += len(word)
                return Node(meaning, start, self.at)
        found = _NUMBER.match(self.text, start)
        if found is None:
            raise self.wrong("expected a value", "write text in double quotes, or true, false, null, a number, { or [")
        self.at = found.end()
        return Node(self._number(found[0]), start, self.at)

    def _ended(self) -> CannotRead:
        return self.wrong("the text ends in the middle", "close every { and [")

    def _number(self, literal: str) -> Any:
        try:
            return json.loads(literal)
        except ValueError:  # CPython refuses integers of thousands of digits
            return float(literal)

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.wrong("a text without end", "close it with a double quote on the same line")
        literal = found[0]
        try:
            value: str = json.loads(literal) if "\\" in literal else literal[1:-1]
        except ValueError:
            raise self.wrong("a text with a wrong escape", r"write a backslash as \\") from None
        self.at = found.end()
        return value

    def _object(self, depth: int) -> Node:
        start = self.at
        self.at += 1
        members: list[Member] = []
        while True:
            self.blank()
            if self.text.startswith("}", self.at):
                self.at += 1
                value = {member.key: member.node.value for member in members}
                return Node(value, start, self.at, "braces", members=tuple(members))
            if self.at == len(self.text):
                raise self._ended()
            if members and members[-1].comma < 0:
                raise self.wrong("expected , or }", "put a comma between two members", members[-1].node.end)
            key_at = self.at
            if not self.text.startswith('"', key_at):
                raise self.wrong("expected a key or }", "write keys in double quotes, and close every {")
            key = self._string()
            self.blank()
            if not self.text.startswith(":", self.at):
                raise self.wrong("expected :", "put a colon between key and value")
            self.at += 1
            self.blank()
            node = self.value(depth + 1)
            members.append(Member(key, key_at, node, self._comma()))

    def _array(self, depth: int) -> Node:
        start = self.at
        self.at += 1
        items: list[Node] = []
        comma = 0
        while True:
            self.blank()
            if self.text.startswith("]", self.at):
                self.at += 1
                return Node([item.value for item in items], start, self.at, "braces", items=tuple(items))
            if self.at == len(self.text):
                raise self._ended()
            if comma < 0:
                raise self.wrong("expected , or ]", "put a comma between two values", items[-1].end)
            items.append(self.value(depth + 1))
            comma = self._comma()

    def _comma(self) -> int:
        self.blank()
        if not self.text.startswith(",", self.at):
            return -1
        self.at += 1
        return self.at - 1
