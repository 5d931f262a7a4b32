"""Servers that are commands: how they are started and ended, what they may do, and what becomes of calls."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from tests.broker.pipe_world import PipeWorld, alive, pipe, settled

ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}
THREE = {"content": [{"type": "text", "text": "3"}]}


async def add(here: PipeWorld, number: int = 1) -> object:
    return (await here.ask(number, "tools/call", ADD)).get("result")


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_session_on_a_pipe_is_a_process(tmp_path: Path, revision: str) -> None:
    async with pipe(tmp_path) as here:
        opened = await here.open(revision)
        assert opened["result"]["protocolVersion"] == revision
        assert await add(here) == THREE
        assert len(here.processes()) == 1


@pytest.mark.parametrize("habit", ["banner", "binary", "floods"])
async def test_what_is_no_message_harms_nobody(tmp_path: Path, habit: str) -> None:
    async with pipe(tmp_path, habit) as here:
        await here.open()
        assert await add(here) == THREE
        if habit != "floods":
            assert ("violation", "", "unreadable-line") in here.reports.notes


async def test_what_floods_standard_error_is_logged_within_limits(tmp_path: Path) -> None:
    async with pipe(tmp_path, "floods") as here:
        await here.open()
        await add(here)
        assert len(here.stderr) <= 200


async def test_a_process_that_ends_during_a_call_fails_it_and_the_next_call_has_a_new_one(tmp_path: Path) -> None:
    async with pipe(tmp_path, "dies-on-call") as here:
        await here.open()
        error = (await here.ask(1, "tools/call", ADD))["error"]
        assert error["data"] == {"origin": "broker", "reason": "backend-closed"}
        assert (await here.ask(2, "tools/list"))["result"]["tools"]
        assert len(here.processes()) == 2
        assert len(here.processes("tools/call")) == 1  # it is never run again


async def test_a_process_that_closes_its_output_is_ended(tmp_path: Path) -> None:
    async with pipe(tmp_path, "closes") as here:
        assert (await here.open())["error"]["data"]["reason"] == "backend-closed"
        await here.gone(here.processes()[0])


async def test_a_command_that_does_not_exist_is_an_error_of_the_opening(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        from broker.backends.child import Command

        here.reach._command = Command((str(tmp_path / "nothing"),))
        assert (await here.open())["error"]["data"]["reason"] == "backend-not-started"


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    async with pipe(tmp_path, "silent", limits={"start_s": 0.5}) as here:
        assert (await here.open())["error"]["data"]["reason"] == "backend-timeout"


async def test_a_call_that_is_never_answered_is_given_up_and_cancelled(tmp_path: Path) -> None:
    async with pipe(tmp_path, limits={"call_head_s": 0.5}) as here:
        await here.open()
        answer = await here.ask(1, "tools/call", {"name": "slow"})
        assert answer["error"]["data"]["reason"] == "backend-timeout"
        assert await add(here, 2) == THREE
        assert here.processes("notifications/cancelled")


async def test_progress_comes_under_the_clients_own_token(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.open()
        await here.ask(1, "tools/call", {"name": "progress", "_meta": {"progressToken": "mine"}})
        told = await here.until(lambda message: message.get("method") == "notifications/progress")
        assert told["params"] == {"progressToken": "mine", "progress": 1}


STRAY = '{{"jsonrpc":"2.0","method":"notifications/{}","params":{{{}}}}}'
UNREADABLE = ("[]", "{}", "[1]", "1e999", "null", "true")


@pytest.mark.parametrize("token", UNREADABLE)
async def test_a_token_that_is_none_costs_a_session_nothing_else(tmp_path: Path, token: str) -> None:
    async with pipe(tmp_path) as here:
        await here.open()
        stray = STRAY.format("progress", f'"progress":1,"progressToken":{token}')
        answer = await here.ask(1, "tools/call", {"name": "stray", "arguments": {"line": stray}})
        assert answer["result"]["content"][0]["text"] == "stray"


@pytest.mark.parametrize("value", ["[]", "1e999", "true"])
@pytest.mark.parametrize(
    ("method", "member"),
    [
        ("progress", '"progress":1,"progressToken":{}'),
        ("cancelled", '"requestId":{}'),
        ("resources/updated", '"uri":"a","_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}'),
        ("resources/updated", '"uri":"a","_meta":{}'),
    ],
)
async def test_a_name_that_is_none_costs_stateless_requests_nothing_else(
    tmp_path: Path, method: str, member: str, value: str
) -> None:
    async with pipe(tmp_path, "modern") as here:
        stray = STRAY.format(method, member.format(value))
        answer = await here.modern(1, "tools/call", {"name": "stray", "arguments": {"line": stray}})
        assert answer["result"]["content"][0]["text"] == "stray"
        assert len(here.violations) == 1


async def test_a_batch_of_a_server_that_is_too_long_is_cut_and_reported(tmp_path: Path) -> None:
    async with pipe(tmp_path, limits={"batch": 2}) as here:
        await here.open("2025-03-26")
        notes = [STRAY.format("message", f'"level":"info","data":{number}') for number in range(3)]
        await here.ask(1, "tools/call", {"name": "stray", "arguments": {"line": f" [{','.join(notes)}]"}})
        told = [message["params"]["data"] for message in here.said if message.get("method") == "notifications/message"]
        assert told == [0, 1]
        assert ("violation", "", "batch-too-long") in here.reports.notes


async def test_a_server_asks_its_client_on_the_pipe(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.open(capabilities={"elicitation": {}})
        here.send({"id": 1, "method": "tools/call", "params": {"name": "ask"}})
        question = await here.until(lambda message: message.get("method") == "elicitation/create")
        here.send({"id": question["id"], "result": {"action": "decline"}})
        assert (await here.answer(1))["result"]["content"][0]["text"] == '{"action": "decline"}'


async def test_the_environment_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_BROKER", "s")
    monkeypatch.setenv("PATH_IS_THERE", "p")
    async with pipe(tmp_path, env={"GIVEN": "g"}) as here:
        await here.open()

        async def variable(number: int, name: str) -> str:
            answer = await here.ask(number, "tools/call", {"name": "env", "arguments": {"name": name}})
            return str(answer["result"]["content"][0]["text"])

        assert await variable(1, "GIVEN") == "g"
        assert await variable(2, "SECRET_OF_THE_BROKER") == ""
        assert await variable(3, "PATH") == os.environ["PATH"]


async def test_the_whole_environment_is_given_where_the_operator_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_BROKER", "yes")
    async with pipe(tmp_path, inherit=True) as here:
        await here.open()
        answer = await here.ask(1, "tools/call", {"name": "env", "arguments": {"name": "OF_THE_BROKER"}})
        assert answer["result"]["content"][0]["text"] == "yes"


async def test_the_end_of_the_client_ends_the_process_and_what_it_left_behind(tmp_path: Path) -> None:
    async with pipe(tmp_path, "forks") as here:
        await here.open()
        assert await add(here) == THREE
        await settled(lambda: bool(here.processes("grandchild")))
        (server,), (grandchild,) = here.processes(), here.processes("grandchild")
        assert alive(grandchild)
        here.face.close()
        await here.gone(server)
        await here.gone(grandchild)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to ignore")
async def test_a_process_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from broker.backends import child

    monkeypatch.setattr(child, "CLOSE_S", 0.05)
    monkeypatch.setattr(child, "TERMINATE_S", 0.05)
    async with pipe(tmp_path, "stays") as here:
        await here.open()
        here.face.close()
        await here.gone(here.processes()[0])


async def test_a_process_that_ends_soon_is_started_again_ever_more_slowly(tmp_path: Path) -> None:
    async with pipe(tmp_path, "dies-on-call") as here:
        await here.open()
        for number in range(1, 4):
            assert "error" in await here.ask(2 * number, "tools/call", ADD)
            assert "result" in await here.ask(2 * number + 1, "tools/list")
        assert len(here.processes()) == 4
        assert here.reach._early >= 3


async def test_nothing_is_started_once_the_way_to_a_server_is_closed(tmp_path: Path) -> None:
    class Owner:
        told: tuple[object, ...] = ()

        def backend_failed(self, *said: object) -> None:
            self.told = said

    async with pipe(tmp_path) as here:
        await here.reach.close()
        owner = Owner()
        session = here.reach.session(cast("Any", owner))
        session.request(1, b"{}", initialize=True)
        await settled(lambda: bool(owner.told))
        assert owner.told == (1, "backend-closed", "no")
        assert here.processes() == []


async def test_a_process_that_is_asked_for_its_era_ends_with_the_question(tmp_path: Path) -> None:
    async with pipe(tmp_path, "silent") as here:
        asking = asyncio.ensure_future(here.reach.verdict())
        await settled(lambda: bool(here.processes()))
        asking.cancel()
        await here.gone(here.processes()[0])
