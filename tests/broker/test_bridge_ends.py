"""How suspended calls and open requests of stateless clients end: time, disconnects, dead servers, lost sessions."""

from __future__ import annotations

import asyncio

import pytest

from tests.broker.bridge_world import (
    ADA,
    FORM,
    INPUTS,
    Server,
    again,
    answers_to,
    begin,
    bridging,
    final,
    said,
    serving,
)
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope, refused
from tests.broker.scripted_backend import DONE, Asked, Json, Reply
from translators.stateless_client import resuming

BAD = (400, -32602, 1, "invalid_request_state")
UNKNOWN = "The connection to the server was lost while the call was in progress; it may have taken effect."
CHANGED: Json = {"tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True}}


def failed_text(reply: Reply) -> str:
    result = reply.json["result"]
    assert result["isError"] is True
    found: str = result["content"][0]["text"]
    return found


async def test_a_client_that_never_returns_is_answered_for_and_the_call_goes_on() -> None:
    async with bridging(limits={"park_s": 0.05}) as here:
        server, told = Server(here), []

        async def tool(asked: Asked) -> None:
            await asked.stream()
            told.append(await server.ask(asked, FORM))
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()
            asked.writer.close()

        here.backend.on("tools/call", tool)
        first = await begin(here)
        call = await here.backend.next("tools/call")
        await call.gone()
        assert told[0]["result"] == {"action": "cancel"}
        assert refused(await again(here, first, answers_to(first))) == BAD
        assert not here.pool._everybody.parked
        session = next(iter(here.pool.rooms.sessions.values()))
        assert session.talk.idle
        assert here.backend.count("notifications/cancelled") == 0  # it ended by itself


async def test_a_call_that_does_not_end_then_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "GRACE_S", 0.05)
    async with bridging(limits={"park_s": 0.05}) as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await server.ask(asked, FORM)

        here.backend.on("tools/call", tool)
        first = await begin(here)
        call = await here.backend.next("tools/call")
        cancelled = await here.backend.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == call.id
        assert cancelled.headers["mcp-session-id"] == "backend-1"
        assert refused(await again(here, first, answers_to(first))) == BAD


async def test_a_client_that_goes_while_its_call_runs_cancels_it_under_the_brokers_id() -> None:
    async with bridging() as here:
        Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 1}})

        here.backend.on("tools/call", tool)
        meta = envelope(INPUTS, **{"io.modelcontextprotocol/logLevel": "debug"})
        reply = await begin(here, id=4711, meta=meta)
        assert (await reply.message())["method"] == "notifications/message"
        reply.cut()
        call = await here.backend.next("tools/call")
        cancelled = await here.backend.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == call.id
        assert not here.pool.legs


async def test_a_client_that_goes_after_its_questions_cancels_nothing() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        first.cut()
        second = await again(here, first, answers_to(first))
        assert said(second) == [ADA]
        assert here.backend.count("notifications/cancelled") == 0


async def test_a_client_that_goes_during_its_retry_cancels_the_call() -> None:
    async with bridging() as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await server.ask(asked, FORM)
            await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 1}})

        here.backend.on("tools/call", tool)
        first = await begin(here)
        meta = envelope(INPUTS, **{"io.modelcontextprotocol/logLevel": "debug"})
        reply = await again(here, first, answers_to(first), meta=meta)
        assert (await reply.message())["method"] == "notifications/message"
        reply.cut()
        cancelled = await here.backend.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == (await here.backend.next("tools/call")).id
        assert refused(await again(here, first, answers_to(first))) == BAD


async def test_one_of_two_clients_that_wait_for_the_same_call_may_go() -> None:
    async with bridging() as here:
        server, release = Server(here), asyncio.Event()

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await server.ask(asked, FORM)
            await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 1}})
            await within(release.wait())
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        first = await begin(here)
        meta = envelope(INPUTS, **{"io.modelcontextprotocol/logLevel": "debug"})
        gone = await again(here, first, answers_to(first), meta=meta)
        await gone.message()
        stays = asyncio.ensure_future(again(here, first, answers_to(first), id=3, client=here.another()))
        await begin(here, method="tools/list", params={})  # after the other retry, on a connection of its own
        aborted, abort = asyncio.Event(), here.pool.abort

        def left(leg: int) -> None:
            abort(leg)
            aborted.set()

        here.pool.abort = left  # type: ignore[method-assign]
        gone.cut()
        await within(aborted.wait())
        assert len(here.pool.legs) == 1
        release.set()
        reply = await stays
        answer = await final(reply)
        assert answer["id"] == 3
        assert answer["result"]["content"] == DONE["content"]
        assert here.backend.count("notifications/cancelled") == 0


