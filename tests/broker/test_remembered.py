"""What is remembered of callers is bounded, whoever comes."""

from __future__ import annotations

from broker.identity import Principal
from broker.remembered import LOOKS, Remembered
from tests.broker.bridge_world import bridging


def test_the_one_that_was_used_longest_ago_is_forgotten() -> None:
    kept = Remembered[str, list[int]](2)
    a, b = kept.of("a", list), kept.of("b", list)
    assert kept.of("a", list) is a
    kept.of("c", list)
    assert len(kept) == 2
    assert kept.of("a", list) is a
    assert kept.of("b", list) is not b


def test_what_is_in_use_stays_and_is_not_looked_for_for_long() -> None:
    kept = Remembered[int, list[int]](2 * LOOKS, bool)
    used = [kept.of(number, lambda: [1]) for number in range(2 * LOOKS)]
    kept.of(-1, list)
    assert [kept.of(number, list) for number in range(2 * LOOKS)] == used
    assert len(kept) == 2 * LOOKS + 1
    kept.of(-2, list)
    kept.of(-3, list)
    assert len(kept) <= 2 * LOOKS + 3


async def test_callers_without_end_leave_no_more_behind_than_the_limit_says() -> None:
    async with bridging(limits={"callers": 3}) as here:
        context = here.context
        people = [Principal(f"token:{number}", "token") for number in range(10)]
        for one in people:
            context.facts(one)
            context.task_ids(one)
            context.hub(one)
        latest = people[-1]
        assert context.facts(latest) is context.facts(latest)
        assert context.task_ids(latest) is context.task_ids(latest)
        assert context.hub(latest) is context.hub(latest)
        first = context.task_ids(people[0])
        for one in people[1:]:
            context.task_ids(one)
        assert context.task_ids(people[0]) is not first
