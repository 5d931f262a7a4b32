"""Parked calls of the benchmarks wait for real: nothing is answered before its question, and everything after.

The invariant: no assertion here depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from benchmarks.asking import AskingConnection, AskingServer
from benchmarks.client import Session
from benchmarks.load import warm
from benchmarks.parked import CALLERS, configured
from benchmarks.processes import BROKER_COMMAND
from benchmarks.report import limit_line
from benchmarks.rows import MEMORY_PARKED, NEWEST
from benchmarks.runner import BROKER, Bench, Options, Results
from benchmarks.workloads import DECODE, Echo

WAIT = 5.0


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[AskingServer, int]]:
    """A backend that asks, on a free port of this process."""
    server = AskingServer()
    listener = await asyncio.get_running_loop().create_server(lambda: AskingConnection(server), "127.0.0.1", 0)
    try:
        yield server, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


class Heard:
    """What one exchange brings, message by message."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()

    def message(self, data: bytes) -> None:
        self.messages.put_nowait(data)

    def complete(self, status: int) -> None:
        self.messages.put_nowait(b"%d" % status)

    def lost(self) -> None:
        self.messages.put_nowait(b"lost")


async def test_a_call_that_asks_is_answered_after_its_question_and_with_what_was_answered() -> None:
    async with serving() as (server, port):
        caller, other = (Session(port, f"/{NEWEST}/mcp", NEWEST, {}) for _ in range(2))
        try:
            await caller.open()
            await warm(caller, Echo("echo"))
            heard = Heard()
            caller.connection.reader = heard
            caller.connection.send(caller.post(Echo("ask").body(7, "mark")))
            asked = msgspec.json.decode(await asyncio.wait_for(heard.messages.get(), WAIT))
            assert asked["method"] == "elicitation/create"
            assert "mark" in asked["params"]["message"]
            assert heard.messages.empty()
            # the answer comes on another connection of the session
            await other.open()
            other.head = caller.head
            reply = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}}
            assert await other.ask(msgspec.json.encode(reply)) == (202, [])
            answer = DECODE.decode(await asyncio.wait_for(heard.messages.get(), WAIT))
            assert answer.id == 7
            assert answer.result is not None
            assert answer.result.content[0].text == "mark decline"
            assert not server.waiting
        finally:
            caller.connection.close()
            other.connection.close()


def test_a_broker_is_configured_for_all_callers_and_their_calls(tmp_path: Path) -> None:
    command, keys = configured(tmp_path, "http://127.0.0.1:1/mcp", 50)
    file = next(word for word in command.split() if word.endswith(".json"))
    document = msgspec.json.decode(Path(file).read_bytes())
    assert len(set(keys)) == len(document["keys"]) == CALLERS
    assert document["limits"]["parked"] >= 50
    assert not any(key in Path(file).read_text(encoding="utf-8") for key in keys)


def test_parked_calls_are_held_and_answered_and_have_a_size() -> None:
    results = asyncio.run(Bench(Options(BROKER_COMMAND, parked=(6, 18))).run([], {MEMORY_PARKED.name}))
    line = limit_line(MEMORY_PARKED, results)
    assert line.notes == []
    assert len(results.limits[MEMORY_PARKED.name][BROKER]) == 1


def test_without_a_figure_the_row_fails() -> None:
    assert limit_line(MEMORY_PARKED, Results()).failed
