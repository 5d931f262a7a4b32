"""A command that is gone before its start has come back: told once, and nothing of it is left open."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from broker.backends.child import Child, Command
from tests.broker.http1_world import turn, within

SAYS_ONE = "print('{}', flush=True)"
CLOSES_AND_RUNS = "import os, time; os.close(1); time.sleep(60)"
SAYS_WHAT_IT_HAS = "import os; print(sorted(int(each) for each in os.listdir('/dev/fd'))[:-1], flush=True)"


class Owner:
    """What was heard, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def channel_line(self, line: bytes) -> None:
        self.heard.append(line.decode())

    def channel_violation(self, kind: str) -> None:
        self.heard.append(f"violation {kind}")

    def channel_ended(self, reason: str) -> None:
        self.heard.append(f"ended {reason}")

    def channel_refused(self, call: int, reason: str, executed: str) -> None:
        self.heard.append(f"refused {call} {reason} {executed}")


ECHO = "import sys\nfor line in sys.stdin: print(len(line), flush=True)"


async def until(done: Callable[[], bool]) -> None:
    """Until something of another process has been heard of."""

    async def reached() -> None:
        while not done():
            await turn()

    await within(reached())


@pytest.mark.parametrize(("code", "heard"), [("", []), (SAYS_ONE, ["{}"])])
async def test_a_command_that_ends_before_its_start_has_come_back_is_closed(
    monkeypatch: pytest.MonkeyPatch, code: str, heard: list[str]
) -> None:
    loop = asyncio.get_running_loop()
    usual, started = loop.subprocess_exec, []
    owner = Owner()
    child = Child(Command((sys.executable, "-c", code)), owner, max_line=1_000)

    async def late(*arguments: Any, **options: Any) -> Any:
        pair = await usual(*arguments, **options)
        started.append(pair[0])
        await child.ended
        return pair

    monkeypatch.setattr(loop, "subprocess_exec", late)
    child.start()
    child.write(b"{}")
    await within(child.ended)
    assert [transport.is_closing() for transport in started] == [True]
    assert [transport.get_returncode() for transport in started] == [0]
    assert owner.heard == [*heard, "ended backend-closed"]


async def test_what_waits_for_a_child_to_start_is_bounded_and_all_of_it_is_sent() -> None:
    owner = Owner()
    child = Child(Command((sys.executable, "-c", ECHO)), owner, max_line=1_000, max_unread=1_000_000)
    child.start()
    taken = [child.write(b"x" * 90_000) for _ in range(20)]
    try:
        await until(lambda: len(owner.heard) == sum(taken))
        assert taken == [True] * 12 + [False] * 8
        assert owner.heard == ["90001"] * 12
        assert child.write(b"x")
    finally:
        child.kill()
        await within(child.ended)


async def test_an_owner_that_raises_at_a_line_hears_the_next_ones() -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault["exception"]))
    fault = RuntimeError("of ours")

    class Raises(Owner):
        def channel_line(self, line: bytes) -> None:
            super().channel_line(line)
            if line == b"1":
                raise fault

    owner = Raises()
    child = Child(Command((sys.executable, "-c", "print('1\\n2', flush=True)")), owner, max_line=1_000)
    child.start()
    await within(child.ended)
    assert owner.heard == ["1", "2", "ended backend-closed"]
    assert faults == [fault]


def _on_uvloop(code: str) -> list[str]:
    """What the owner hears of a command under the loop that the broker runs on."""

    async def run() -> list[str]:
        owner = Owner()
        child = Child(Command((sys.executable, "-c", code)), owner, max_line=1_000)
        child.start()
        await within(child.ended)
        return owner.heard

    return uvloop.run(run())


def test_a_command_that_closes_its_output_and_runs_on_is_ended() -> None:
    assert _on_uvloop(CLOSES_AND_RUNS) == ["ended backend-closed"]


def test_a_command_is_given_its_standard_streams_and_no_other_descriptor() -> None:
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)
        assert _on_uvloop(SAYS_WHAT_IT_HAS) == ["[0, 1, 2]", "ended backend-closed"]
    finally:
        os.close(reading)
        os.close(writing)
