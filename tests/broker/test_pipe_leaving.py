"""Clients on a pipe that leave early, ask too much or meet a bug of ours: nothing is kept, nobody is left waiting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from broker.faces.one_client import MAX_WAITING
from tests.broker.pipe_world import Json, pipe, settled

ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}
OPENING: Json = {
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "client", "version": "1"}},
}


async def test_a_client_that_leaves_while_its_session_is_opened_leaves_no_process(tmp_path: Path) -> None:
    async with pipe(tmp_path, "silent") as here:
        here.send(OPENING)
        await settled(lambda: bool(here.processes("initialize")))
        here.face.close()
        await here.gone(here.processes()[0])


async def test_a_bug_of_ours_while_a_session_is_opened_is_answered_and_the_client_may_ask_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipe(tmp_path) as here:

        def broken(_owner: Any) -> Any:
            raise RuntimeError("secret")

        with monkeypatch.context() as patched:
            patched.setattr(here.reach, "session", broken)
            error = (await here.ask(7, "initialize", OPENING["params"]))["error"]
        assert (error["code"], error["data"]) == (-32603, {"origin": "broker", "reason": "internal"})
        assert ("failed", "", "internal:RuntimeError") in here.reports.notes
        assert "result" in await here.open()
        assert "result" in await here.ask(1, "tools/call", ADD)


async def test_a_request_for_which_there_is_no_room_while_a_session_is_opened_is_answered(tmp_path: Path) -> None:
    async with pipe(tmp_path, limits={"streams_per_session": 2 * MAX_WAITING}) as here:
        here.send(OPENING)
        for number in range(1, MAX_WAITING + 3):
            here.send({"id": number, "method": "ping"})
        here.send({"method": "notifications/progress", "params": {}})
        await here.answer(MAX_WAITING)
        refused = [message["id"] for message in here.said if "error" in message]
        assert refused == [MAX_WAITING + 1, MAX_WAITING + 2]
        error = (await here.answer(MAX_WAITING + 1))["error"]
        assert (error["code"], error["data"]) == (-32603, {"origin": "broker", "reason": "overloaded"})


async def test_what_is_kept_while_a_session_is_opened_is_no_more_than_the_longest_message(tmp_path: Path) -> None:
    async with pipe(tmp_path, limits={"body_bytes": 4_000}) as here:
        here.send(OPENING)
        for number in range(1, 4):
            here.send({"id": number, "method": "ping", "params": {"padding": "x" * 1_500}})
        here.send(
            json.dumps([{"jsonrpc": "2.0", "id": 4, "method": "ping", "params": {"padding": "x" * 1_500}}]).encode()
        )
        await here.answer(2)
        assert sorted(message["id"] for message in here.said if "error" in message) == [3, 4]
        assert "result" in await here.answer(1)
