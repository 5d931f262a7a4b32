"""Stateless requests to one process: when they are given up, and what their owner is told then."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.backends.base import Legs
from broker.backends.child import Command
from broker.backends.stdio_reach import SWEEP_S, StdioReach
from broker.limit_values import DEFAULTS, wire_of
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.broker.http1_world import Clock, turn, within
from tests.broker.pipe_world import SERVER

LIMITS = msgspec.structs.replace(DEFAULTS, call_head_s=10.0, call_total_s=25.0)


class Owner:
    """What became of each leg; `also` is given up with the first that fails."""

    def __init__(self, also: int = 0) -> None:
        self.legs: Legs
        self.also = also
        self.answered: list[int] = []
        self.failed: list[tuple[int, str]] = []

    def leg_message(self, leg: int, frame: Frame) -> None:
        if frame.kind == "response":
            self.answered.append(leg)

    def leg_failed(self, leg: int, reason: str, _executed: str) -> None:
        self.failed.append((leg, reason))
        if self.also:
            self.legs.abort(self.also)

    def leg_violation(self, leg: int, reason: str) -> None: ...

    def call(self, leg: int, name: str, **arguments: Any) -> None:
        params = {"name": name, "arguments": arguments, "_meta": {"progressToken": f"token-{leg}"}}
        self.legs.post(leg, jsonrpc.decode_backend(jsonrpc.encode(jsonrpc.request(leg, "tools/call", params))), ())

    async def until(self, leg: int) -> None:
        """Until that leg is answered."""

        async def reached() -> None:
            while leg not in self.answered:
                await turn()

        await within(reached())


@asynccontextmanager
async def process(owner: Owner, log: Path) -> AsyncIterator[Clock]:
    """A process for the legs of this owner; its time passes by hand."""
    clock = Clock()
    reach = StdioReach(
        Command((sys.executable, SERVER, "modern"), {"PIPE_SERVER_LOG": str(log)}),
        wire_of(LIMITS),
        {"name": "tests", "version": "1"},
        clock.wheel,
        limits=LIMITS,
        log=lambda _line, _dropped: None,
        violation=lambda _reason: None,
    )
    owner.legs = reach.legs(owner)
    try:
        yield clock
    finally:
        await within(reach.close())


async def test_progress_puts_the_end_of_a_call_off_but_not_for_ever(tmp_path: Path) -> None:
    owner = Owner()
    async with process(owner, tmp_path / "log") as clock:
        owner.call(1, "slow")
        progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}'
        for leg in (2, 3):
            clock.advance(LIMITS.call_head_s - 1)
            owner.call(leg, "stray", line=progress)
            await owner.until(leg)
        assert not owner.failed
        clock.advance(LIMITS.call_total_s - 2 * (LIMITS.call_head_s - 1) + SWEEP_S)
        assert owner.failed == [(1, "backend-timeout")]


@pytest.mark.parametrize("reason", ["backend-timeout", "backend-closed"])
async def test_of_a_call_given_up_when_another_failed_its_owner_hears_no_more(tmp_path: Path, reason: str) -> None:
    owner = Owner(also=2)
    log = tmp_path / "log"
    async with process(owner, log) as clock:
        owner.call(1, "slow")
        owner.call(2, "slow")
        owner.call(3, "add", a=1, b=2)
        await owner.until(3)
        if reason == "backend-timeout":
            clock.advance(LIMITS.call_head_s + SWEEP_S)
        else:
            os.kill(int(log.read_text(encoding="utf-8").split()[0]), signal.SIGKILL)

            async def failed() -> None:
                while not owner.failed:
                    await turn()

            await within(failed())
        assert owner.failed == [(1, reason)]
