"""What a mutant is, whichever way it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

REMOVED = "operation removed"
"""The kind of which every one is always run: removing any single operation must make a test fail."""


class Mutant(msgspec.Struct, frozen=True):
    """One change. `name` says what and where without line numbers; `home` is the module or step it lies in."""

    name: str
    kind: str
    home: str
    apply: Callable[[], None]


def numbered(mutants: Iterable[Mutant]) -> list[Mutant]:
    """The same mutants, equal names told apart by a number in their order of appearance."""
    seen: Counter[str] = Counter()
    found = []
    for mutant in mutants:
        seen[mutant.name] += 1
        again = f" #{seen[mutant.name]}" if seen[mutant.name] > 1 else ""
        found.append(msgspec.structs.replace(mutant, name=mutant.name + again))
    return found
