"""What a refusal says in WWW-Authenticate: the parameters of its Bearer challenge.

Follows RFC 9110 section 11.6.1, RFC 6750 section 3 and RFC 9728 section 5.1. A header may hold several challenges, and
several headers arrive joined by commas: a word is a scheme if no `=` follows it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from broker.signin.errors import SignInError

MAX_CHARS: Final = 16 * 1024
"""Of the header; longer ones are cut. Servers of any kind refuse heads of that size."""

MAX_SCOPES, SCOPE_CHARS = 200, 512
"""Scopes that are taken, and the longest; the longest lists in use have some dozens."""

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105
_PARAMETER: Final = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))[ \t]*(?:,|$)?')
_SCHEME: Final = re.compile(rf"({_TOKEN})(?:[ \t]+|[ \t]*(?:,|$))")
_SKIP: Final = re.compile(r"[ \t,]+")
_REST: Final = re.compile(r"[^,]*(?:,|$)")  # token68 of other schemes, and whatever is no challenge at all
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 appendix A.4


class Challenge(msgspec.Struct, frozen=True):
    """Of a Bearer challenge; everything is empty without one."""

    metadata: str = ""
    scopes: tuple[str, ...] = ()
    error: str = ""


def read(header: str) -> Challenge:
    """The first Bearer challenge of a WWW-Authenticate header."""
    found = _bearer(header[:MAX_CHARS])
    try:
        scopes = scopes_of(found.get("scope", ""))
    except SignInError:
        scopes = ()
    return Challenge(found.get("resource_metadata", ""), scopes, found.get("error", ""))


def scopes_of(text: str) -> tuple[str, ...]:
    """The scopes of a space-separated list, each once.

    Raises:
        SignInError: one is none.
    """
    scopes = tuple(dict.fromkeys(text.split()))
    if len(scopes) > MAX_SCOPES or not all(len(each) <= SCOPE_CHARS and _SCOPE.fullmatch(each) for each in scopes):
        raise SignInError("metadata-unusable", "a list of scopes cannot be used")
    return scopes


def _bearer(text: str) -> dict[str, str]:
    at, scheme = 0, ""
    found: dict[str, str] = {}
    while at < len(text):
        skipped = _SKIP.match(text, at)
        if skipped is not None:
            at = skipped.end()
            continue
        parameter = _PARAMETER.match(text, at)
        if parameter is not None:
            at = parameter.end()
            if scheme == "bearer":
                name, quoted, plain = parameter.groups()
                found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
            continue
        if scheme == "bearer":
            return found
        word = _SCHEME.match(text, at)
        if word is not None:
            scheme, at = word[1].lower(), word.end()
            continue
        rest = _REST.match(text, at)
        at = rest.end() if rest is not None and rest.end() > at else len(text)
    return found
