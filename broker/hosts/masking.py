"""Differences of a person's configuration as they may be shown: values that may be secret are numbered, not printed.

What may be secret: every variable and header, members named like secrets, arguments behind options named like them,
and what an address carries besides its path. Equal values get equal numbers, so that a change is still seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from broker.hosts.differences import unified
from broker.hosts.document import Document
from broker.hosts.servers import COMMANDS, ENVS, HEADERS, URLS
from broker.hosts.spans import Edit, Node, apply

_SECRET = re.compile(r"key|token|secret|passw|auth|bearer|credential|cookie|header", re.IGNORECASE)
_REFERENCE = re.compile(r"[A-Za-z0-9-]+=(?:Bearer )?env:\w+|\$\{[^{}]*\}")  # tells where a secret is, not what it is
_TOKEN = re.compile(r"\b(?:Bearer|Basic)\s+\S|\b(?:sk|pk|gh[a-z]|xox[a-z]|glpat)[-_]\w{8}")
_NAMES_ONLY: Final = ("env_http_headers", "env_vars", "bearer_token_env_var")


class Masks:
    """The numbers given so far; use one for everything that is shown together."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def masked(self, document: Document) -> str:
        """The document's text with every value that may be secret replaced by `"(hidden 1)"`."""
        return apply(document.text, list(self._edits(document.root, "")))

    def _hidden(self, node: Node) -> Edit:
        text = node.value if isinstance(node.value, str) else repr(node.value)
        number = self._numbers.setdefault(text, len(self._numbers) + 1)
        return Edit(node.start, node.end, f'"(hidden {number})"')

    def _edits(self, node: Node, key: str) -> Iterator[Edit]:
        if node.members:
            for member in node.members:
                if member.key in _NAMES_ONLY:
                    continue
                if member.key in (*ENVS, *HEADERS) and isinstance(member.node.value, dict):
                    yield from self._all(member.node)
                else:
                    yield from self._edits(member.node, member.key)
        elif node.items:
            words = key == "args" or key in COMMANDS
            for index, item in enumerate(node.items):
                if words and _may_be_secret(node.items[index - 1].value if index else "", item.value):
                    yield self._hidden(item)
                else:
                    yield from self._edits(item, key)
        elif isinstance(node.value, str) and node.value and self._scalar(key, node.value):
            yield self._hidden(node)

    def _all(self, node: Node) -> Iterator[Edit]:
        for member in node.members:
            yield from self._all(member.node)
        for item in node.items:
            yield from self._all(item)
        if not node.members and not node.items and not isinstance(node.value, dict | list):
            yield self._hidden(node)

    @staticmethod
    def _scalar(key: str, text: str) -> bool:
        if _REFERENCE.fullmatch(text):
            return False
        if key in URLS or "://" in text:
            return "?" in text or "@" in text.partition("://")[2].partition("/")[0]
        return bool(_SECRET.search(key) or _TOKEN.search(text))


def _may_be_secret(before: Any, word: Any) -> bool:
    """Whether an argument may be secret, seen with the one before it."""
    if not isinstance(word, str) or _REFERENCE.fullmatch(word):
        return False
    if word.startswith("-"):
        name, equals, value = word.partition("=")
        return bool(equals and value and _SECRET.search(name))
    if isinstance(before, str) and before.startswith("-") and "=" not in before:
        name, equals, _ = word.partition("=")
        if before == "-H" or _SECRET.search(before) or (equals and _SECRET.search(name)):
            return True
    if "://" in word:
        return "?" in word or "@" in word.partition("://")[2].partition("/")[0]
    return bool(_TOKEN.search(word))


class Shown(msgspec.Struct, frozen=True):
    """One side of a difference: what it is called, and the document."""

    title: str
    document: Document


def difference(before: Shown, after: Shown) -> list[str]:
    """A unified diff of two documents, line by line, masked; empty if they are equal."""
    masks = Masks()
    old, new = masks.masked(before.document), masks.masked(after.document)
    return unified(old.splitlines(), new.splitlines(), before.title, after.title)
