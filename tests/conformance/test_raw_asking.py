"""The scripted session backend asks as it is told, and the raw stateless client shows what came and repairs nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from conformance.launch import Children, LaunchError
from conformance.raw import (
    asking,
    envelopes,
    listened,
    modern_faults,
    pushed,
    pushed_ends,
    pushed_states,
    run,
    together,
)
from conformance.raw.bench import Bench, backend_command, text_of
from conformance.raw.stateless_wire import ALL, Interim, Stateless, encoded, error_of, interim_of, result_of
from conformance.raw.wire import Answer, Message, Session, read_events
from conformance.revisions import REVISIONS, STATELESS

NEWEST = REVISIONS[-1]
ROOTS: Message = {"roots": []}


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench without a broker: the scripted session backend stands where the broker would, which it is not."""
    with Children(tmp_path) as children:
        child, url = await asyncio.to_thread(children.server, "backend", backend_command(NEWEST))
        async with aiohttp.ClientSession() as http:
            yield Bench(children, http, STATELESS, NEWEST, child, url, child, url)


async def _session(bench: Bench) -> Session:
    bench.client = NEWEST
    return await bench.open(ALL)


def _answering(session: Session, asked: list[Message], result: Message) -> Any:
    async def answer(message: Message) -> None:
        if "method" in message and "id" in message:
            asked.append(message)
            await session.post({"jsonrpc": "2.0", "id": message["id"], "result": result})

    return answer


async def test_questions_come_under_the_ids_that_were_asked_for(bench: Bench) -> None:
    session = await _session(bench)
    asked: list[Message] = []
    questions = [{"method": "roots/list", "id": number} for number in (0, "x", asking.SAME_AS_CALL)]
    arguments = {"questions": questions}
    result = await session.call("questions", arguments, request_id="call", on_message=_answering(session, asked, ROOTS))
    assert [each["id"] for each in asked] == [0, "x", "call"]
    assert json.loads(text_of(result)) == [{"result": ROOTS}] * 3


async def test_questions_in_turn_wait_for_one_another(bench: Bench) -> None:
    session = await _session(bench)
    asked: list[Message] = []
    arguments = {"questions": [{"method": "roots/list", "id": 7}] * 2, "in_turn": True}
    result = await session.call("questions", arguments, on_message=_answering(session, asked, ROOTS))
    assert [each["id"] for each in asked] == [7, 7]
    assert len(json.loads(text_of(result))) == 2


async def test_questions_on_get_come_there_and_to_their_own_session(bench: Bench) -> None:
    session, other = await _session(bench), await _session(bench)
    async with session.get() as stream, other.get():
        arguments = {"questions": [{"method": "roots/list"}], "on": "GET"}
        call = asyncio.create_task(session.call("questions", arguments))
        event = await asyncio.wait_for(anext(read_events(stream.content)), 5)
        assert event.message is not None
        await session.post({"jsonrpc": "2.0", "id": event.message["id"], "result": ROOTS})
        assert json.loads(text_of(await asyncio.wait_for(call, 5))) == [{"result": ROOTS}]


async def test_a_call_that_gives_up_takes_its_question_back_when_it_is_released(bench: Bench) -> None:
    session = await _session(bench)
    heard: list[Message] = []

    async def hear(message: Message) -> None:
        heard.append(message)
        if message.get("method") == "roots/list":
            await bench.release()

    result = await session.call("gives_up", {"questions": [{"method": "roots/list"}]}, on_message=hear)
    assert [each.get("method") for each in heard] == ["roots/list", "notifications/cancelled", None]
    assert heard[1]["params"]["requestId"] == heard[0]["id"] == 0
    assert (text_of(result), result["isError"]) == (asking.GIVEN_UP, True)


async def test_a_greeting_is_said_to_every_session_until_it_is_taken_back(bench: Bench) -> None:
    await bench.greet({"jsonrpc": "2.0", "id": "early", "method": "roots/list"})
    session = await _session(bench)
    async with session.get() as stream:
        event = await asyncio.wait_for(anext(read_events(stream.content)), 5)
        assert event.message == {"jsonrpc": "2.0", "id": "early", "method": "roots/list"}
    await bench.greet(None)
    async with session.get() as stream:
        await bench.pushed({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}, session.id)
        event = await asyncio.wait_for(anext(read_events(stream.content)), 5)
        assert (event.message or {})["method"] == "notifications/tools/list_changed"


