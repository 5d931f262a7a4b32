"""One right outcome of a feature in a cell, and the four kinds of outcome there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from conformance.comparisons import Compare

SAME: Final = "same"
REWRITTEN: Final = "rewritten"
REFUSED: Final = "refused"
ABSENT: Final = "absent"
OUTCOMES: Final = (SAME, REWRITTEN, REFUSED, ABSENT)


@dataclass(frozen=True)
class Expectation:
    """The one right outcome of a feature in a cell.

    `rule` is a requirement's id, `how` says in a phrase what the application sees, `compare` gives None
    when it does and the difference otherwise.
    """

    outcome: str
    rule: str
    how: str
    compare: Compare
