"""The timers of one session's machine: exact below a second, on the broker's one wheel above.

A machine sets timers and never takes one back: what a timer was for may be over long before it fires, and a suspended
call has one of ten minutes in every round. Invariants: a session that is over holds no timer, and none holds it; of
timers that would change nothing, fewer are kept than of others, give or take `SPARE`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from broker.wheel import Wheel

COARSE_S = 1.0
"""Timers from this on bear the wheel's granule of a quarter second."""

SPARE = 32
"""Timers beyond twice those that matter, before the others are looked for."""


class Timers:
    """By the machine's own keys. `expired` is told of each; `awaited` says whether one still matters."""

    __slots__ = ("_awaited", "_expired", "_limit", "_set", "_wheel")

    def __init__(self, wheel: Wheel, expired: Callable[[str], None], awaited: Callable[[str], bool]) -> None:
        self._wheel = wheel
        self._expired = expired
        self._awaited = awaited
        self._set: dict[str, Callable[[], None]] = {}
        self._limit = SPARE

    def __len__(self) -> int:
        return len(self._set)

    def add(self, key: str, after_s: float) -> None:
        """Set a timer, or set it anew."""
        self._cancel(key)

        def fire() -> None:
            self._set.pop(key, None)
            self._expired(key)

        if after_s < COARSE_S:
            self._set[key] = asyncio.get_running_loop().call_later(after_s, fire).cancel
        else:
            wheel = self._wheel
            handle = wheel.add(wheel.clock() + after_s, fire)
            self._set[key] = lambda: wheel.cancel(handle)
        if len(self._set) > self._limit:
            for other in [other for other in self._set if not self._awaited(other)]:
                self._cancel(other)
            self._limit = 2 * len(self._set) + SPARE

    def close(self) -> None:
        """Take every timer back."""
        for key in list(self._set):
            self._cancel(key)

    def _cancel(self, key: str) -> None:
        cancel = self._set.pop(key, None)
        if cancel is not None:
            cancel()
