"""Keeping a backend's verdict: what is asked when, and what a probe changes. The clock moves by hand."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from broker.era import EraCache
from broker.era_signs import Verdict
from tests.broker.http1_world import turn, within

MODERN = Verdict(kind="modern", reason="discovered", revision="2026-07-28")
LEGACY = Verdict(kind="legacy", reason="discovered")
CANDIDATE = Verdict(kind="legacy", reason="refused", candidate=True)
STRIPPED = Verdict(kind="fail", reason="headers-stripped")
AUTH = Verdict(kind="auth", reason="unauthorized")
AWAY = Verdict(kind="inconclusive", reason="unavailable")


class Scene:
    """A cache, its clock, and the verdicts its probes will give, in order."""

    def __init__(self, *script: Verdict, pin: str | None = None) -> None:
        self.now = 0.0
        self.cache = EraCache(lambda: self.now, pin=pin)  # type: ignore[arg-type]
        self.script = list(script)

    async def probe(self) -> Verdict:
        return self.script.pop(0)

    async def ask(self, *, after: float = 0.0) -> Verdict:
        self.now += after
        return await within(self.cache.verdict(self.probe))

    async def kinds(self, *waits: float) -> list[str]:
        """The kinds of verdict after each wait."""
        return [(await self.ask(after=wait)).kind for wait in waits]


@pytest.mark.parametrize(("pin", "revision"), [("modern", "2026-07-28"), ("legacy", "")])
async def test_a_pin_is_never_questioned(pin: str, revision: str) -> None:
    scene = Scene(pin=pin)
    found = await scene.ask()
    assert (found.kind, found.revision, found.candidate) == (pin, revision, False)
    assert not scene.cache.contradicted("modern")
    assert not scene.cache.contradicted("legacy", gone=True)
    assert (await scene.ask(after=1e6)).kind == pin
    assert scene.cache.probes == 0


async def test_a_stateless_server_is_believed_until_contradicted() -> None:
    scene = Scene(MODERN, MODERN)
    assert await scene.kinds(0, 10, 1e7) == ["modern"] * 3
    assert scene.cache.probes == 1
    assert scene.cache.contradicted("modern")
    assert await scene.kinds(0, 1e7) == ["modern"] * 2
    assert scene.cache.probes == 2


async def test_what_is_fresh_is_what_would_be_said_without_a_probe() -> None:
    scene = Scene(LEGACY, LEGACY)
    assert scene.cache.fresh is None
    found = await scene.ask()
    assert scene.cache.fresh is found
    scene.now = 3600
    assert scene.cache.fresh is None
    await scene.ask()
    scene.cache.contradicted("legacy")
    assert scene.cache.fresh is None
    pinned = Scene(pin="modern").cache.fresh
    assert pinned is not None
    assert pinned.kind == "modern"


async def test_sessions_are_believed_for_an_hour() -> None:
    scene = Scene(LEGACY, LEGACY)
    assert await scene.kinds(0, 3599) == ["legacy"] * 2
    assert scene.cache.probes == 1
    assert await scene.kinds(1, 3599) == ["legacy"] * 2
    assert scene.cache.probes == 2


async def test_a_candidate_is_settled_by_a_session_and_its_hour_begins_there() -> None:
    scene = Scene(CANDIDATE, LEGACY)
    assert (await scene.ask()).candidate
    scene.now = 100
    scene.cache.confirmed()
    assert not (await scene.ask()).candidate
    scene.now = 3000
    scene.cache.confirmed()  # every later session says the same, and proves nothing about upgrades
    scene.now = 3699
    await scene.ask()
    assert scene.cache.probes == 1
    await scene.ask(after=1)
    assert scene.cache.probes == 2


async def test_a_refusal_is_no_news_of_a_server_whose_sessions_work() -> None:
    scene = Scene(CANDIDATE, CANDIDATE)
    await scene.ask()
    scene.cache.confirmed()
    assert not (await scene.ask(after=4000)).candidate
    assert scene.cache.probes == 2


async def test_a_refuted_candidate_is_asked_again_once_and_then_fails() -> None:
    scene = Scene(CANDIDATE, CANDIDATE, CANDIDATE)
    await scene.ask()
    assert scene.cache.contradicted("legacy", gone=True)
    found = await scene.ask()
    assert (found.kind, found.reason) == ("fail", "no-era")
    assert await scene.ask(after=0.9) == found
    assert scene.cache.probes == 2
    assert (await scene.ask(after=0.2)).candidate  # after the pause it begins anew


async def test_a_refuted_candidate_may_have_been_upgraded_meanwhile() -> None:
    scene = Scene(CANDIDATE, MODERN)
    await scene.ask()
    scene.cache.contradicted("legacy", gone=True)
    assert await scene.ask() == MODERN


async def test_a_session_that_opens_after_another_failed_settles_the_candidate() -> None:
    scene = Scene(CANDIDATE)
    await scene.ask()
    scene.cache.contradicted("legacy", gone=True)
    scene.cache.confirmed()
    found = await scene.ask()
    assert (found.kind, found.candidate) == ("legacy", False)
    assert scene.cache.probes == 1


async def test_an_upgrade_takes_two_verdicts_half_a_minute_apart() -> None:
    scene = Scene(LEGACY, MODERN, MODERN)
    assert await scene.kinds(0, 3600) == ["legacy", "legacy"]
    assert await scene.kinds(29.9) == ["legacy"]
    assert scene.cache.probes == 2
    assert await scene.kinds(0.1, 1e6) == ["modern", "modern"]
    assert scene.cache.probes == 3


async def test_a_verdict_between_two_that_differ_starts_the_upgrade_again() -> None:
    scene = Scene(LEGACY, MODERN, LEGACY, MODERN, MODERN)
    assert await scene.kinds(0, 3600, 30) == ["legacy"] * 3
    assert await scene.kinds(3600, 29) == ["legacy"] * 2
    assert await scene.kinds(1) == ["modern"]
    assert scene.cache.probes == 5


async def test_probes_that_say_nothing_do_not_break_an_upgrade() -> None:
    scene = Scene(LEGACY, MODERN, AWAY, MODERN)
    assert await scene.kinds(0, 3600, 30, 1) == ["legacy", "legacy", "legacy", "modern"]


async def test_an_upgrade_does_not_wait_for_a_face_that_is_gone() -> None:
    scene = Scene(LEGACY, MODERN)
    await scene.ask()
    assert scene.cache.contradicted("legacy", gone=True)
    assert await scene.kinds(1) == ["modern"]


async def test_a_contradicted_face_that_still_answers_is_left_slowly() -> None:
    scene = Scene(LEGACY, MODERN, MODERN)
    await scene.ask()
    assert scene.cache.contradicted("legacy")
    assert await scene.kinds(1, 29) == ["legacy", "legacy"]
    assert await scene.kinds(1) == ["modern"]


async def test_a_downgrade_happens_at_once_and_a_candidate_must_still_be_confirmed() -> None:
    scene = Scene(MODERN, CANDIDATE)
    await scene.ask()
    scene.cache.contradicted("modern")
    found = await scene.ask()
    assert (found.kind, found.candidate) == ("legacy", True)


async def test_contradictions_that_probes_do_not_bear_out_are_heard_ever_more_rarely() -> None:
    scene = Scene(*[MODERN] * 20)
    await scene.ask()
    heard = []
    for _ in range(400):
        if scene.cache.contradicted("modern"):
            heard.append(scene.now)
        await scene.ask(after=0.5)
    gaps = [later - earlier for earlier, later in pairwise(heard)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 1
    assert 60 <= gaps[-1] < 62
    assert scene.cache.probes == 1 + len(heard) < 12


async def test_what_is_said_of_a_face_no_longer_used_comes_too_late() -> None:
    scene = Scene(MODERN)
    await scene.ask()
    assert not scene.cache.contradicted("legacy", gone=True)
    await scene.ask()
    assert scene.cache.probes == 1


async def test_a_server_that_is_away_keeps_its_verdict_and_is_asked_ever_more_rarely() -> None:
    scene = Scene(LEGACY, *[AWAY] * 5, LEGACY)
    await scene.ask()
    probed = []
    scene.now = 3600
    for _ in range(60):
        before = scene.cache.probes
        assert (await scene.ask(after=1)).kind == "legacy"
        if scene.cache.probes > before:
            probed.append(scene.now - 3600)
    assert probed == [1, 2, 4, 8, 16, 32]
    assert scene.cache.last == LEGACY


async def test_a_server_that_was_never_reached_has_no_verdict() -> None:
    scene = Scene(AWAY, AWAY, MODERN)
    assert await scene.kinds(0, 0.5) == ["inconclusive"] * 2
    assert scene.cache.probes == 1
    assert scene.cache.settled is None
    assert await scene.kinds(0.5, 1.9) == ["inconclusive"] * 2
    assert scene.cache.probes == 2
    assert await scene.kinds(0.1) == ["modern"]


async def test_a_contradicted_server_that_is_away_is_asked_again() -> None:
    scene = Scene(MODERN, AWAY, LEGACY)
    await scene.ask()
    scene.cache.contradicted("modern")
    assert await scene.kinds(0, 0.5) == ["modern"] * 2
    assert await scene.kinds(1) == ["legacy"]


async def test_missing_credentials_are_told_and_never_kept() -> None:
    scene = Scene(AUTH, AUTH, MODERN)
    assert await scene.kinds(0, 0, 0) == ["auth", "auth", "modern"]


async def test_missing_credentials_do_not_change_a_verdict() -> None:
    scene = Scene(LEGACY, AUTH, LEGACY)
    assert await scene.kinds(0, 3600, 0) == ["legacy"] * 3
    assert scene.cache.probes == 3


async def test_a_failure_is_told_until_the_next_probe() -> None:
    scene = Scene(STRIPPED, MODERN)
    assert await scene.kinds(0, 0.9) == ["fail", "fail"]
    assert scene.cache.probes == 1
    assert await scene.kinds(0.1) == ["modern"]


async def test_a_failure_ends_a_contradicted_verdict_but_not_working_sessions() -> None:
    contradicted = Scene(MODERN, STRIPPED)
    await contradicted.ask()
    contradicted.cache.contradicted("modern")
    assert await contradicted.ask() == STRIPPED
    working = Scene(LEGACY, STRIPPED)
    assert await working.kinds(0, 3600) == ["legacy", "legacy"]
    assert working.cache.last == STRIPPED


async def test_callers_share_one_probe_and_one_that_leaves_does_not_end_it() -> None:
    scene = Scene()
    answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    async def probe() -> Verdict:
        return await answer

    first, *others = [asyncio.create_task(scene.cache.verdict(probe)) for _ in range(5)]
    await turn()
    assert scene.cache.probes == 1
    first.cancel()
    await turn()
    answer.set_result(MODERN)
    assert await within(asyncio.gather(*others)) == [MODERN] * 4
    assert first.cancelled()
    assert scene.cache.probes == 1
    assert scene.cache.settled == MODERN


async def test_a_probe_that_raises_tells_its_callers_and_the_next_asks_again() -> None:
    scene = Scene(MODERN)

    async def broken() -> Verdict:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await within(scene.cache.verdict(broken))
    assert await scene.ask() == MODERN


async def test_close_ends_a_probe_under_way() -> None:
    scene = Scene()

    async def never() -> Verdict:
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        return await answer

    waiting = asyncio.create_task(scene.cache.verdict(never))
    await turn()
    await within(scene.cache.close())
    with pytest.raises(asyncio.CancelledError):
        await within(waiting)
    await within(scene.cache.close())
