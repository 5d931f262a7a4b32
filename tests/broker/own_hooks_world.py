"""Hooks as an operator might write them, good ones and others: found by their import path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from broker.hooks.base import PASS, Body, CallInfo, Deny, Drop, Hook, Pattern, Replace, Verdict
from protocol_versions.base import Slot

CALLS = (Pattern("params", "tools/call", "server", ("name",)),)
SEEN: list[tuple[str, CallInfo]] = []


class Tagged(Hook):
    """Adds its tag to the tool's name, so that the order shows."""

    slots = CALLS

    def __init__(self, tag: str = "a") -> None:
        self.tag = tag
        self.closed = 0

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        SEEN.append((self.tag, info))
        return Replace({**body, "name": f"{body['name']}{self.tag}"})

    async def close(self) -> None:
        self.closed += 1


class Says(Hook):
    """Answers with what it was made with: a verdict by name, or nonsense."""

    slots = CALLS

    def __init__(self, answer: str, *, later: bool = False) -> None:
        self.answer = answer
        self.later = later

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict | Awaitable[Verdict]:
        return self._later() if self.later else self._now()

    async def _later(self) -> Verdict:
        await asyncio.sleep(0)
        return self._now()

    def _now(self) -> Verdict:
        found: Any = ANSWERS[self.answer]
        if isinstance(found, BaseException):
            raise found
        verdict: Verdict = found
        return verdict


ANSWERS: dict[str, Any] = {
    "pass": PASS,
    "deny": Deny(-5, "Not today", "budget"),
    "drop": Drop("why"),
    "raises": ValueError("secret text"),
    "exhausted": RecursionError(),
    "cancels": asyncio.CancelledError(),
    "nothing": None,
    "true": True,
    "text": "Pass",
    "class": type(PASS),
    "deny without text": Deny(-5, 7, "x"),  # type: ignore[arg-type]
    "body of an object": Replace({"name": object()}),
    "body of a list": Replace(["name"]),  # type: ignore[arg-type]
    "names that are numbers": Replace({7: "x"}),  # type: ignore[dict-item]
    "too deep": Replace({"name": json.loads("[" * 100 + "]" * 100)}),
    "headers": Replace({"name": "x"}, (("Authorization", "Bearer x"),)),
}


class Hangs(Hook):
    """Never answers, and takes no notice of being cancelled."""

    slots = CALLS

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        while not self.over.is_set():
            try:
                await self.over.wait()
            except asyncio.CancelledError:
                continue
        return PASS

    async def close(self) -> None:
        self.over.set()


class Reviews(Says):
    """Answers a review with what it was made with."""

    def review(self, info: CallInfo) -> Deny | None:
        return self._now()  # type: ignore[return-value]


class Reasons(Hook):
    """Denies with another reason each time."""

    slots = CALLS

    def __init__(self) -> None:
        self.number = 0

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        self.number += 1
        return Deny(-5, "No", f"not today\n{self.number - 1}")


class NoSlots(Hook):
    """Says nothing of what it wants."""


class WrongSlots(Hook):
    """Wants a part that there is not."""

    slots = (Pattern("everything", "*", "server"),)  # type: ignore[arg-type]


class NotOne:
    """Is no hook."""


def make(**options: Any) -> Hook:
    """A function that makes one is as good as a class."""
    return Tagged(**options)


NOT_CALLABLE = 7
