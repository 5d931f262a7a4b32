"""A slice of the random walk of stateless clients, and proof that it sees what it is there to see."""

from __future__ import annotations

from typing import Any

import pytest

from tests.walker.stateless.restore import restore
from tests.walker.stateless.walk import begin, walk
from tests.walker.walk import REVISIONS, STEPS, Good, shortest
from translators.machine import Effect
from translators.stateless_client import StatelessClient, questions, requests, resuming, rounds
from translators.stateless_client.calls import Call


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_no_history_of_a_slice_breaks_anything(seed: int) -> None:
    for number in range(seed, seed + 40):
        assert walk(number) == STEPS


def test_a_history_is_the_same_each_time() -> None:
    first: list[str] = []
    second: list[str] = []
    walk(11, names=first)
    walk(11, names=second)
    assert first == second


def test_the_slice_walks_every_revision_and_opens_its_sessions() -> None:
    opened = set()
    for revision in REVISIONS:
        world = begin(Good(), revision)
        assert world.server.open
        opened.add(revision)
    assert opened == set(REVISIONS)


def test_state_that_nobody_would_write_is_seen() -> None:
    world = begin(Good(), REVISIONS[0])
    restore(world.talk)
    world.talk.hidden = 1  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match="hidden"):
        restore(world.talk)


def _walks() -> None:
    for seed in range(200):
        walk(seed)


def _seen(text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        _walks()


def test_a_question_that_was_not_declared_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "permitted_to", lambda _capabilities, _question: True)
    _seen("asked what this request did not declare")


def test_a_call_that_is_sent_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(talk: StatelessClient, call: Call) -> list[Effect]:
        return requests.send(talk, call)

    monkeypatch.setattr(requests, "go_on", again)
    _seen("what runs at the server is not what is waited for")


def test_a_question_that_nobody_answers_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "dismiss", lambda _talk, _call: [])
    _seen("a question of the server is nowhere")


def test_a_call_that_waits_for_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "remind", lambda _talk: [])
    _seen("a call that is parked waits for nothing")


def test_answers_of_another_round_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(_given: Any) -> bytes:
        return b""

    monkeypatch.setattr(resuming, "digest", first)
    _seen("not (refused )?for invalid_request_state")


def test_the_shortest_beginning_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shortest(3, walk) is None
    monkeypatch.setattr(rounds, "remind", lambda _talk: [])
    broken = next(found for found in (shortest(seed, walk) for seed in range(40)) if found is not None)
    assert broken.steps == len(broken.names)
