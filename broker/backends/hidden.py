"""Credentials that a backend was shown and writes back: taken out of what it says before anything reads it.

Servers that dump their request or their environment into an error, a result or a log message give a credential of the
operator's to a caller and to its model. Each message is searched as the bytes it came in, for the spellings that JSON
has for a text and addresses for a parameter: what is not there costs a search for a substring, and a backend that was
shown nothing costs nothing. What this does not find: a credential that is a plain word, that its server encodes
otherwise (base64, reversed, in parts), or escapes among more escapes than anybody writes. Invariants: a message in
which nothing is found is the very object that came; what was JSON still is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

MARK: Final = "[redacted]"
SHORTEST: Final = 8
"""Characters; a shorter text would be found where it only looks like a credential, and hides little."""

WORD: Final = 12
"""Letters of one case alone that are looked for. Fewer are a word that schemas, names and addresses are full of, as
`postgres`, `password` and `required` are."""

MAX_ESCAPES: Final = 50_000
"""Escapes in one message that are undone: in 20 ms. More of them, which nobody needs, are a server's that hides."""

_SECRET: Final = re.compile(
    r"auth(?!or)|authoriz|token|secret|passw|passphrase|credential|cookie|signature|session[-_]?(?:id|key)"
    r"|(?:api|access|private|encryption|signing|license|service)[-_]?key|(?:^|[-_.])(?:key|pass|pwd|pat|dsn)$",
    re.IGNORECASE,
)
"""Names of headers, variables, parameters and injected members whose values are credentials."""

_NO_SECRET: Final = re.compile(
    r"(?:^(?:old)?pwd|[-_](?:file|path|dir|home|sock|url|uri|host|port|name|user|username|region|type|mode|ttl"
    r"|expires|issuer|audience|scopes?|limit|max|method))$|^(?:xdg|ssh_auth|git_author|git_committer)",
    re.IGNORECASE,
)
"""Of those, the names of what only leads to one, or says something about it."""

# An escape that is not needed, or a backslash that is written as one and so begins none.
_ESCAPE: Final = re.compile(rb"\\(?:\\|/|u00[2-7][0-9a-fA-F])")

_BARE: Final = re.compile(rb"[-+.,:\[\]{} 0-9aeflnrstuE]+")
"""What may also stand in JSON where no text is."""

# One that does not end is taken to the end, so that nothing is looked through twice.
_TEXT: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'


class Hidden:
    """What one backend must not say. `found` is told each time it did."""

    __slots__ = ("__weakref__", "_found", "_lasting", "_slash", "_texts", "_tokens", "forms")

    def __init__(self, texts: Iterable[str] = (), found: Callable[[], None] = lambda: None) -> None:
        self._found = found
        self._lasting = tuple(text for text in texts if len(text) >= SHORTEST and not _is_word(text))
        self._tokens: tuple[str, ...] = ()
        self.forms: tuple[bytes, ...] = ()
        """As what they are written in JSON, longest first; empty if there is nothing to look for."""
        self._made()

    def apart(self) -> Hidden:
        """The same without its tokens, for the tokens of somebody else."""
        return Hidden(self._lasting, self._found)

    def renewed(self, token: str) -> None:
        """A token takes the place of another; both are hidden, since answers to the last one may be under way."""
        if len(token) >= SHORTEST and token not in self._tokens:
            self._tokens = (*self._tokens[-1:], token)
            self._made()

    def clean(self, data: bytes) -> bytes:
        """A message, or several in one text of JSON, without them."""
        if (b"\\u00" in data or (self._slash and b"\\/" in data)) and _few(data):
            plain = _ESCAPE.sub(_needed, data)
            if any(form in plain for form in self.forms):
                data = plain
        for form in self.forms:
            if form in data:
                found = data.replace(form, MARK.encode()) if _BARE.fullmatch(form) is None else _in_texts(data, form)
                if found is not data:
                    data = found
                    self._found()
        return data

    def line(self, text: str) -> str:
        """A line that is no JSON without them."""
        for each in self._texts:
            text = text.replace(each, MARK)
        return text

    def _made(self) -> None:
        texts = sorted({*self._lasting, *self._tokens}, key=len, reverse=True)
        self._texts = tuple(texts)
        self._slash = any("/" in text for text in texts)
        self.forms = tuple(dict.fromkeys(form for text in texts for form in _forms(text)))


