"""Where a walk's decisions come from: a seeded generator, or anything else that picks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Choice(Protocol):
    """One decision at a time."""

    def pick(self, options: Sequence[T]) -> T: ...
    def flag(self, chance: float = 0.5) -> bool: ...


class Seeded:
    """The same decisions for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._random.random() * len(options))]

    def flag(self, chance: float = 0.5) -> bool:
        return self._random.random() < chance
