"""A slice of the random walk, and proof that it sees what it is there to see."""

from __future__ import annotations

from typing import Any

import pytest

from tests.walker.walk import REVISIONS, STEPS, shortest, walk
from translators.session_client import SessionClient, rounds


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_no_history_of_a_slice_breaks_anything(seed: int) -> None:
    for number in range(seed, seed + 40):
        assert walk(number) == STEPS


def test_the_slice_walks_every_revision() -> None:
    assert {REVISIONS[seed % len(REVISIONS)] for seed in range(40)} == set(REVISIONS)


def test_a_history_is_the_same_each_time() -> None:
    first: list[str] = []
    second: list[str] = []
    walk(11, names=first)
    walk(11, names=second)
    assert first == second
    assert len(first) == STEPS


def test_a_retry_without_its_state_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(bridge: rounds.Bridge) -> dict[str, Any]:
        return {**bridge.params, "inputResponses": bridge.answers} if bridge.answers else dict(bridge.params)

    monkeypatch.setattr(rounds, "retry_params", forgetful)
    broken = next(found for found in map(shortest, range(60)) if found is not None)
    assert "not the exact requestState" in broken.error


def test_a_leg_that_is_sent_under_a_used_id_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionClient, "mint", lambda self: 1)
    broken = next(found for found in map(shortest, range(60)) if found is not None)
    assert "the id of a leg was used again" in broken.error


def test_the_shortest_beginning_is_reported() -> None:
    assert shortest(3) is None
