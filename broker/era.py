"""What is believed about a backend's era, and when it is asked again: pin, then a fresh verdict, then a probe.

Follows 2026-07-28 basic/versioning; the rules for keeping a verdict are this broker's. A stale MODERN fails loudly and
is kept until contradicted; a stale LEGACY is silent for ever and so expires. Upgrades are slow (rolling deployments
flap), downgrades at once. Invariant: at most one probe of a backend is under way, and failing ones grow apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from broker.era_probe import Prober
from broker.era_signs import (
    MODERN,
    Face,
    Verdict,
    classify,
    evidence,
    lacks_result_type,
    style_of,
    undispatched,
)

__all__ = [
    "EraCache",
    "Face",
    "Prober",
    "Verdict",
    "classify",
    "evidence",
    "lacks_result_type",
    "pinned",
    "style_of",
    "undispatched",
]

LEGACY_TTL_S: Final = 3600.0
"""How long sessions are believed; the TypeScript SDK's guide suggests a day, which is long to miss an upgrade."""

SETTLE_S: Final = 30.0
"""Between the two MODERN verdicts of an upgrade: kubernetes replaces pods with about this delay."""

BACKOFF_S: Final = (1.0, 60.0)
"""The pause after a probe that changed nothing, doubled each time up to the second value (gRPC's is 1 s to 120 s)."""

Probe = Callable[[], Awaitable[Verdict]]


def pinned(face: Face) -> Verdict:
    """The verdict an operator gave."""
    return Verdict(kind=face, reason="pinned", revision=MODERN[-1] if face == "modern" else "")


class EraCache:
    """The verdict on one (backend, class of credentials). Belongs to one event loop; `clock` is in seconds."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        pin: Face | None = None,
        legacy_ttl_s: float = LEGACY_TTL_S,
        settle_s: float = SETTLE_S,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self._clock = clock
        self._pin = pinned(pin) if pin is not None else None
        self._legacy_ttl_s = legacy_ttl_s
        self._settle_s = settle_s
        self._backoff_s = backoff_s
        self._settled: Verdict | None = None
        self._unsettled: Verdict | None = None  # the last verdict that settled nothing, repeated during a pause
        self._expires = float("inf")
        self._stale = False
        self._modern_since: float | None = None  # the first MODERN verdict of an upgrade that is not done yet
        self._refuted = False  # an `initialize` has failed, and nothing else was found since
        self._fruitless = 0
        self._pause_until = float("-inf")
        self._flight: asyncio.Task[Verdict] | None = None
        self.probes = 0
        self.last: Verdict | None = None
        """What the last probe said, for the operator; it is not what holds."""

    @property
    def settled(self) -> Verdict | None:
        """What holds now, fresh or not; None before anything was found out. Never probes."""
        return self._pin or self._settled

    @property
    def fresh(self) -> Verdict | None:
        """What holds now, None where a probe would be made to see. Never probes."""
        if self._pin is not None:
            return self._pin
        settled = self._settled
        return settled if settled is not None and not self._stale and self._clock() < self._expires else None

    async def verdict(self, probe: Probe) -> Verdict:
        """What to do now: `modern`, `legacy` (a `candidate` must be confirmed by `initialize`), or why nothing.

        Callers that come while a probe is under way share it; one that is cancelled does not end it for the others.
        """
        fresh = self.fresh
        if fresh is not None:
            return fresh
        if self._clock() < self._pause_until:
            waiting = self._settled or self._unsettled
            if waiting is not None:
                return waiting
        if self._flight is None:
            self._flight = asyncio.get_running_loop().create_task(self._run(probe))
        return await asyncio.shield(self._flight)

    def confirmed(self) -> None:
        """An `initialize` succeeded: a candidate is settled, and its time begins. Others leave its time as it is."""
        if self._settled is None and self._refuted:
            self._settle(Verdict(kind="legacy", reason="initialized"), self._clock() + self._legacy_ttl_s)
        elif self._settled is not None and self._settled.candidate:
            self._settled = msgspec.structs.replace(self._settled, candidate=False)
            self._expires = self._clock() + self._legacy_ttl_s

    def contradicted(self, face: Face, *, gone: bool = False) -> bool:
        """An answer on that face does not fit (see `evidence`); True if the next call of `verdict` probes again.

        `gone` says that the face does not answer at all any more (a failed `initialize`): then an upgrade does not
        wait. A refuted candidate is forgotten; a second one in a row is a failure. What is said of another face than
        the one that holds now comes too late to matter.
        """
        settled = self._settled
        if self._pin is not None or (settled is not None and settled.kind != face):
            return False
        if settled is not None and settled.candidate:
            self._refuted = True
            self._settled = None
            self._stale = False
            self._pause_until = float("-inf")
            return True
        if gone and face == "legacy":
            self._modern_since = float("-inf")
        if self._clock() < self._pause_until:
            return False
        self._stale = settled is not None
        return True

    async def close(self) -> None:
        """End a probe that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    async def _run(self, probe: Probe) -> Verdict:
        self.probes += 1
        try:
            found = await probe()
            self.last = found
            return self._take(found)
        finally:
            self._flight = None

    def _take(self, found: Verdict) -> Verdict:
        """What holds after a probe."""
        before = self._settled
        if found.kind == "modern":
            return self._modern(found)
        if found.kind == "legacy" and not (found.candidate and self._refuted):
            if before is not None and before.kind == "legacy" and not before.candidate and not self._stale:
                found = msgspec.structs.replace(found, candidate=False)  # `initialize` has worked; a refusal is no news
            self._modern_since = None
            return self._settle(found, self._clock() + self._legacy_ttl_s)
        if found.kind == "legacy":
            found = Verdict(kind="fail", reason="no-era")
            self._refuted = False
        if found.kind == "auth":
            self._unsettled = found
            return before or found  # whoever calls with what was believed is challenged himself
        self._pause()
        self._unsettled = found
        if found.kind == "fail" and self._stale:
            self._settled = None
            self._stale = False
        return self._settled or found

    def _modern(self, found: Verdict) -> Verdict:
        before = self._settled
        now = self._clock()
        if before is not None and before.kind == "legacy" and not before.candidate:
            if self._modern_since is None:
                self._modern_since = now
            due = self._modern_since + self._settle_s
            if now < due:
                return self._settle(before, due)
        self._modern_since = None
        return self._settle(found, float("inf"))

    def _settle(self, verdict: Verdict, expires: float) -> Verdict:
        if self._settled is not None and self._settled.kind == verdict.kind and self._stale:
            self._pause()  # it was contradicted, and yet it is so
        else:
            self._fruitless = 0
            self._pause_until = float("-inf")
        self._stale = False
        self._refuted = False
        self._settled = verdict
        self._unsettled = None
        self._expires = expires
        return verdict

    def _pause(self) -> None:
        first, most = self._backoff_s
        self._pause_until = self._clock() + min(first * 2 ** min(self._fruitless, 32), most)
        self._fruitless += 1
