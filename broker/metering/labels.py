"""What may stand in a label. A peer can send any method, reason or code; a series for each would fill the memory of
the broker and of whoever reads it, so that only what is known is named and the rest is `other`."""

from __future__ import annotations

import re
from typing import Final

from protocol_versions import REVISIONS

OTHER: Final = "other"
METHODS: Final = frozenset(slot.method for revision in REVISIONS for slot in revision.types) | {"server/discover"}
_REVISIONS: Final = frozenset(revision.id for revision in REVISIONS)
_SLUG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:./-]{0,63}")

CODES: Final = frozenset(
    (-32700, -32600, -32601, -32602, -32603, -32000, -32001, -32002, -32020, -32021, -32022, -32042)
)
"""JSON-RPC error codes that a revision or an SDK gives a meaning."""


def method_of(method: str) -> str:
    """A method that some revision has, or `other`; empty stays empty."""
    return method if not method or method in METHODS else OTHER


def revision_of(revision: str) -> str:
    """A revision, or empty where none is settled."""
    return revision if revision in _REVISIONS else ""


def slug_of(text: str) -> str:
    """A reason of ours or an operator's; `other` for what does not look like one."""
    return text if not text or _SLUG.fullmatch(text) else OTHER


def code_of(code: int | None) -> str:
    """A JSON-RPC error code as text; `other` for one of a server's own."""
    return "" if code is None else str(code) if code in CODES else OTHER


class Words:
    """At most so many different texts; further ones are `other`."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int) -> None:
        self._known: set[str] = set()
        self._most = most

    def __call__(self, text: str) -> str:
        if text in self._known or not text:
            return text
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(text)
        return text
