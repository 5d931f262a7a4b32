"""Revoking a credential while the broker runs: `POST /revocations` on the status port, for whoever has the key.

    {"entries": ["token:https://login.example.com ann"]}    ->    {"entries": 1, "ended": 3, "kept": true}

An entry is what a line of the file `revoked` is: the `jti` of a token, SHA-256 of a token or key in hex, or a caller as
the log names it. With `expires_at` (seconds since the epoch) entries of tokens may be forgotten once those are over.
Others are held until the file has them or the broker ends, as many as `limits.revocations`; more are refused with 507,
and then nothing is revoked. Without `status.admin_key` there is no such address. Invariants: what is open of the caller
has ended before the answer is given; the key is compared as a digest, in constant time; nobody's entries are quoted.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from broker import telemetry
from broker.identity.principal import bearer, digest_of
from broker.identity.revoked import Full
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


Revoke = Callable[[list[str], float], Ended]
"""Revokes entries that may be forgotten at a time. Raises Full."""


def revocations_of(key_sha256: str | None, revoke: Revoke) -> Revocations | None:
    """The handler for whoever has the key; None without one."""
    return None if key_sha256 is None else Revocations(revoke, key_sha256)


class Revocations:
    """The handler. `revoke` is told the entries."""

    def __init__(self, revoke: Revoke, key_sha256: str) -> None:
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
        asked = _asked(await request.read())
        if asked is None:
            return _wrong(400)
        entries, until = asked
        try:
            done = self._revoke(entries, until)
        except Full:
            telemetry.audit("refused", reason="revocations", peer=request.remote or "")
            return web.json_response({"error": _FULL}, status=507)
        telemetry.log("warning", "revoked", entries=len(entries), ended=done.ended, kept=done.kept)
        return web.json_response({"entries": len(entries), "ended": done.ended, "kept": done.kept})


def _asked(body: bytes) -> tuple[list[str], float] | None:
    """The entries, each once, and when they may be forgotten; None for what is none."""
    try:
        tree: Any = load(body)
    except Refused:
        return None
    if not isinstance(tree, dict) or not {"entries"} <= set(tree) <= {"entries", "expires_at"}:
        return None
    listed, until = tree["entries"], tree.get("expires_at", math.inf)
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_ENTRIES or not all(map(_is_entry, listed)):
        return None
    if isinstance(until, bool) or not isinstance(until, int | float) or until <= 0:
        return None
    return list(dict.fromkeys(listed)), until


def _is_entry(entry: Any) -> bool:
    good = isinstance(entry, str) and 0 < len(entry) <= MAX_ENTRY and entry.isprintable()
    return good and entry == entry.strip() and entry[0] != "#"


def _wrong(status: int) -> web.Response:
    return web.json_response({"error": "expected an object with a list of entries"}, status=status)


_FULL: Final = (
    "no room for more revocations, so that nothing was revoked: raise limits.revocations, say expires_at, or configure "
    "`revoked`, a file of at most 16 MiB"
)
