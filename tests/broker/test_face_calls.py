"""Calls through the whole broker: one backend request each, and a backend that fails costs that call alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.broker.http1_world import within
from tests.broker.scripted_backend import DONE, Asked, Handler, World, world

Json = dict[str, Any]


async def test_a_call_is_one_request_and_connections_are_kept() -> None:
    async with world() as here:
        await here.client.open()
        before = here.backend.connections
        for number in range(1, 6):
            assert (await here.client.call(number)).json == {"jsonrpc": "2.0", "id": number, "result": DONE}
        assert here.backend.count("tools/call") == 5
        assert here.backend.connections <= before + 1
        ids = [asked.id for asked in here.backend.asked if asked.key == "tools/call"]
        assert ids == [2, 3, 4, 5, 6]


async def test_an_answer_in_a_stream_of_one_event_becomes_plain_json() -> None:
    async def streamed(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": asked.id, "result": DONE}, "backend-event\t1")
        await asked.end()

    async with world() as here:
        await here.client.open()
        here.backend.on("tools/call", streamed)
        reply = await here.client.call("x")
        assert (reply.headers["content-type"].split(";")[0], reply.json["id"]) == ("application/json", "x")


async def raw_200(asked: Asked, body: bytes, kind: str = "application/json") -> None:
    await asked.reply(200, body, kind)


async def hang_up(asked: Asked) -> None:
    asked.hang_up()


async def half_a_stream(asked: Asked) -> None:
    await asked.stream()
    await asked.chunk(b": nothing\n\n")
    await asked.end()


async def cut_stream(asked: Asked) -> None:
    await asked.stream()
    await asked.chunk(b"data: {")
    asked.hang_up()


async def no_http(asked: Asked) -> None:
    await asked.raw(b"\x15\x03\x01\x00\x02\x02\x28 this is not HTTP\r\n\r\n")


async def wrong_event(asked: Asked) -> None:
    await asked.stream()
    await asked.chunk(b"data: garbage\n\n")
    await asked.event({"id": asked.id + 1, "result": {}})
    await asked.event({"id": str(asked.id), "result": {}})
    await asked.end()


def answering(body: bytes, status: int = 200, kind: str = "application/json") -> Handler:
    def handler(asked: Asked) -> Awaitable[None]:
        return asked.reply(status, body.replace(b"ID", str(asked.id).encode()), kind)

    return handler


FAILURES: list[tuple[str, Handler, str]] = [
    ("html", answering(b"<html>secret</html>", kind="text/html"), "backend-garbage"),
    ("html 500", answering(b"<html>secret</html>", 500, "text/html"), "backend-status"),
    ("503", answering(b"", 503), "backend-status"),
    ("401", answering(b"", 401), "backend-unauthorized"),
    ("202", answering(b"", 202), "backend-garbage"),
    ("empty", answering(b""), "backend-garbage"),
    ("truncated", answering(b'{"jsonrpc":"2.0","id":ID,"result":{"a":'), "backend-garbage"),
    ("no object", answering(b"[]"), "backend-garbage"),
    ("wrong id", answering(b'{"jsonrpc":"2.0","id":99,"result":{}}'), "backend-garbage"),
    ("text id", answering(b'{"jsonrpc":"2.0","id":"ID","result":{}}'), "backend-garbage"),
    ("bad error", answering(b'{"jsonrpc":"2.0","id":ID,"error":{"code":"x"}}'), "backend-garbage"),
    ("a request", answering(b'{"jsonrpc":"2.0","id":ID,"method":"ping"}'), "backend-garbage"),
    ("hang up", hang_up, "backend-closed"),
    ("no http", no_http, "backend-garbage"),
    ("stream without answer", half_a_stream, "backend-closed"),
    ("cut stream", cut_stream, "backend-closed"),
    ("wrong events", wrong_event, "backend-closed"),
]


@pytest.mark.parametrize(("handler", "why"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES])
async def test_a_backend_that_breaks_an_answer_loses_that_call_only(handler: Handler, why: str) -> None:
    async with world() as here:
        await here.client.open()
        here.backend.on("tools/call", handler)
        reply = await here.client.call("broken")
        assert (reply.status, reply.json["id"]) == (200, "broken")
        error = reply.json["error"]
        assert (error["code"], error["data"]) == (-32603, {"origin": "broker", "reason": why})
        assert b"secret" not in reply.body
        assert here.backend.count("tools/call") == 1
        assert (await here.client.call("next", "tools/list")).json["result"] == DONE
        assert here.backend.sessions == 1


async def test_a_backend_that_does_not_answer_in_time_loses_that_call_only() -> None:
    async def silent(asked: Asked) -> None:
        await asked.gone()

    async with world(limits={"call_head_s": 0.05}) as here:
        await here.client.open()
        here.backend.on("tools/call", silent)
        reply = await here.client.call()
        assert reply.json["error"]["data"]["reason"] == "backend-timeout"
        assert (await here.client.call(2, "ping")).json["result"] == {}


async def test_a_backend_that_hangs_up_at_initialize_is_an_error_to_the_client() -> None:
    async with world() as here:
        here.backend.on("initialize", hang_up)
        reply = await here.client.post({"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}})
        assert (reply.status, reply.json["error"]["data"]["reason"]) == (200, "backend-closed")


async def test_errors_the_backend_sends_with_a_bad_status_reach_the_client_in_http_200() -> None:
    async with world() as here:
        await here.client.open()
        error = {"code": -32602, "message": "Unknown tool: x", "data": {"tool": "x"}}
        here.backend.on("tools/call", lambda asked: asked.json({"id": asked.id, "error": error}, 400))
        reply = await here.client.call()
        assert (reply.status, reply.json["error"]) == (200, error)


async def test_a_message_of_the_backend_before_the_answer_makes_the_answer_a_stream() -> None:
    async def logging(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/message", "params": {"level": "info", "data": "hi"}})
        token = asked.message["params"]["_meta"]["progressToken"]
        params = {"progressToken": token, "progress": 1}
        await asked.event({"method": "notifications/progress", "params": params})
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with world() as here:
        await here.client.open("2025-06-18")
        here.backend.on("tools/call", logging)
        reply = await here.client.call(1, _meta={"progressToken": "mine"})
        assert reply.streams
        assert (reply.headers["x-accel-buffering"], reply.headers["cache-control"]) == ("no", "no-cache, no-transform")
        assert (await reply.message())["params"] == {"level": "info", "data": "hi"}
        assert (await reply.message())["params"] == {"progressToken": "mine", "progress": 1}
        assert await reply.message() == {"jsonrpc": "2.0", "id": 1, "result": DONE}
        assert await reply.event() is None


async def test_a_stream_that_breaks_off_is_polled_for_its_answer() -> None:
    async def primed(asked: Asked) -> None:
        await asked.stream()
        await asked.chunk(b"id: e1\nretry: 10\ndata: \n\n")
        await asked.end()

    async with world() as here:
        here.backend.capabilities = {}  # no standing stream: the only GET is the poll
        await here.client.open()

        async def resumed(asked: Asked) -> None:
            await asked.stream()
            call = next(other for other in here.backend.asked if other.key == "tools/call")
            await asked.event({"id": call.id, "result": DONE}, "e2")
            await asked.end()

        here.backend.on("tools/call", primed)
        here.backend.on("GET", resumed)
        reply = await here.client.call(5)
        assert reply.json == {"jsonrpc": "2.0", "id": 5, "result": DONE}
        got = await here.backend.next("GET")
        assert got.headers["last-event-id"] == "e1"
        assert here.backend.count("tools/call") == 1


async def test_a_stream_whose_rest_is_gone_fails_its_call_which_is_not_sent_again() -> None:
    async def primed(asked: Asked) -> None:
        await asked.stream()
        await asked.chunk(b"id: e1\nretry: 10\ndata: \n\n")
        await asked.end()

    async with world() as here:
        here.backend.capabilities = {}
        await here.client.open()
        here.backend.on("tools/call", primed)
        here.backend.on("GET", lambda asked: asked.reply(404))
        reply = await here.client.call(5)
        assert reply.json["error"]["data"]["reason"] == "backend-closed"
        assert here.backend.count("tools/call") == 1


async def test_a_cancellation_crosses_and_the_call_ends_without_an_answer() -> None:
    async with world() as here:
        await here.client.open()
        begun, cancelled = asyncio.Event(), asyncio.Event()

        async def slow(asked: Asked) -> None:
            begun.set()
            await within(cancelled.wait())
            await asked.result()

        here.backend.on("tools/call", slow)
        calling = asyncio.ensure_future(here.client.call("c"))
        await within(begun.wait())
        sent = await here.client.post(
            {"method": "notifications/cancelled", "params": {"requestId": "c", "reason": "r"}}
        )
        assert sent.status == 202
        crossed = await here.backend.next("notifications/cancelled")
        called = await here.backend.next("tools/call")
        assert crossed.message["params"] == {"requestId": called.id, "reason": "r"}
        cancelled.set()
        assert (await within(calling)).json["result"] == DONE


async def test_a_client_that_drops_its_connection_has_cancelled_nothing() -> None:
    async with world() as here:
        await here.client.open()
        release = asyncio.Event()

        async def slow(asked: Asked) -> None:
            await within(release.wait())
            await asked.result()

        here.backend.on("tools/call", slow)
        calling = asyncio.ensure_future(here.client.call("c"))
        await here.backend.next("tools/call")
        calling.cancel()
        await asyncio.wait([calling])
        here.client.drop()
        assert (await here.client.call("c")).json["error"]["data"]["reason"] == "duplicate-id"
        assert here.backend.count("notifications/cancelled") == 0
        release.set()
        assert (await here.client.call("d", "ping")).status == 200
        assert here.backend.count("tools/call") == 1


async def test_ending_the_session_answers_open_calls_once() -> None:
    async def slow(asked: Asked) -> None:
        await asked.gone()

    async with world() as here:
        await here.client.open()
        here.backend.on("tools/call", slow)
        calling = asyncio.ensure_future(here.client.call("c"))
        await here.backend.next("tools/call")
        assert (await here.client.send("DELETE")).status == 200
        reply = await within(calling)
        assert (reply.json["id"], reply.json["error"]["data"]["reason"]) == ("c", "session-ended")


async def together(here: World, one: Callable[[int], Awaitable[Any]], count: int) -> list[Any]:
    return list(await within(asyncio.gather(*(one(number) for number in range(count)))))


async def test_clients_with_the_same_ids_get_their_own_answers() -> None:
    async with world() as here:

        async def echo(asked: Asked) -> None:
            text = asked.message["params"]["name"]
            await asked.result({"content": [{"type": "text", "text": text}]})

        here.backend.on("tools/call", echo)
        clients = [here.client, here.another(), here.another()]
        for client in clients:
            await client.open()

        async def one(number: int) -> tuple[str, str]:
            name = f"nonce-{number}"
            reply = await clients[number % 3].call(number // 3, name=name)
            return name, reply.json["result"]["content"][0]["text"]

        for sent, got in await together(here, one, 30):
            assert sent == got


async def test_an_open_id_is_refused_and_the_limit_of_open_calls_holds() -> None:
    async with world(limits={"streams_per_session": 2}) as here:
        await here.client.open()
        release = asyncio.Event()

        async def slow(asked: Asked) -> None:
            await within(release.wait())
            await asked.result()

        here.backend.on("tools/call", slow)
        calls = [asyncio.ensure_future(here.client.call(number)) for number in (1, 2)]
        await here.backend.next("tools/call")
        await here.backend.next("tools/call")
        assert (await here.client.call(1)).json["error"]["code"] == -32600
        assert (await here.client.call(3)).json["error"]["data"]["reason"] == "overloaded"
        release.set()
        assert [(await within(call)).json["id"] for call in calls] == [1, 2]
