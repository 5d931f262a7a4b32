"""One coarse timer wheel for all deadlines of an event loop.

Adding and cancelling cost a dictionary look-up and a set operation, whatever the number of deadlines; the
loop holds at most one timer for all of them, and none while no deadline is set (performance: no timer per
call). Invariant: a callback runs no earlier than its deadline and at most one granule (plus the loop's own
delay) after it.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from math import floor
from typing import Final, Protocol

import msgspec

# Deadlines of seconds bear a quarter second: aiohttp rounds those above 5 s up to whole seconds.
GRANULARITY_S: Final = 0.25


class Timer(Protocol):
    """What a scheduler returns; asyncio's TimerHandle is one."""

    def cancel(self) -> None: ...


class Handle(msgspec.Struct, eq=False, gc=False):
    """One deadline; `deadline` is in seconds of the wheel's clock. The rest is the wheel's."""

    deadline: float
    callback: Callable[[], None]
    bucket: set[Handle] | None


class Wheel:
    """Deadlines of one event loop.

    `clock` gives monotonic seconds. `later(delay_s, callback)` asks to be called back and defaults to the
    running loop's `call_later`. `report(error)` is told of a callback that raised; by default the loop's
    exception handler.
    """

    __slots__ = (
        "_armed",
        "_buckets",
        "_count",
        "_due",
        "_granularity",
        "_later",
        "_report",
        "_timer",
        "clock",
    )

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], Timer] | None = None,
        *,
        granularity_s: float = GRANULARITY_S,
        report: Callable[[Exception], None] | None = None,
    ) -> None:
        self.clock = clock
        self._later = later
        self._report = report
        self._granularity = granularity_s
        self._buckets: dict[int, set[Handle]] = {}
        self._due: list[int] = []  # heap of the ticks that have a bucket
        self._count = 0
        self._timer: Timer | None = None
        self._armed = 0  # the tick the timer is set for

    def __len__(self) -> int:
        """How many deadlines are set."""
        return self._count

    def add(self, deadline: float, callback: Callable[[], None]) -> Handle:
        """Call back once when the clock has passed `deadline` (seconds of this wheel's clock)."""
        tick = floor(deadline / self._granularity) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = set()
            heapq.heappush(self._due, tick)
        handle = Handle(deadline, callback, bucket)
        bucket.add(handle)
        self._count += 1
        if self._timer is None or tick < self._armed:
            self._arm(tick)
        return handle

    def cancel(self, handle: Handle) -> None:
        """Forget a deadline; harmless when it has passed or was cancelled before."""
        bucket = handle.bucket
        if bucket is not None:
            handle.bucket = None
            bucket.discard(handle)
            self._count -= 1

    def run_due(self) -> None:
        """Run what is due and arm for the next deadline. The timer calls this; a test may too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = floor(self.clock() / self._granularity)
        buckets = self._buckets
        due = self._due
        while due:
            tick = due[0]
            bucket = buckets[tick]
            if bucket and tick > now:
                break
            # Due, or emptied by cancellation: the latter would only wake an idle process.
            heapq.heappop(due)
            del buckets[tick]
            while bucket:
                handle = bucket.pop()
                handle.bucket = None
                self._count -= 1
                self._run(handle.callback)
        if due and (self._timer is None or due[0] < self._armed):
            self._arm(due[0])

    def close(self) -> None:
        """Drop every deadline and the timer."""
        for bucket in self._buckets.values():
            for handle in bucket:
                handle.bucket = None
        self._buckets.clear()
        self._due.clear()
        self._count = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later
        self._armed = tick
        self._timer = self._later(max(0.0, tick * self._granularity - self.clock()), self.run_due)

    def _run(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            # One owner's bug must not cost the others their deadlines.
            if self._report is not None:
                self._report(error)
            else:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a deadline's callback raised", "exception": error}
                )
