"""Heads of requests that are known: what the door decided of one is not decided again for its equals.

A client program writes the same head before every message; only the length of the body differs. Once such a head went
the usual way (aiohttp's parser, every check of `broker.edge`, credential, session, version), what it stands for is
remembered, and a request with this very head needs no parser, no request object and no task.
Invariants: a head is remembered only if all that was decided of it depends on its bytes and on settings that do not
change; only a request that was received alone and whole is recognised; neither heads nor the credentials in them are
kept, only digests under a key that is drawn anew with each process.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import HttpVersion11

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.http_parser import RawRequestMessage

MAX_HEADS: Final = 16_384
"""Known heads of one listener; a session has one or two, and 10,000 sessions are allowed."""

MAX_DIGITS: Final = 7
"""Digits of a length that is read here; a longer body does not come in one piece."""

_END: Final = b"\r\n\r\n"
_LENGTHS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_LENGTH_BYTES: Final = len(_LENGTHS[0])

Digest = bytes


Handler = Callable[["web.Request"], Awaitable["web.StreamResponse"]]


class Call(Protocol):
    """A request that is being answered without the usual way."""

    @property
    def usual(self) -> Handler:
        """Who answers its request if it has to go the usual way: where it began, whatever its path leads to by then."""

    def begin(self) -> None:
        """Start; the connection is told by `answer` or `hand_over`, maybe before this returns."""

    def gone(self) -> None:
        """The client's connection is lost; no more is said to it."""


class Taker(Protocol):
    """What a known head stands for."""

    def take(self, connection: Taken, body: bytes) -> Call | None:
        """The call this body asks for; None if it has to go the usual way. Nothing has happened yet then."""


class Taken(Protocol):
    """The connection of a call, as far as the call needs it."""

    @property
    def peer(self) -> str:
        """The client's address; empty where there is none."""

    def answer(self, head: bytes, body: bytes) -> None:
        """Write a whole answer; the connection is free again."""

    def hand_over(self) -> None:
        """Let the request go the usual way after all; its handler finds the call in `handed`."""


class Heads:
    """The heads known to one listener."""

    __slots__ = ("_key", "_known")

    def __init__(self) -> None:
        self._key = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)
        self._known: dict[Digest, Taker] = {}

    def find(self, data: bytes) -> tuple[Taker, bytes, int] | None:
        """What a request's head stands for, its body, and how many bytes of that have not come.

        None if the head is not known, or more than this request came.
        """
        parts = split(data)
        if parts is None:
            return None
        taker = self._known.get(self._digest(parts[0]))
        return None if taker is None else (taker, parts[1], parts[2])

    def remember(self, data: bytes, taker: Taker) -> None:
        """Know the head of a request that was found whole by `proved`; the oldest of too many is forgotten."""
        parts = split(data)
        if parts is None:
            return
        if len(self._known) >= MAX_HEADS:
            del self._known[next(iter(self._known))]
        self._known[self._digest(parts[0])] = taker

    def _digest(self, head: bytes) -> Digest:
        keyed = self._key.copy()
        keyed.update(head)
        return keyed.digest()


def split(data: bytes) -> tuple[bytes, bytes, int] | None:
    """A head without the digits of its length, the body, and how many bytes it lacks; None if that is not all."""
    end = data.find(_END)
    if end < 0:
        return None
    at = data.find(_LENGTHS[0], 0, end)
    if at < 0:
        at = data.find(_LENGTHS[1], 0, end)
        if at < 0:
            return None
    start = at + _LENGTH_BYTES
    stop = data.find(b"\r", start, end + 1)
    digits = data[start:stop]
    if not digits.isdigit() or len(digits) > MAX_DIGITS:
        return None
    body = data[end + len(_END) :]
    missing = int(digits) - len(body)
    return None if missing < 0 else (data[:start] + data[stop:end], body, missing)


def proved(data: bytes, message: RawRequestMessage, body: bytes) -> bool:
    """True if the parser found in these bytes what `split` finds: one request of the usual kind, and nothing behind it.

    `message` and `body` are what it found. A shorter or longer head would have given another body: its bytes would be
    those of `split`'s shifted, so that a body equal to it would be made of line ends alone, and that is no message.
    """
    parts = split(data)
    return (
        parts is not None
        and parts[1] == body
        and parts[2] == 0
        and body[:1] == b"{"
        and message.method == "POST"
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked or message.compression)
        and "Expect" not in message.headers
    )
