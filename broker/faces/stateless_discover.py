"""Discoveries by caller and by what the caller declared: fresh ones, and the last good one for when there is no other.

Follows 2026-07-28 server/utilities/caching. Invariants: a copy is served to the caller it was made for; as fresh for no
longer than the backend said, and with what is left of that; a stale one only where the backend cannot be reached,
because clients take a server that answers discovery with an error for one of another era, for as long as they run.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from translators import tree

MAX_KEPT: Final = 256
"""Copies kept; one caller has one, or a few while its programs differ."""

MAX_DECLARED: Final = 4 * 1024
"""Bytes of declared capabilities that a copy is kept for; those of SDK clients are below 200."""

STALE_S: Final = 24 * 3600.0
"""How long a copy may stand in for a backend that is away; what a server offers changes with its releases."""

Key = tuple[str, str, bytes]
"""A caller, its audience (see `Hook.audience`), and what it declared."""


class Discoveries:
    """Copies by (caller, capabilities as declared): when each was made, until when it is fresh (clock seconds)."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[float, float, dict[str, Any]]] = {}

    def keep(self, key: Key, body: dict[str, Any], now: float) -> None:
        """Keep a result; the latest one takes an older one's place."""
        self._kept.pop(key, None)
        if len(key[2]) > MAX_DECLARED:
            return
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        kept = {name: Raw(bytes(value)) if type(value) is Raw else value for name, value in body.items()}
        ttl = tree.deep(body.get("ttlMs"))
        self._kept[key] = (now, now + (ttl / 1000 if type(ttl) is int and ttl > 0 else 0.0), kept)

    def clear(self) -> None:
        """Forget every copy."""
        self._kept.clear()

    def fresh(self, key: Key, now: float) -> dict[str, Any] | None:
        """A copy that is still fresh, with what is left of its time."""
        _, until, body = self._kept.get(key, (0.0, 0.0, None))
        left = int((until - now) * 1000)
        return {**body, "ttlMs": left} if body is not None and left > 0 else None

    def stale(self, key: Key, now: float) -> dict[str, Any] | None:
        """The last copy, however old, within reason; it is fresh for no time."""
        made, _, body = self._kept.get(key, (0.0, 0.0, None))
        return {**body, "ttlMs": 0} if body is not None and now - made <= STALE_S else None
