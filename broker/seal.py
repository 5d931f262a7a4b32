"""Sealing: what the broker hands to a client and must get back unread, unchanged and from the same caller.

A 2026-07-28 server's `requestState` passes through the client (basic/patterns/mrtr, server requirements 4 and 5), so
the broker wraps it: AES-256-GCM over the server's own value, a round and an expiry, with principal, virtual server,
backend, method, target and a digest of the arguments as associated data. Invariants: a token opens for exactly the
request it was made for; the server's value comes back byte for byte; every refusal looks alike, so that it says
nothing about the token; the first key seals, every key of the ring opens.

Layout: base64url without padding of version (1 byte), key id (8), nonce (12), ciphertext and tag.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import secrets
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
"""AES-256."""

TTL_S: Final = 600.0
"""How long a sealed value opens; the MRTR page asks for a short expiry, and people answer forms within minutes."""

SKEW_S: Final = 60.0
"""How far in the future a value may have been sealed: NTP keeps replicas far closer (RFC 7519 section 4.1.4)."""

MAX_INNER_BYTES: Final = 44 * 1024
"""Longest value that is sealed, so that its token stays below MAX_TOKEN_CHARS."""

MAX_TOKEN_CHARS: Final = 64 * 1024
"""Longest token that is looked at; gateways commonly refuse fields beyond 64 KiB."""

MAX_ROUNDS: Final = 10
"""Rounds of one call: the official SDKs' own ceiling."""

_VERSION: Final = b"\x01"
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_HEAD: Final = 1 + _ID_BYTES + _NONCE_BYTES
_TAG_BYTES: Final = 16
_EXACT: Final = 2.0**53


class Unsealable(ValueError):  # noqa: N818 (an outcome of sealing)
    """A value too long to be sealed, or a call that has had its rounds."""


class NotOpened(Exception):  # noqa: N818 (the one answer to every token that is not right)
    """A token that is not ours, not this request's, or no longer good. Says no more, to nobody."""


class Binding(msgspec.Struct, frozen=True):
    """What a sealed value belongs to. `digest` is that of the arguments, from `digest_of`."""

    principal: str
    server: str
    backend: str
    method: str
    target: str
    digest: str

    def data(self) -> bytes:
        """All of it in one unambiguous spelling."""
        return msgspec.json.encode(msgspec.structs.astuple(self))


class Opened(msgspec.Struct, frozen=True):
    """What was sealed: the server's value as it was, and how many rounds the call has had."""

    inner: bytes
    round: int


class _Claims(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    round: int
    issued: float
    expires: float
    inner: bytes


class Seal:
    """A key ring. `keys` are 32 bytes each, the first one seals; without any, one is made for this process."""

    def __init__(self, keys: Iterable[bytes] = (), *, now: Callable[[], float] = time.time) -> None:
        ring = tuple(keys) or (secrets.token_bytes(KEY_BYTES),)
        if any(len(key) != KEY_BYTES for key in ring):
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes")
        self._ring = {_key_id(key): key for key in ring}
        self._first = _key_id(ring[0])
        self._now = now

    @cached_property
    def _ids(self) -> dict[bytes, AESGCM]:
        """The ciphers, made when the first token is: a session client needs none, and they take time to load."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return {name: AESGCM(key) for name, key in self._ring.items()}

    def seal(self, inner: bytes, binding: Binding, *, round: int = 1) -> str:  # noqa: A002
        """The token of a value.

        Raises:
            Unsealable: the value is too long, or there were too many rounds.
        """
        if len(inner) > MAX_INNER_BYTES or round > MAX_ROUNDS:
            raise Unsealable
        now = self._now()
        claims = msgspec.msgpack.encode(_Claims(round, now, now + TTL_S, inner))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = _VERSION + self._first
        sealed = self._ids[self._first].encrypt(nonce, claims, head + binding.data())
        return base64.urlsafe_b64encode(head + nonce + sealed).rstrip(b"=").decode()

    def open(self, token: Any, binding: Binding) -> Opened:
        """The value of a token that was sealed for this very request.

        Raises:
            NotOpened: for every reason alike.
        """
        from cryptography.exceptions import InvalidTag

        data = _decoded(token)
        head, nonce = data[: 1 + _ID_BYTES], data[1 + _ID_BYTES : _HEAD]
        # An unknown key id costs a decryption as well; the id is authenticated, so that another key cannot succeed.
        cipher = self._ids.get(head[1:], self._ids[self._first])
        try:
            claims = msgspec.msgpack.decode(
                cipher.decrypt(nonce, data[_HEAD:], head + binding.data()), type=_Claims, strict=True
            )
        except (InvalidTag, msgspec.MsgspecError):
            raise NotOpened from None
        now = self._now()
        if head[:1] != _VERSION or not (math.isfinite(claims.issued) and math.isfinite(claims.expires)):
            raise NotOpened
        if claims.issued > now + SKEW_S or not now <= claims.expires <= claims.issued + TTL_S:
            raise NotOpened
        if not 1 <= claims.round <= MAX_ROUNDS:
            raise NotOpened
        return Opened(claims.inner, claims.round)


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value: the order of members does not count, nor does `1.0` differ from `1`."""
    import json  # a pipe's first answer does without it

    text = json.dumps(_canonical(value), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def key_of(text: str) -> bytes:
    """The key a configuration holds: 32 bytes in base64url or hex.

    Raises:
        ValueError: it is no such text; the text is not quoted.
    """
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        key = base64.b64decode(text.rstrip("=") + "=", altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("expected 32 random bytes in base64url or hex")
    return key


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"dragoman seal key id\x00" + key).digest()[:_ID_BYTES]


def _decoded(token: Any) -> bytes:
    """The bytes of a token, if it is their one canonical spelling."""
    if type(token) is not str or not 0 < len(token) <= MAX_TOKEN_CHARS or not token.isascii():
        raise NotOpened
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise NotOpened from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != token or len(data) < _HEAD + _TAG_BYTES:
        raise NotOpened
    return data


def _canonical(value: Any) -> Any:
    """The value with every integral double as an integer; the wire limits its depth."""
    if isinstance(value, dict):
        return {key: _canonical(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value
