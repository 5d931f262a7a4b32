"""The timers of a session's machine: none too early, none for what is over, none that outlives its session."""

from __future__ import annotations

import asyncio

from broker.backends.session_timers import COARSE_S, SPARE, Timers
from tests.broker.http1_world import Clock, within


class Owner:
    """Remembers what expired; what is in `over` does not matter any more."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wheel = self.clock.wheel
        self.expired: list[str] = []
        self.over: set[str] = set()
        self.came = asyncio.Event()
        self.timers = Timers(self.wheel, self._expired, lambda key: key not in self.over)

    def _expired(self, key: str) -> None:
        self.expired.append(key)
        self.came.set()


async def test_a_short_timer_fires_by_itself_and_a_long_one_with_the_wheel() -> None:
    owner = Owner()
    owner.timers.add("gather:1", 0.001)
    owner.timers.add("park:1:1", 600.0)
    await within(owner.came.wait())
    assert owner.expired == ["gather:1"]
    assert len(owner.timers) == len(owner.wheel) == 1
    owner.clock.advance(601)
    assert owner.expired == ["gather:1", "park:1:1"]
    assert len(owner.timers) == len(owner.wheel) == 0


async def test_a_timer_that_is_set_anew_fires_once() -> None:
    owner = Owner()
    for after_s in (COARSE_S, 600.0):
        owner.timers.add("beat:1:2", after_s)
    owner.clock.advance(2)
    assert owner.expired == []
    owner.clock.advance(600)
    assert owner.expired == ["beat:1:2"]


async def test_timers_of_what_is_over_are_not_kept_until_they_would_fire() -> None:
    owner = Owner()
    for number in range(10_000):
        owner.timers.add(f"park:{number}:1", 600.0)
        if number % 10:
            owner.over.add(f"park:{number}:1")
        assert len(owner.timers) <= 2 * (number // 10 + 1) + 2 * SPARE
    assert len(owner.wheel) == len(owner.timers)
    owner.clock.advance(601)
    assert {f"park:{number}:1" for number in range(0, 10_000, 10)} <= set(owner.expired)


async def test_a_session_that_is_over_leaves_no_timer() -> None:
    owner = Owner()
    owner.timers.add("park:1:1", 600.0)
    owner.timers.add("gather:1", 0.5)
    owner.timers.close()
    assert len(owner.timers) == len(owner.wheel) == 0
    owner.clock.advance(601)
    assert owner.expired == []
