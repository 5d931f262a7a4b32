"""The deadline wheel on a clock and a scheduler the test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wheel import GRANULARITY_S, Wheel


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """A clock and its timers; time moves only in `advance`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, int, Timer, Callable[[], None]]] = []
        self.set = 0
        self.errors: list[Exception] = []
        self.wheel = Wheel(lambda: self.now, self.later, report=self.errors.append)

    def later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        timer = Timer()
        self.set += 1
        heapq.heappush(self.timers, (self.now + delay_s, self.set, timer, callback))
        return timer

    def pending(self) -> int:
        return sum(not timer.cancelled for _, _, timer, _ in self.timers)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            when, _, timer, callback = heapq.heappop(self.timers)
            self.now = max(self.now, when)
            if not timer.cancelled:
                callback()
        self.now = end


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=40))
def test_callbacks_run_once_within_a_granule_after_their_deadline_unless_cancelled(
    plan: list[tuple[float, bool]],
) -> None:
    world = World()
    ran: list[tuple[int, float]] = []
    start = world.now
    handles = [
        world.wheel.add(start + delay, lambda number=number: ran.append((number, world.now)))  # type: ignore[misc]
        for number, (delay, _) in enumerate(plan)
    ]
    for handle, (_, cancelled) in zip(handles, plan, strict=True):
        if cancelled:
            world.wheel.cancel(handle)
    world.advance(61)
    assert sorted(number for number, _ in ran) == [n for n, (_, cancelled) in enumerate(plan) if not cancelled]
    for number, when in ran:
        assert 0 < when - (start + plan[number][0]) <= GRANULARITY_S + 1e-6
    assert len(world.wheel) == world.pending() == 0


def test_a_thousand_deadlines_take_one_timer() -> None:
    world = World()
    for number in range(1000):
        world.wheel.add(world.now + 30 + number / 10_000, lambda: None)
    assert world.pending() == 1


def test_an_idle_wheel_sets_no_timer() -> None:
    world = World()
    for number in range(200):
        world.wheel.cancel(world.wheel.add(world.now + number, lambda: None))
    world.advance(1)
    assert world.pending() == 0
    assert len(world.wheel) == 0


def test_an_earlier_deadline_moves_the_timer_forward() -> None:
    world = World()
    ran: list[str] = []
    world.wheel.add(world.now + 60, lambda: ran.append("late"))
    world.wheel.add(world.now + 1, lambda: ran.append("early"))
    world.advance(2)
    assert ran == ["early"]
    world.advance(60)
    assert ran == ["early", "late"]


def test_a_callback_may_set_and_cancel_deadlines() -> None:
    world = World()
    ran: list[str] = []
    victim = world.wheel.add(world.now + 1, lambda: ran.append("victim"))

    def first() -> None:
        world.wheel.cancel(victim)
        world.wheel.cancel(victim)
        world.wheel.add(world.now + 1, lambda: ran.append("second"))

    world.wheel.add(world.now + 0.5, first)
    world.advance(5)
    assert ran == ["second"]


def test_a_callback_that_raises_costs_the_others_nothing() -> None:
    world = World()
    ran: list[str] = []

    def broken() -> None:
        raise LookupError

    for _ in range(3):
        world.wheel.add(world.now + 1, broken)
    world.wheel.add(world.now + 1, lambda: ran.append("fine"))
    world.advance(2)
    assert ran == ["fine"]
    assert [type(error) for error in world.errors] == [LookupError] * 3


def test_closing_drops_every_deadline() -> None:
    world = World()
    handle = world.wheel.add(world.now + 1, lambda: pytest.fail("ran after close"))
    world.wheel.close()
    world.wheel.cancel(handle)
    world.advance(5)
    assert len(world.wheel) == world.pending() == 0


async def test_on_a_real_loop_the_timer_is_the_loop_s_own() -> None:
    done = asyncio.get_running_loop().create_future()
    wheel = Wheel(granularity_s=0.001)
    wheel.add(wheel.clock() + 0.002, lambda: done.set_result(None))
    await asyncio.wait_for(done, 5)


async def test_a_raising_callback_reaches_the_loop_s_exception_handler() -> None:
    loop = asyncio.get_running_loop()
    told = loop.create_future()
    loop.set_exception_handler(lambda _, context: told.set_result(context["exception"]))
    wheel = Wheel(granularity_s=0.001)
    wheel.add(wheel.clock(), lambda: [][1])
    assert isinstance(await asyncio.wait_for(told, 5), IndexError)
