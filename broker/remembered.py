"""What is kept for each of many: callers come as long as an issuer names new ones, so the oldest are forgotten.

Invariant: no more than `most` are kept, but for those that are in use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LOOKS = 16
"""How many that are in use are passed over to find one that is not; they count as used just now."""


class Remembered(Generic[K, V]):
    """Values by key, the one that was used longest ago going first. `in_use` values stay."""

    def __init__(self, most: int, in_use: Callable[[V], bool] | None = None) -> None:
        self._most = most
        self._in_use = in_use
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def of(self, key: K, make: Callable[[], V]) -> V:
        """The value of this key, made if there is none."""
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= self._most:
                self._forget_one()
            found = self._kept[key] = make()
        else:
            self._kept.move_to_end(key)
        return found

    def forget(self, wanted: Callable[[K], bool]) -> None:
        """Forget every key of which this is true."""
        for key in [key for key in self._kept if wanted(key)]:
            del self._kept[key]

    def _forget_one(self) -> None:
        for _ in range(min(LOOKS, len(self._kept))):
            key, value = next(iter(self._kept.items()))
            if self._in_use is None or not self._in_use(value):
                del self._kept[key]
                return
            self._kept.move_to_end(key)
