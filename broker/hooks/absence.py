"""How servers say that a tool, prompt or resource does not exist: as errors of several codes, or as results.

The specification wants -32602 for unknown tools and prompts and -32002 (from 2026-07-28 on: -32602) for unknown
resources; servers answer with other codes, with a failed result, and some with a result that only looks like one.
Where a filter hides names, those answers must not be told apart from the filter's own, nor list or suggest what exists.
Invariant: what is taken for such an answer names the very thing that was asked for, or is the bare phrase and no more,
so that the failure of a thing that does exist is not hidden.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from broker.hooks.base import Body, CallInfo

RESOURCE_NOT_FOUND = -32002
"""Says it whatever the text, to 2025-11-25."""

WINDOW = 1_000
"""Characters beyond the name that are searched for the phrase; what follows are lists and suggestions."""

MAX_CONTENT_BYTES = 64 * 1024
"""Content that is opened to look for the phrase; lists of what exists instead are longer than the phrase alone."""

_QUOTE = "[`'\"\u2018\u201c\u00ab]?"
_END_QUOTE = "[`'\"\u2019\u201d\u00bb]?"
_WORDS = {"tools": "(?:tool|function)", "prompts": "prompt", "resources": "(?:resource|uri)"}


class _Phrases(NamedTuple):
    """What is said of one kind of thing."""

    before: re.Pattern[str]
    """What comes right before the name."""
    word: re.Pattern[str]
    after: re.Pattern[str]
    """What comes right after it, if only the kind of thing (`word`) comes before."""
    bare: re.Pattern[str]
    start: re.Pattern[str]


@cache
def _phrases(kind: str) -> _Phrases:
    """Compiled for the first text that is looked at: a start does not wait for that."""
    word = _WORDS[kind]

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(pattern.replace("WORD", word), re.IGNORECASE)

    return _Phrases(
        before=compiled(
            r"(?:(?:unknown|unrecogni[sz]ed|undefined|no such|non-?existent) WORD(?: name| named| called| uri)?\s*:?"
            r"|no WORD (?:named|called|with (?:the )?(?:name|uri))\s*:?"
            r"|(?:invalid WORD(?: name| uri)?|WORD not found)\s*:)"
            rf"\s*{_QUOTE}"
        ),
        word=compiled(rf"\bWORD(?: with (?:name|uri))?\s*:?\s*{_QUOTE}"),
        after=compiled(
            rf"{_END_QUOTE}\s*(?:(?:is |was )?(?:unknown|non-?existent)|doesn't exist"
            r"|(?:is |was |does |could |can)?not (?:be )?(?:found|exist|registered|known|recogni[sz]ed))"
        ),
        bare=compiled(rf"{_PREFIX}(?:(?:unknown|no such|invalid) WORD(?: name)?|WORD not found)[.!]?"),
        start=compiled(rf"\s*(?:\{{\s*\"(?:error|message)\"\s*:\s*\")?{_PREFIX}"),
    )


_PREFIX = r"(?:(?:mcp )?error(?: -?\d+)?:\s*)*"


def says_absent(kind: str, name: str | None, text: str, *, whole: bool = False) -> bool:
    """True if a text says that there is no tool, prompt or resource of this name; `whole`: and begins with it."""
    text = text[: WINDOW + len(name or "")]
    phrases = _phrases(kind)
    if phrases.bare.fullmatch(text.strip()) is not None:
        return True
    if not name or name not in text:
        return False
    start = phrases.start.match(text)
    only_at = start.end() if whole and start is not None else -1
    for found in phrases.before.finditer(text):
        if _names(text, name, found.end()) and only_at in (-1, found.start()):
            return True
    for found in phrases.word.finditer(text):
        after = found.end() + len(name)
        if text.startswith(name, found.end()) and phrases.after.match(text, after) and only_at in (-1, found.start()):
            return True
    return False


def absent_error(kind: str, name: str | None, body: Body) -> bool:
    """True for an error object that says so."""
    if kind == "resources" and body.get("code") == RESOURCE_NOT_FOUND:
        return True
    message = body.get("message")
    return isinstance(message, str) and says_absent(kind, name, message)


def absent_result(kind: str, name: str | None, body: Body) -> bool:
    """True for a result that says so: a failed one, or one that consists of the phrase. `isError` is opened."""
    content = body.get("content")
    if content is None:
        return False
    failed = body.get("isError") is True
    raw = content if type(content) is Raw else Raw(msgspec.json.encode(content))
    if len(raw) > (MAX_CONTENT_BYTES if failed else WINDOW + 6 * len(name or "")):  # a name may be written with escapes
        return False
    try:
        blocks = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    if not isinstance(blocks, list) or len(blocks) != 1 or not isinstance(blocks[0], dict):
        return False
    text: Any = blocks[0].get("text")
    return isinstance(text, str) and says_absent(kind, name, text, whole=not failed)


def tool_may_be_absent(info: CallInfo, body: Body) -> bool:
    """False for the result of a tool that surely does not say that there is none, told from its bytes."""
    content = body.get("content")
    if type(content) is not Raw:
        return content is not None
    if "isError" in body and _told(body["isError"]) != b"false":
        return True
    size = len(content)
    if size > WINDOW and size > WINDOW + 6 * len(info.target or ""):
        return False  # too long for the phrase alone
    text = bytes(content).lower()
    # Every phrase holds one of the words; it could hide behind an escape, or in letters of other scripts.
    return b"tool" in text or b"function" in text or b"\\u" in text or not text.isascii()


def _told(value: Any) -> bytes:
    return bytes(value) if type(value) is Raw else b""


def _names(text: str, name: str, at: int) -> bool:
    """True if the name stands here, and ends where it ends."""
    after = text[at + len(name) : at + len(name) + 1]
    return text.startswith(name, at) and not (after.isalnum() or after in ("_", "-", "/"))
