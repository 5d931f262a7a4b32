"""Announcements that come again and again: how often they are told (security catalogue C211)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broker.backends.repeats import WITHIN_S, Repeats
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

TOOLS, PROMPTS = "notifications/tools/list_changed", "notifications/prompts/list_changed"


class Told:
    """A stream whose clock the test moves: what was told, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[tuple[float, str]] = []
        self._due: list[tuple[float, Callable[..., Any], tuple[Any, ...]]] = []
        self.repeats = Repeats(self._later)

    def _later(self, delay_s: float, callback: Callable[..., Any], *given: Any) -> None:
        self._due.append((self.now + delay_s, callback, given))

    def heard(self, method: str) -> None:
        frame = jsonrpc.notification(method, {})
        if not self.repeats.holds(frame, self._tell):
            self._tell(frame)

    def _tell(self, frame: Frame) -> None:
        self.told.append((round(self.now, 3), str(frame.method)))

    def until(self, now: float) -> None:
        while due := sorted(each for each in self._due if each[0] <= now):
            self._due.remove(due[0])
            self.now = due[0][0]
            due[0][1](*due[0][2])
        self.now = now


@pytest.mark.parametrize("each_s", [0.0001, 0.01, 0.05])
def test_a_storm_is_told_once_in_a_while_and_once_after_its_end(each_s: float) -> None:
    here = Told()
    number = round(1.0 / each_s)
    for count in range(number):
        here.until(count * each_s)
        here.heard(TOOLS)
    here.until(10.0)
    assert len(here.told) <= 1.0 / WITHIN_S + 2
    assert here.told[0] == (0.0, TOOLS)
    assert here.told[-1][0] >= (number - 1) * each_s
    assert here._due == []
    assert here.repeats._waiting == {}


def test_what_comes_once_is_told_once_and_each_list_for_itself() -> None:
    here = Told()
    for method in (TOOLS, PROMPTS, TOOLS, "notifications/message", "notifications/message"):
        here.heard(method)
    here.until(10.0)
    here.heard(TOOLS)
    here.until(20.0)
    assert here.told == [
        (0.0, TOOLS), (0.0, PROMPTS), (0.0, "notifications/message"), (0.0, "notifications/message"),
        (WITHIN_S, TOOLS), (10.0, TOOLS),
    ]  # fmt: skip
