"""How much a rewrite loses. Every operation that discards something names one of these; there is no default."""

from __future__ import annotations

import enum

import msgspec


class Loss(enum.StrEnum):
    """Ordered from nothing to much; only DEGRADED is reported to the operator message by message."""

    NONE = "none"
    COSMETIC = "cosmetic"  # display or hint
    CARRIED = "carried"  # the same fact is still elsewhere in the message
    STASHED = "stashed"  # kept by the conversation and restored if it returns
    DEGRADED = "degraded"  # an approximation: counted, logged, reported


class Noted(msgspec.Struct, frozen=True):
    """One operation acted: which Change, where, at what loss."""

    change: str
    path: str
    loss: Loss
