"""One thing a report says, and from how little to how much it may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from translators.loss import Noted

Verdict = Literal["identical", "rewritten", "emulated", "degraded", "refused"]
VERDICTS: Final[tuple[Verdict, ...]] = ("identical", "rewritten", "emulated", "degraded", "refused")
"""From nothing to much: the worst of its parts is what a thing is."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one capability, method or entry, or of what is kept between the two peers.

    `said` is for people; `losses` is what the run counts for every such entry, `changes` what may act on such messages.
    """

    name: str
    verdict: Verdict
    said: tuple[str, ...] = ()
    losses: tuple[Noted, ...] = ()
    changes: tuple[str, ...] = ()


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; of none, identical."""
    return max(verdicts, key=VERDICTS.index, default="identical")