@pytest.mark.parametrize(
    "check",
    [
        envelopes.envelopes_are_demanded,
        envelopes.headers_repeat_the_body,
        envelopes.get_and_delete_are_405,
        envelopes.results_carry_what_the_revision_demands,
        together.clients_of_every_revision_share_a_url,
        pushed.a_question_is_asked_and_its_answer_carried,
        pushed.capabilities_are_each_requests_own,
        pushed_states.wrong_states_are_refused_alike,
        pushed_ends.a_question_that_was_taken_back_is_over,
        listened.a_stream_is_acknowledged_first,
        modern_faults.failing_calls_end_their_streams,
    ],
)
async def test_a_server_that_knows_no_stateless_client_fails_its_checks(bench: Bench, check: object) -> None:
    (known,) = [each for each in run.STATELESS_CHECKS if each.run is check]
    with pytest.raises(AssertionError):
        await known.run(bench)


@pytest_asyncio.fixture
async def stateless(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench whose broker is the scripted backend of the client's own revision."""
    with Children(tmp_path) as children:
        child, url = await asyncio.to_thread(children.server, "backend", backend_command(STATELESS))
        async with aiohttp.ClientSession() as http:
            yield Bench(children, http, STATELESS, STATELESS, child, url, child, url)


@pytest.mark.parametrize(
    ("check", "kept"),
    [
        (envelopes.discovery_shows_the_server, True),
        (envelopes.ids_are_the_clients_own, True),
        (envelopes.results_carry_what_the_revision_demands, True),
        (envelopes.get_and_delete_are_405, True),
        (modern_faults.a_hanging_call_holds_up_nobody, True),
        (envelopes.sessions_and_resumption_are_not_known, False),
        (modern_faults.failing_calls_end_their_streams, False),
        (modern_faults.foreign_answers_reach_nobody, False),
        (together.the_envelope_decides_about_the_era, False),
    ],
)
async def test_a_server_of_the_revision_keeps_and_breaks_what_it_is_known_for(
    stateless: Bench, check: object, kept: bool
) -> None:
    (known,) = [each for each in run.STATELESS_CHECKS if each.run is check]
    if kept:
        await known.run(stateless)
    else:
        with pytest.raises(AssertionError):
            await known.run(stateless)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("echo", "echo"),
        ("café", "=?base64?Y2Fmw6k=?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
        ("", ""),
    ],
)
def test_a_name_is_written_as_a_header_can_hold_it(name: str, header: str) -> None:
    assert encoded(name) == header


async def test_a_request_is_written_as_told_and_not_repaired() -> None:
    async with aiohttp.ClientSession() as http:
        client = Stateless(http, "http://127.0.0.1:1/mcp", {"Authorization": "Bearer x"})
        good = client.request("resources/read", {"uri": "test://ü"}, capabilities={})
        assert good["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {}
        headers = client.headers(good)
        assert headers["Mcp-Name"] == "=?base64?dGVzdDovL8O8?="
        assert headers["Authorization"] == "Bearer x"
        bare = client.request("tools/list", meta={"io.modelcontextprotocol/protocolVersion": None})
        assert "io.modelcontextprotocol/protocolVersion" not in bare["params"]["_meta"]
        assert set(client.headers([good])) == {"Authorization", "MCP-Protocol-Version"}


def _answer(message: Message) -> Answer:
    return Answer(200, {}, [message])


def test_an_interim_result_is_one_that_asks() -> None:
    asked = {"a": {"method": "roots/list"}}
    good = {"resultType": "input_required", "inputRequests": asked, "requestState": "s"}
    interim = interim_of("tools/call", {}, good, {})
    assert (interim.methods, interim.state, set(interim.answers())) == (["roots/list"], "s", {"a"})
    bad: list[Message] = [
        {**good, "resultType": "complete"},
        {**good, "inputRequests": {}},
        {**good, "inputRequests": None},
        {**good, "requestState": 7},
    ]
    for each in bad:
        with pytest.raises(AssertionError):
            interim_of("tools/call", {}, each, {})
    with pytest.raises(KeyError):
        _ = Interim("tools/call", {}, {"inputRequests": asked}, {}).state


def test_an_answer_to_another_id_is_no_answer() -> None:
    result, error = {"jsonrpc": "2.0", "id": "r", "result": {}}, {"jsonrpc": "2.0", "id": "r", "error": {"code": 1}}
    assert result_of(_answer(result)) == {}
    assert error_of(_answer(error)) == {"code": 1}
    for reader, message in ((result_of, error), (error_of, result)):
        with pytest.raises(AssertionError):
            reader(_answer(message))
        with pytest.raises(AssertionError):
            reader(_answer({**message, "id": 7}))


def test_a_configuration_that_is_refused_starts_nothing(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(LaunchError, match="broker"):
        children.configured({"servers": {}})
