"""Revoking a credential while the broker runs: `POST /revocations` on the status port, for whoever has the key.

    {"entries": ["token:https://login.example.com ann"]}    ->    {"entries": 1, "ended": 3, "kept": true}

An entry is what a line of the file `revoked` is: the `jti` of a token, SHA-256 of a token or key in hex, or a caller as
the log names it. Without `status.admin_key` there is no such address. Invariants: what is open of the caller has ended
before the answer is given; the key is compared as a digest, in constant time; nobody's entries are quoted.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from broker import telemetry
from broker.identity.principal import bearer, digest_of
from protocol_versions.strict import Refused, load

PATH: Final = "/revocations"

MAX_BODY: Final = 256 * 1024
"""Bytes of one request; those of a thousand digests are 67,000."""

MAX_ENTRIES: Final = 1_000
MAX_ENTRY: Final = 2_048
"""Characters; issuer and subject have 1,024 at most."""


class Ended(msgspec.Struct, frozen=True):
    """What came of it: how many sessions, streams and calls ended, and whether a restart will know of it."""

    ended: int
    kept: bool


def revocations_of(key_sha256: str | None, revoke: Callable[[list[str]], Ended]) -> Revocations | None:
    """The handler for whoever has the key; None without one."""
    return None if key_sha256 is None else Revocations(revoke, key_sha256)


class Revocations:
    """The handler. `revoke` is told the entries."""

    def __init__(self, revoke: Callable[[list[str]], Ended], key_sha256: str) -> None:
        self._revoke = revoke
        self._key = key_sha256

    async def post(self, request: web.Request) -> web.Response:
        """Revoke."""
        key = bearer(request.headers.get("Authorization", "")) or ""
        if not hmac.compare_digest(digest_of(key), self._key):
            telemetry.audit("refused", reason="admin-credential", peer=request.remote or "")
            return web.json_response({"error": "unauthorized"}, status=401, headers={"WWW-Authenticate": "Bearer"})
        if (request.content_length or 0) > MAX_BODY:
            return _wrong(413)
        entries = _entries(await request.read())
        if entries is None:
            return _wrong(400)
        done = self._revoke(entries)
        telemetry.log("warning", "revoked", entries=len(entries), ended=done.ended, kept=done.kept)
        return web.json_response({"entries": len(entries), "ended": done.ended, "kept": done.kept})


def _entries(body: bytes) -> list[str] | None:
    """The entries, each once; None for what is none."""
    try:
        tree: Any = load(body)
    except Refused:
        return None
    listed = tree.get("entries") if isinstance(tree, dict) and set(tree) == {"entries"} else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_ENTRIES:
        return None
    return list(dict.fromkeys(listed)) if all(map(_is_entry, listed)) else None


def _is_entry(entry: Any) -> bool:
    good = isinstance(entry, str) and 0 < len(entry) <= MAX_ENTRY and entry.isprintable()
    return good and entry == entry.strip() and entry[0] != "#"


def _wrong(status: int) -> web.Response:
    return web.json_response({"error": "expected an object with a list of entries"}, status=status)
