"""Clients on a pipe that leave early, ask too much or meet a bug of ours: nothing is kept, nobody is left waiting."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from broker.faces.one_client import MAX_WAITING
from broker.hooks.base import PASS, Body, CallInfo, Hook, Pattern, Replace, Verdict
from protocol_versions.base import Slot
from tests.broker.http1_world import within
from tests.broker.pipe_world import PREFIX, Json, pipe, settled

ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}
ENVELOPE: Json = {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": {}}
OPENING: Json = {
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "client", "version": "1"}},
}


def text(answer: Json) -> str:
    return str(answer["result"]["content"][0]["text"])


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

        def broken(_owner: Any, **_more: Any) -> Any:
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


async def test_a_cancelled_request_leaves_nothing_behind_that_waits(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern") as here:
        await here.modern(1, "tools/list")
        before = asyncio.all_tasks()
        for number in range(2, 12):
            here.send({"id": number, "method": "tools/call", "params": {"name": "slow", "_meta": ENVELOPE}})
        await settled(lambda: len(here.processes("tools/call")) == 10)
        for number in range(2, 12):
            here.send({"method": "notifications/cancelled", "params": {"requestId": number}})
        assert text(await here.modern(2, "tools/call", ADD)) == "3"  # its id is free again
        assert asyncio.all_tasks() <= before


async def test_a_request_that_is_cancelled_before_the_server_is_known_is_never_sent(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern") as here:
        here.send({"id": 1, "method": "tools/call", "params": {**ADD, "_meta": ENVELOPE}})
        here.send({"method": "notifications/cancelled", "params": {"requestId": 1}})
        assert "result" in await here.modern(2, "tools/list")
        assert here.processes("tools/call") == []
        assert [message["id"] for message in here.said] == [2]


async def test_two_requests_of_one_id_are_told_apart_before_the_server_is_known(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern") as here:
        for name in ("add", "slow"):
            here.send({"id": 1, "method": "tools/call", "params": {**ADD, "name": name, "_meta": ENVELOPE}})
        await here.until(lambda message: message.get("id") == 1 and "result" in message)
        answers = here.said
        assert [message.get("error", {}).get("code") for message in answers] == [-32600, None]
        assert text(answers[1]) == "3"


async def test_nothing_is_sent_for_a_client_that_left_before_the_server_was_known(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern") as here:
        here.send({"id": 1, "method": "tools/call", "params": {**ADD, "_meta": ENVELOPE}})
        await asyncio.sleep(0)  # its question for the era is under way
        here.face.close()
        assert await within(here.context.stateless(client=True))
        await here.reach.close()  # the process has read all that it was sent
        assert here.processes("server/discover")
        assert here.processes("tools/call") == []


class Unwritable(Hook):
    """Puts into calls of `add` what cannot be written as JSON."""

    slots = (Pattern("params", "tools/call", "server"),)

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        return Replace({**body, "arguments": object()}) if info.target == "add" else PASS


async def test_a_request_that_cannot_be_sent_for_a_bug_of_ours_is_answered(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern", hooks=(Unwritable(),)) as here:
        await here.modern(1, "tools/list")
        error = (await here.modern(2, "tools/call", ADD))["error"]
        assert (error["code"], error["data"]) == (-32603, {"origin": "broker", "reason": "internal"})
        assert ("failed", "tools/call", "internal:TypeError") in here.reports.notes
        assert text(await here.modern(3, "tools/call", {"name": "other"})) == "other"


async def test_a_request_that_meets_a_bug_of_ours_before_it_is_sent_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipe(tmp_path, "modern") as here:

        async def broken() -> Any:
            raise RuntimeError("secret")

        with monkeypatch.context() as patched:
            patched.setattr(here.reach, "verdict", broken)
            error = (await here.modern(1, "tools/list"))["error"]
        assert (error["code"], error["data"]) == (-32603, {"origin": "broker", "reason": "internal"})
        assert "result" in await here.modern(2, "tools/list")