_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

NOTHING: Final = Hidden()
"""For a backend that is shown nothing."""


def shown(
    *,
    url: str = "",
    headers: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    injected: Iterable[tuple[str, object]] = (),
) -> list[str]:
    """The credentials in what a backend is shown: in its address, its headers, its environment and what is injected.

    A value is one if its name says so (`X-Api-Key`, `GITHUB_TOKEN`); of `Authorization`, what follows the scheme. The
    path of something that is there is none: it only leads to one.
    """
    found = _of_query(url) if "?" in url else []
    for name, value in (headers or {}).items():
        if _is_secret(name):
            found += _of_header(name.lower(), value)
    for name, value in (variables or {}).items():
        if _is_secret(name):
            found += [] if os.path.isabs(value) and os.path.exists(value) else [value]
        elif "://" in value and "@" in value:
            found += _of_address(value)
    found += [str(value) for name, value in injected if _is_secret(name) and isinstance(value, str | int)]
    return found


def _is_word(text: str) -> bool:
    return len(text) < WORD and text.isascii() and text.isalpha() and text in (text.lower(), text.upper())


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and _NO_SECRET.search(name) is None


def _of_header(name: str, value: str) -> Iterator[str]:
    if name == "cookie":
        yield from (pair.partition("=")[2].strip() for pair in value.split(";"))
    scheme, _, rest = value.partition(" ")
    if name not in ("authorization", "proxy-authorization") or not rest:
        yield value
        return
    yield rest.strip()
    if scheme.lower() == "basic":
        import base64
        import binascii

        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return
        yield password or user


def _of_query(url: str) -> list[str]:
    from urllib.parse import parse_qsl, urlsplit  # a pipe does without it

    return [value for name, value in parse_qsl(urlsplit(url).query) if _is_secret(name)]


def _of_address(value: str) -> Iterator[str]:
    from urllib.parse import unquote, urlsplit

    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password:
        yield password
        if unquote(password) != password:
            yield unquote(password)


def _forms(text: str) -> Iterator[bytes]:
    plain = msgspec.json.encode(text)[1:-1]
    yield plain
    for kept in (b"", b"/"):  # as a parameter of an address, and as a piece of its path
        percent = "".join(chr(byte) if byte in _UNRESERVED + kept else f"%{byte:02X}" for byte in text.encode())
        yield percent.encode()
        yield re.sub("%..", lambda found: found.group().lower(), percent).encode()
    if b"\\" in plain:  # as it stands in JSON that is the text of JSON
        yield msgspec.json.encode(plain.decode())[1:-1]
    if not text.isascii():
        import json

        escaped = json.dumps(text)[1:-1]
        yield escaped.encode()
        yield re.sub(r"(?<=\\u)[0-9a-f]{4}", lambda found: found.group().upper(), escaped).encode()


def _in_texts(data: bytes, form: bytes) -> bytes:
    """A message without a form that may also be a part of its numbers, or of what holds it together."""

    def hide(found: re.Match[bytes]) -> bytes:
        text = found.group()
        return text.replace(form, MARK.encode()) if text[:1] == b'"' else b'"%b"' % MARK.encode()

    number = rb"(?<![-+.0-9eE])%b(?![.0-9eE])" % re.escape(form)
    pattern = rb"%b|%b" % (_TEXT, number) if form.isdigit() else _TEXT
    hidden = re.sub(pattern, hide, data, flags=re.DOTALL)
    return data if hidden == data else hidden


def _few(data: bytes) -> bool:
    return data.count(b"\\u00") + data.count(b"\\/") + data.count(b"\\\\") <= MAX_ESCAPES


def _needed(found: re.Match[bytes]) -> bytes:
    """What an escape stands for, unless JSON needs it."""
    escape = found.group()
    if escape == b"\\\\":
        return escape
    if escape == b"\\/":
        return b"/"
    char = bytes((int(escape[2:], 16),))
    return b"\\" + char if char in (b'"', b"\\") else char