async def test_a_server_that_dies_while_a_call_is_suspended_leaves_the_outcome_unknown() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        here.backend.abort()
        here.backend.forget_sessions()
        lost = await again(here, first, answers_to(first))
        assert failed_text(lost) == UNKNOWN
        assert here.backend.count("tools/call") == 1
        assert refused(await again(here, first, {"other": ADA})) == BAD


@pytest.mark.parametrize("method", ["prompts/get", "resources/read"])
async def test_what_is_no_tool_says_so_in_an_error(method: str) -> None:
    async with bridging() as here:
        server = Server(here)

        async def answer(asked: Asked) -> None:
            await asked.stream()
            await server.ask(asked, FORM)

        here.backend.on(method, answer)
        params: Json = {"uri": "file:///a"} if method == "resources/read" else {"name": "x"}
        first = await ask(here.client, method, params, meta=envelope(INPUTS))
        here.backend.abort()
        held = {"inputResponses": answers_to(first), "requestState": first.json["result"]["requestState"]}
        lost = await ask(here.client, method, {**params, **held}, meta=envelope(INPUTS))
        assert refused(lost) == (200, -32603, 1, "backend-closed")
        assert lost.json["error"]["message"] == UNKNOWN


async def test_a_stream_that_breaks_ends_with_a_response() -> None:
    async with bridging() as here:
        Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 1}})
            asked.hang_up()

        here.backend.on("tools/call", tool)
        meta = envelope(INPUTS, **{"io.modelcontextprotocol/logLevel": "debug"})
        reply = await begin(here, id="s", meta=meta)
        assert (await reply.message())["method"] == "notifications/message"
        last = await reply.message()
        assert last["id"] == "s"
        assert last["result"]["isError"] is True
        assert await reply.event() is None


async def lose(asked: Asked, how: str) -> None:
    """The ways servers say that they do not know a session."""
    if how == "404":
        await asked.reply(404)
    elif how == "404 with an error":
        await asked.json({"id": None, "error": {"code": -32001, "message": "Session not found"}}, 404)
    elif how == "400 with an error":
        message = "Bad Request: No valid session ID provided"
        await asked.json({"id": None, "error": {"code": -32000, "message": message}}, 400)
    else:
        await asked.reply(400, b"Bad Request: No valid session ID provided", "text/plain")


@pytest.mark.parametrize("how", ["404", "404 with an error", "400 with an error", "400 in words"])
async def test_a_lost_session_is_opened_again_and_the_call_sent_once_more(how: str) -> None:
    async with bridging() as here:
        server = serving(here)
        first = await begin(here)
        assert said(await again(here, first, answers_to(first))) == [ADA]
        usual = here.backend._answer

        async def answer(asked: Asked) -> None:
            if asked.headers.get("mcp-session-id") == "backend-1":
                await lose(asked, how)
            else:
                await usual(asked)

        here.backend._answer = answer  # type: ignore[method-assign]
        second = await begin(here)
        assert said(await again(here, second, answers_to(second))) == [ADA]
        sessions = [asked.headers["mcp-session-id"] for asked in here.backend.asked if asked.key == "tools/call"]
        assert sessions == ["backend-1", "backend-1", "backend-2"]
        assert here.backend.count("initialize") == 2
        assert "backend-2" in server.streams


