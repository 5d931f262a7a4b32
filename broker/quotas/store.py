"""Where the counts of rates are kept: in this process, within bounds, by a clock that is given.

The strategy is the moving window of the `limits` library: exact, since each request that counts is remembered until it
is a window old. `Store` is all that the broker needs of it: its storages for Redis and others fit behind the same two
methods. Its own storage in memory does not fit here: it keeps every key it is shown, reads the wall clock and runs a
thread. Invariants: at most `most` requests are remembered; once they are used up, what comes is counted together for
each rate, so that nobody gets more by having many names.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from limits import RateLimitItem
from limits.storage.base import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

SHARED: Final = "(others)"
"""The key of everybody for whom nothing more can be remembered."""

FORGET_S: Final = 1.0
"""A store that is full is looked through for what is over no oftener than this."""


class Store(Protocol):
    """Counts of rates, by key. Both are answered at once, because calls are not made to wait."""

    def wait_s(self, rate: RateLimitItem, key: str) -> float:
        """How long it is until one more is allowed; 0.0 if it is now. Nothing is counted."""

    def count(self, rate: RateLimitItem, key: str) -> None:
        """One more."""


class Memory:
    """A store in this process that remembers `most` requests. `clock` gives seconds of the monotonic clock."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.windows = Windows(most, clock)
        self._limiter = MovingWindowRateLimiter(self.windows)

    def wait_s(self, rate: RateLimitItem, key: str) -> float:
        """See `Store`."""
        wait = self.windows.wait_s(rate.key_for(key), rate.amount)
        if wait or self.windows.has_room():
            return wait
        return self.windows.wait_s(rate.key_for(SHARED), rate.amount)

    def count(self, rate: RateLimitItem, key: str) -> None:
        """See `Store`."""
        self._limiter.hit(rate, key if self.windows.has_room() else SHARED)


class Windows(Storage, MovingWindowSupport):
    """When each request of a key is out of its window, oldest first."""

    STORAGE_SCHEME = None

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        super().__init__()
        self._most = most
        self._clock = clock
        self._ends: dict[str, deque[float]] = {}
        self._total = 0
        self._looked_at = float("-inf")

    def __len__(self) -> int:
        return self._total

    def has_room(self) -> bool:
        """True if one more request can be remembered."""
        if self._total < self._most:
            return True
        now = self._clock()
        if now - self._looked_at >= FORGET_S:
            self._looked_at = now
            for each in list(self._ends):
                self._current(each)
        return self._total < self._most

    def wait_s(self, key: str, limit: int) -> float:
        """How long it is until there are fewer than `limit`."""
        ends = self._current(key)
        return 0.0 if len(ends) < limit else ends[len(ends) - limit] - self._clock()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Remember requests, if there may be as many."""
        if len(self._current(key)) + amount > limit:
            return False
        self._ends.setdefault(key, deque()).extend([self._clock() + expiry] * amount)
        self._total += amount
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """When the oldest request that counts came, and how many there are."""
        ends = self._current(key)
        return (ends[0] - expiry, len(ends)) if ends else (self._clock(), 0)

    def _current(self, key: str) -> deque[float]:
        """What still counts; the rest is forgotten."""
        ends = self._ends.get(key)
        if ends is None:
            return deque()
        now = self._clock()
        while ends and ends[0] <= now:
            ends.popleft()
            self._total -= 1
        if not ends:
            del self._ends[key]
        return ends

    # ---- what the library asks of every storage ---------------------------------------------------------------------

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Remember requests; how many there are."""
        self.acquire_entry(key, self._most, expiry, amount)
        return self.get(key)

    def get(self, key: str) -> int:
        """How many requests of a key count."""
        return len(self._current(key))

    def get_expiry(self, key: str) -> float:
        """When none of a key's requests counts any more."""
        ends = self._current(key)
        return ends[-1] if ends else self._clock()

    def check(self) -> bool:
        """Memory is there."""
        return True

    def reset(self) -> int | None:
        """Forget everything."""
        found, self._total = len(self._ends), 0
        self._ends.clear()
        return found

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._total -= len(self._ends.pop(key, ()))


def read_rate(text: str) -> Any:
    """A rate as `10/second`, `600 per 5 minutes`. Raises ValueError."""
    from limits import parse_many

    (rate,) = parse_many(text)  # of several, one alone would count
    return rate
