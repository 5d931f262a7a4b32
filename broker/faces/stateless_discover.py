"""Discoveries that are still fresh, per caller and per what the caller declared.

Follows 2026-07-28 server/utilities/caching. Invariants: a copy is served to the caller it was made for, for no longer
than the backend said, and says how much of that is left.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from translators import tree

MAX_KEPT: Final = 256
"""Copies kept; one caller has one, or a few while its programs differ."""

Key = tuple[str, bytes]


class Discoveries:
    """Copies by (caller, capabilities as declared), each with the second of the clock at which it grows stale."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[float, dict[str, Any]]] = {}

    def keep(self, key: Key, body: dict[str, Any], now: float) -> None:
        """Keep a result whose `ttlMs` is positive; one that is not fresh takes an older one's place too."""
        self._kept.pop(key, None)
        ttl = tree.deep(body.get("ttlMs"))
        if type(ttl) is not int or ttl <= 0:
            return
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        kept = {name: Raw(bytes(value)) if type(value) is Raw else value for name, value in body.items()}
        self._kept[key] = (now + ttl / 1000, kept)

    def fresh(self, key: Key, now: float) -> dict[str, Any] | None:
        """A copy that is still fresh, with what is left of its time."""
        found = self._kept.get(key)
        if found is None:
            return None
        until, body = found
        left = int((until - now) * 1000)
        if left <= 0:
            del self._kept[key]
            return None
        return {**body, "ttlMs": left}
