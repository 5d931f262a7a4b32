"""A command that is gone before its start has come back: told once, and nothing of it is left open."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from broker.backends.child import Child, Command
from tests.broker.http1_world import within

SAYS_ONE = "print('{}', flush=True)"


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