async def test_who_listens_is_told_that_everything_may_have_changed_when_a_session_was_lost() -> None:
    async with bridging() as here:
        server = Server(here)
        here.backend.capabilities = CHANGED
        wanted: Json = {"toolsListChanged": True, "promptsListChanged": True, "resourceSubscriptions": ["file:///a"]}
        stream = await ask(here.client, "subscriptions/listen", {"notifications": wanted}, id="L")
        acknowledged = await stream.message()
        honoured = {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
        assert acknowledged["params"]["notifications"] == honoured
        await server.standing()
        here.backend.abort()
        here.backend.forget_sessions()
        told = [await stream.message() for _ in range(2)]
        assert [message["method"] for message in told] == [
            "notifications/tools/list_changed",
            "notifications/resources/updated",
        ]
        assert all(message["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "L"} for message in told)
        followed = [asked for asked in here.backend.asked if asked.key == "resources/subscribe"]
        assert [asked.headers["mcp-session-id"] for asked in followed] == ["backend-1", "backend-2"]
        await (await server.standing("backend-2")).event({"method": "notifications/tools/list_changed"})
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_a_session_that_cannot_be_opened_again_is_given_up_and_the_next_request_has_a_new_one() -> None:
    async with bridging(backend={"revision": "2025-11-25"}) as here:
        Server(here)
        await begin(here)
        here.backend.forget_sessions()

        async def away(asked: Asked) -> None:
            await asked.reply(503)

        here.backend.on("initialize", away)
        lost = await begin(here)
        assert refused(lost) == (200, -32603, 1, "backend-session-lost")  # and it did not run
        assert not here.pool.rooms.sessions
        del here.backend._on["initialize"]
        assert (await begin(here)).json["result"]["content"] == DONE["content"]
        assert here.backend.count("initialize") == 3


async def test_a_broker_that_stops_answers_what_is_open_and_ends_its_sessions() -> None:
    async with bridging(limits={"commit_to_sse_s": 0}) as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            if asked.message["params"]["arguments"]:
                await server.ask(asked, FORM)

        here.backend.on("tools/call", tool)
        here.backend.capabilities = CHANGED
        running = await begin(here)
        parked = await begin(here, params={"name": "x", "arguments": {"ask": True}}, client=here.another())
        stream = await ask(here.client, "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="L")
        await stream.message()
        answer = await final(parked)
        assert answer["result"]["resultType"] == "input_required"
        closing = asyncio.ensure_future(here.broker.close())
        ended = await stream.message()
        assert ended["id"] == "L"
        assert ended["result"]["resultType"] == "complete"
        assert await stream.event() is None
        last = await running.message()
        assert last["error"]["data"]["reason"] == "shutdown"
        assert await running.event() is None
        await within(closing)
        assert not here.pool.rooms.sessions
        deleted = {(await here.backend.next("DELETE")).headers["mcp-session-id"] for _ in range(2)}
        assert {"backend-1", "backend-2"} >= deleted


async def test_while_the_broker_winds_down_calls_may_end_and_what_is_suspended_holds_it_up_no_longer() -> None:
    async with bridging() as here:
        server, release = Server(here), asyncio.Event()

        async def tool(asked: Asked) -> None:
            await asked.stream()
            if asked.message["params"]["arguments"]:
                await server.ask(asked, FORM)
            await within(release.wait())
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        running = asyncio.ensure_future(begin(here))
        await here.backend.next("tools/call")
        parked = await begin(here, params={"name": "x", "arguments": {"ask": True}}, client=here.another())
        assert parked.json["result"]["resultType"] == "input_required"
        closing = asyncio.ensure_future(here.broker.close(grace_s=4))
        release.set()
        assert (await running).json["result"]["content"] == DONE["content"]
        assert await within(closing) is True
        assert here.backend.count("DELETE") == 2


@pytest.mark.parametrize("kind", ["json", "stream"])
async def test_every_request_is_answered_whatever_the_server_does(kind: str) -> None:
    async with bridging() as here:
        Server(here)

        async def garbage(asked: Asked) -> None:
            if kind == "json":
                await asked.reply(200, b"<html>")
            else:
                await asked.stream()
                await asked.chunk(b"data: {\n\n")
                await asked.end()

        for method in ("tools/call", "tools/list", "prompts/list", "completion/complete"):
            here.backend.on(method, garbage)
        for method in ("tools/call", "tools/list", "prompts/list"):
            reply = await begin(here, method=method, params={"name": "x"} if method == "tools/call" else {})
            answer = await final(reply)
            assert answer["id"] == 1
            assert "error" in answer or answer["result"]["isError"]
