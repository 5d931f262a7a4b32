"""One pipe, either era: which one a client is of, which one a server is of, and how they meet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from broker.hooks.filter_names import FilterNames, Rule
from protocol_versions.jsonrpc import Frame
from tests.broker.http1_world import within
from tests.broker.pipe_world import PREFIX, pipe, settled

ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}


class Heard:
    """What the owner of stateless requests was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def leg_message(self, leg: int, frame: Frame) -> None:
        self.told.append((leg, frame))

    def leg_failed(self, leg: int, reason: str, executed: str) -> None:
        self.told.append((leg, reason, executed))

    def leg_violation(self, leg: int, reason: str) -> None: ...


def text(answer: dict[str, Any]) -> str:
    return str(answer["result"]["content"][0]["text"])


@pytest.mark.parametrize(
    "habits", [(), ("dies-on-probe",), ("modern",)], ids=["sessions", "dies on a probe", "stateless"]
)
async def test_a_stateless_client_is_served_by_servers_of_both_eras(tmp_path: Path, habits: tuple[str, ...]) -> None:
    async with pipe(tmp_path, *habits) as here:
        found = (await here.modern(1, "server/discover"))["result"]
        assert found["resultType"] == "complete"
        assert "2026-07-28" in found["supportedVersions"]
        assert (await here.modern(2, "tools/list"))["result"]["tools"][0]["name"] == "add"
        assert text(await here.modern(3, "tools/call", ADD)) == "3"


async def test_a_session_client_is_served_by_a_stateless_server(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern") as here:
        opened = await here.open("2025-06-18")
        assert opened["result"]["protocolVersion"] == "2025-06-18"
        assert text(await here.ask(1, "tools/call", ADD)) == "3"
        assert [message["id"] for message in here.said if "id" in message] == [0, 1]  # the refusal was not shown


async def test_a_probe_decides_nothing(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        assert "result" in await here.modern(1, "server/discover")
        assert (await here.open())["result"]["protocolVersion"] == "2025-11-25"
        assert text(await here.ask(2, "tools/call", ADD)) == "3"


async def test_after_a_request_that_stands_alone_no_session_is_opened(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.modern(1, "tools/list")
        error = (await here.open())["error"]
        assert error["code"] == -32022
        assert error["data"]["supported"] == ["2026-07-28"]


async def test_in_a_session_a_request_that_stands_alone_is_refused(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.open()
        assert (await here.modern(1, "tools/list"))["error"]["code"] == -32600


async def test_a_process_that_was_asked_for_its_era_and_serves_on_has_its_errors_logged(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern", "complains") as here:
        await here.modern(1, "tools/list")
        await settled(lambda: bool(here.stderr))
        assert here.stderr == ["I was asked tools/list"]
        assert len(here.processes()) == 1


async def test_a_process_that_ended_once_it_had_told_its_era_is_not_asked_again(tmp_path: Path) -> None:
    async with pipe(tmp_path, "modern", "dies-after-probe") as here:

        async def late(asking: Any) -> Any:
            """Comes round to the answer only when the process that gave it has ended."""
            await asyncio.wait([asking.send(None)])
            await asyncio.wait([child.ended for child in here.reach._children])
            try:
                asking.send(None)
            except StopIteration as done:
                return done.value

        assert (await within(late(here.reach.verdict()))).kind == "modern"
        owner = Heard()
        legs = here.reach.legs(owner)
        legs.post(1, Frame(id=1, method="tools/list"), ())
        await settled(lambda: bool(owner.told))
        assert owner.told[0][1].id == 1
        assert len(here.processes()) == 2


async def test_a_question_of_a_session_server_is_a_round_on_the_pipe(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        able: dict[str, Any] = {f"{PREFIX}clientCapabilities": {"elicitation": {"form": {}}}}
        interim = (await here.modern(1, "tools/call", {"name": "ask"}, **able))["result"]
        assert interim["resultType"] == "input_required"
        ((key, question),) = interim["inputRequests"].items()
        assert question["params"]["message"] == "who?"
        answers = {key: {"action": "accept", "content": {}}}
        retry = {"name": "ask", "requestState": interim["requestState"], "inputResponses": answers}
        assert text(await here.modern(2, "tools/call", retry, **able)) == '{"action": "accept", "content": {}}'


async def test_a_cancelled_request_is_answered_no_more(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.modern(1, "tools/list")
        envelope = {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": {}}
        here.send({"id": 2, "method": "tools/call", "params": {"name": "slow", "_meta": envelope}})
        await settled(lambda: bool(here.processes("tools/call")))
        here.send({"method": "notifications/cancelled", "params": {"requestId": 2, "_meta": envelope}})
        assert text(await here.modern(3, "tools/call", ADD)) == "3"
        assert here.processes("notifications/cancelled")
        assert not [message for message in here.said if message.get("id") == 2]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/list"}', -32600),
        (b'{"jsonrpc":"2.0","id":7,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":7,"method":"x","params":{"_meta":{"%bprotocolVersion":1}}}' % PREFIX.encode(), -32602),
    ],
)
async def test_bad_lines_are_refused_under_their_id(tmp_path: Path, line: bytes, code: int) -> None:
    async with pipe(tmp_path) as here:
        here.send(line)
        assert (await here.answer(7))["error"]["code"] == code
        assert (await here.open())["result"]


@pytest.mark.parametrize("line", [b"hello", b"\xff\xfe", b"[]", b"{", b'{"jsonrpc":"2.0"}', b"null"])
async def test_lines_that_name_no_request_are_written_down_and_passed_over(tmp_path: Path, line: bytes) -> None:
    async with pipe(tmp_path) as here:
        here.send(line)
        assert (await here.open())["result"]
        assert [message.get("id") for message in here.said] == [0]


async def test_a_batch_is_answered_as_one_where_the_session_knows_batches(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.open("2025-03-26")
        here.face.line(
            b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/list"},'
            b'{"jsonrpc":"2.0","method":"notifications/initialized"}]'
        )
        batch: Any = await here.until(lambda message: isinstance(message, list))
        assert sorted(answer["id"] for answer in batch) == [1, 2]


async def test_a_batch_is_refused_in_any_other_session(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        await here.open("2025-06-18")
        here.face.line(b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]')
        assert "result" in await here.ask(2, "ping")
        assert not [message for message in here.said if message.get("id") == 1]


async def test_lines_that_come_while_the_session_is_opened_keep_their_order(tmp_path: Path) -> None:
    async with pipe(tmp_path) as here:
        info = {"name": "client", "version": "1"}
        opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        here.send({"id": 0, "method": "initialize", "params": opening})
        here.send({"method": "notifications/initialized"})
        here.send({"id": 1, "method": "tools/call", "params": ADD})
        assert text(await here.answer(1)) == "3"
        assert here.said[0]["id"] == 0


@pytest.mark.parametrize("era", ["session", "stateless"])
@pytest.mark.parametrize("habits", [(), ("modern",)], ids=["before sessions", "before stateless"])
async def test_what_is_filtered_is_filtered_on_every_pipe(tmp_path: Path, habits: tuple[str, ...], era: str) -> None:
    hidden = FilterNames({"tools": Rule(deny=("add",))})
    async with pipe(tmp_path, *habits, hooks=(hidden,)) as here:
        if era == "session":
            await here.open()
            listed = await here.ask(1, "tools/list")
            called = await here.ask(2, "tools/call", ADD)
        else:
            listed = await here.modern(1, "tools/list")
            called = await here.modern(2, "tools/call", ADD)
        assert listed["result"]["tools"] == []
        assert called["error"]["message"] == "Unknown tool"
        assert not here.processes("tools/call")
