"""One modern call: what the backend is told, what the client gets back, and who learns that it is over."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.broker.http1_world import within
from tests.broker.modern_world import COMPLETE, PREFIX, REVISION, ask, envelope, modern, refused
from tests.broker.scripted_backend import Asked, Handler, Json


def answers(result: Json) -> Handler:
    async def answer(asked: Asked) -> None:
        await asked.result(result)

    return answer


def fails(code: int, status: int = 200, data: Any = None) -> Handler:
    async def answer(asked: Asked) -> None:
        error = {"code": code, "message": "theirs", **({} if data is None else {"data": data})}
        await asked.json({"id": asked.message["id"], "error": error}, status)

    return answer


async def test_the_envelope_is_made_anew_and_what_vendors_add_is_kept() -> None:
    async with modern() as here:
        meta = envelope(
            {"elicitation": {"form": {}}, "experimental": {"x": {"y": 1}}, "extensions": {"io.example/ui": {"a": [1]}}},
            **{f"{PREFIX}logLevel": "info", "traceparent": "00-1-2-01", "com.example/vendor": {"deep": [1.0, "é"]}},
        )
        await ask(here.client, params={"name": "x", "arguments": {"a": 1.10}, "vendor": {"k": None}}, meta=meta)
        sent = (await here.backend.next("tools/call")).message["params"]
        assert sent == {"name": "x", "arguments": {"a": 1.1}, "vendor": {"k": None}, "_meta": meta}


async def test_ids_and_progress_tokens_are_the_brokers_behind_it_and_the_clients_before_it() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            token = asked.message["params"]["_meta"]["progressToken"]
            await asked.stream()
            for progress in (0, 0.5):
                params = {"progressToken": token, "progress": progress, "total": 1, "vendor": True}
                await asked.event({"method": "notifications/progress", "params": params}, event_id="theirs")
            await asked.event({"id": asked.message["id"], "result": COMPLETE})

        here.backend.on("tools/call", answer)
        for token in (0, "p"):
            reply = await ask(here.client, id="same", meta={**envelope(), "progressToken": token})
            assert reply.headers["content-type"] == "text/event-stream"
            assert reply.headers["x-accel-buffering"] == "no"
            assert "no-cache" in reply.headers["cache-control"]
            events = [await reply.event() for _ in range(4)]
            assert events[3] is None
            bodies = []
            for event in events[:3]:
                assert event is not None
                assert (event.id or None, event.retry_ms) == (None, None)
                bodies.append(json.loads(event.data))
            expected = {"progressToken": token, "total": 1, "vendor": True}
            assert [body["params"] for body in bodies[:2]] == [{**expected, "progress": at} for at in (0, 0.5)]
            assert bodies[2] == {"jsonrpc": "2.0", "id": "same", "result": COMPLETE}
        ids = [asked.message["id"] for asked in here.backend.asked]
        tokens = [asked.message["params"]["_meta"]["progressToken"] for asked in here.backend.asked]
        assert len(set(ids)) == len(set(tokens)) == 2
        assert "same" not in ids


async def test_equal_ids_of_two_clients_never_meet() -> None:
    async with modern() as here:
        other = here.another()
        here.backend.on("tools/call", hold_until_told)
        tasks = [
            asyncio.ensure_future(ask(client, params={"name": name}))
            for client, name in ((here.client, "a"), (other, "b"))
        ]
        asked = [await here.backend.next("tools/call") for _ in tasks]
        for one in reversed(asked):
            await one.result({**COMPLETE, "for": one.message["params"]["name"]})
        assert [(await within(task)).json["result"]["for"] for task in tasks] == ["a", "b"]


async def hold_until_told(asked: Asked) -> None:
    """The test answers."""


async def test_a_client_that_goes_cancels_its_call() -> None:
    async with modern() as here:
        gone = asyncio.Event()

        async def hold(asked: Asked) -> None:
            await asked.gone()
            gone.set()

        here.backend.on("tools/call", hold)
        task = asyncio.ensure_future(ask(here.client))
        await here.backend.next("tools/call")
        here.client.drop()
        await within(gone.wait())
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await within(task)
        assert here.backend.keys() == ["tools/call"]  # no notification: the end of the connection says it


async def test_a_client_that_leaves_a_stream_cancels_its_call() -> None:
    async with modern() as here:
        gone = asyncio.Event()

        async def answer(asked: Asked) -> None:
            await asked.stream()
            token = asked.message["params"]["_meta"]["progressToken"]
            await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
            await asked.gone()
            gone.set()

        here.backend.on("tools/call", answer)
        reply = await ask(here.client, meta={**envelope(), "progressToken": 1})
        await reply.message()
        reply.cut()
        await within(gone.wait())


async def test_a_silent_call_becomes_a_stream_of_comments_that_ends_with_the_answer() -> None:
    async with modern(limits={"commit_to_sse_s": 0.05, "comment_interval_s": 0.05}) as here:
        here.backend.on("tools/call", hold_until_told)
        reply = await ask(here.client)
        assert reply.streams
        comment = await within(reply._reader.readuntil(b"\n\r\n"))
        assert comment.split(b"\r\n")[1].startswith(b":")
        asked = await here.backend.next("tools/call")
        await asked.json({"id": asked.message["id"], "error": {"code": -32601, "message": "late"}}, 404)
        assert (await reply.message())["error"]["code"] == -32601  # the status is spent, the answer is not
        assert await reply.event() is None


@pytest.mark.parametrize("how", ["hang-up", "end", "garbage"])
async def test_a_stream_that_breaks_off_still_ends_with_an_answer(how: str) -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            token = asked.message["params"]["_meta"]["progressToken"]
            await asked.stream()
            await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
            if how == "garbage":
                await asked.chunk(b'data: {"jsonrpc":"2.0","id":%d}\n\n' % asked.id)
            if how == "hang-up":
                asked.hang_up()
            else:
                await asked.end()

        here.backend.on("tools/call", answer)
        reply = await ask(here.client, id="mine", meta={**envelope(), "progressToken": 1})
        await reply.message()
        last = await reply.message()
        assert (last["id"], last["error"]["code"], last["error"]["data"]["origin"]) == ("mine", -32603, "broker")
        assert await reply.event() is None
        assert here.backend.count("tools/call") == 1


async def test_a_backend_that_is_not_there_is_an_error_in_200() -> None:
    async with modern(limits={"connect_s": 0.2}) as here:

        async def away(asked: Asked) -> None:
            asked.hang_up()

        here.backend.on("tools/call", away)
        reply = await ask(here.client, id=3)
        assert refused(reply) == (200, -32603, 3, "backend-closed")


@pytest.mark.parametrize(
    ("code", "backend_status", "status", "given"),
    [
        (-32601, 404, 404, -32601),
        (-32601, 200, 404, -32601),
        (-32602, 200, 200, -32602),
        (-32602, 400, 200, -32602),
        (-32603, 500, 200, -32603),
        (-32000, 200, 200, -32000),
        (-32020, 400, 400, -32020),
        (-32021, 400, 400, -32021),
        (-32021, 200, 400, -32021),
        (7, 200, 200, 7),
        (-32002, 200, 200, -32602),
    ],
)
async def test_errors_have_the_status_this_revision_gives_them(
    code: int, backend_status: int, status: int, given: int
) -> None:
    async with modern() as here:
        data: Json = {"requiredCapabilities": {"sampling": {}}}
        here.backend.on("tools/call", fails(code, backend_status, data))
        reply = await ask(here.client, id="mine")
        error = {"code": given, "message": "theirs", "data": data}
        assert (reply.status, reply.json) == (status, {"jsonrpc": "2.0", "id": "mine", "error": error})


@pytest.mark.parametrize("code", [-32022, -32042, -32023, -32099])
async def test_codes_that_this_revision_does_not_give_a_meaning_here_do_not_leave(code: int) -> None:
    async with modern() as here:
        here.backend.on("tools/call", fails(code))
        reply = await ask(here.client)
        assert refused(reply)[:2] == (200, -32603)
        assert "theirs" not in reply.body.decode()


async def test_logs_pass_at_the_level_asked_for_and_not_unasked() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            await asked.stream()
            for level in ("debug", "info", "error", "loud"):
                await asked.event({"method": "notifications/message", "params": {"level": level, "data": level}})
            await asked.event({"id": asked.message["id"], "result": COMPLETE})

        here.backend.on("tools/call", answer)
        assert (await ask(here.client)).json["result"] == COMPLETE
        reply = await ask(here.client, meta={**envelope(), f"{PREFIX}logLevel": "info"})
        levels = [(await reply.message())["params"]["level"] for _ in range(2)]
        assert levels == ["info", "error"]
        assert (await reply.message())["result"] == COMPLETE


async def test_what_belongs_to_another_call_or_to_none_is_not_given_on() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            await asked.stream()
            for method, params in (
                ("notifications/progress", {"progressToken": 999, "progress": 1}),
                ("notifications/tools/list_changed", {}),
                ("notifications/resources/updated", {"uri": "a:b"}),
                ("notifications/subscriptions/acknowledged", {"notifications": {}}),
            ):
                await asked.event({"method": method, "params": params})
            await asked.event({"id": "ask", "method": "elicitation/create", "params": {}})
            await asked.event({"id": 12345, "result": COMPLETE})
            await asked.event({"method": "notifications/vendor", "params": {"k": 1}})
            await asked.event({"id": asked.message["id"], "result": COMPLETE})

        here.backend.on("tools/call", answer)
        reply = await ask(here.client, meta={**envelope(), "progressToken": 1})
        assert (await reply.message()) == {"jsonrpc": "2.0", "method": "notifications/vendor", "params": {"k": 1}}
        assert (await reply.message())["result"] == COMPLETE


@pytest.mark.parametrize(
    ("method", "result", "expected"),
    [
        ("tools/list", {"tools": []}, {"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}),
        ("tools/call", {"content": []}, COMPLETE),
        (
            "prompts/list",
            {"resultType": "complete", "prompts": [], "ttlMs": 5000, "cacheScope": "public"},
            {"resultType": "complete", "prompts": [], "ttlMs": 5000, "cacheScope": "public"},
        ),
        (
            "resources/list",
            {"resultType": "complete", "resources": [], "ttlMs": -1, "cacheScope": "shared"},
            {"resultType": "complete", "resources": [], "ttlMs": 0, "cacheScope": "private"},
        ),
        (
            "resources/templates/list",
            {"resultType": "complete", "resourceTemplates": [], "ttlMs": 1.5, "cacheScope": None},
            {"resultType": "complete", "resourceTemplates": [], "ttlMs": 0, "cacheScope": "private"},
        ),
        (
            "tools/list",
            {"resultType": "complete", "tools": [], "ttlMs": 10**12, "cacheScope": "public"},
            {"resultType": "complete", "tools": [], "ttlMs": 86_400_000, "cacheScope": "public"},
        ),
    ],
)
async def test_results_say_their_type_and_cacheable_ones_for_how_long(
    method: str, result: Json, expected: Json
) -> None:
    async with modern() as here:
        meta = {f"{PREFIX}serverInfo": {"name": "s", "version": "1"}, "com.example/x": 1}
        here.backend.on(method, answers({**result, "_meta": meta}))
        reply = await ask(here.client, method)
        assert reply.json["result"] == {**expected, "_meta": meta}


@pytest.mark.parametrize("kind", [7, None, {}])
async def test_a_result_whose_type_is_no_text_is_a_violation(kind: Any) -> None:
    async with modern() as here:
        here.backend.on("tools/call", answers({"resultType": kind, "content": []}))
        assert refused(await ask(here.client))[:2] == (200, -32603)


async def test_a_type_the_core_has_not_passes_to_a_client_that_has_an_extension_and_is_invalid_to_any_other() -> None:
    """C038: types are those of the core and of the extensions a client supports (2026-07-28 basic/index)."""
    async with modern() as here:
        later: Json = {"resultType": "later", "tools": [], "vendor": 1}
        here.backend.on("tools/list", answers(later))
        less: list[Json] = [{}, {"extensions": {}}, {"extensions": {f"{PREFIX}tasks": {}}}]  # tasks are not carried
        for declared in less:
            reply = await ask(here.client, "tools/list", meta=envelope(declared))
            assert refused(reply) == (200, -32603, 1, "backend-garbage")
        reply = await ask(here.client, "tools/list", meta=envelope({"extensions": {"io.example/later": {}}}))
        assert reply.json["result"] == later


DISCOVERED: Json = {
    "resultType": "complete",
    "supportedVersions": [REVISION, "2031-01-01"],
    "capabilities": {"tools": {"listChanged": True}, "extensions": {f"{PREFIX}tasks": {}, "io.example/ui": {}}},
    "instructions": "Be kind.",
    "_meta": {f"{PREFIX}serverInfo": {"name": "s", "version": "1"}},
}


async def test_discovery_names_the_versions_of_this_url_and_what_is_really_carried() -> None:
    async with modern() as here:
        here.backend.on("server/discover", answers(DISCOVERED))
        found = (await ask(here.client, "server/discover", meta=envelope({"extensions": {f"{PREFIX}tasks": {}}}))).json
        assert found["result"] == {
            **DISCOVERED,
            "supportedVersions": [REVISION, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
            "capabilities": {"tools": {"listChanged": True}, "extensions": {"io.example/ui": {}}},
            "ttlMs": 0,
            "cacheScope": "private",
        }
        sent = (await here.backend.next("server/discover")).message["params"]["_meta"]
        assert sent[f"{PREFIX}clientCapabilities"] == {"extensions": {}}
        unknown = await ask(
            here.client,
            meta={**envelope(), f"{PREFIX}protocolVersion": "2031-01-01"},
            MCP_Protocol_Version="2031-01-01",
        )
        assert set(unknown.json["error"]["data"]["supported"]) <= set(found["result"]["supportedVersions"])


async def test_a_fresh_discovery_is_served_from_memory_to_whom_it_was_made_for() -> None:
    async with modern() as here:
        here.backend.on("server/discover", answers({**DISCOVERED, "ttlMs": 60_000, "cacheScope": "public"}))
        first = (await ask(here.client, "server/discover", id="a")).json
        second = (await ask(here.client, "server/discover", id="b")).json
        assert 0 < second["result"].pop("ttlMs") <= first["result"].pop("ttlMs") == 60_000
        assert (second["id"], second["result"]) == ("b", first["result"])
        assert here.backend.count("server/discover") == 1
        await ask(here.client, "server/discover", meta=envelope({"sampling": {}}))
        assert here.backend.count("server/discover") == 2


async def test_somebody_in_the_crowd_cannot_be_asked_anything() -> None:
    async with modern(host="127.0.0.1", allowed_hosts=("broker.example",), anonymous="allow") as here:
        declared: Json = {"elicitation": {}, "roots": {}, "sampling": {}, "experimental": {"x": {}}}
        await ask(here.client, meta=envelope(declared), Host="broker.example")
        sent = (await here.backend.next("tools/call")).message["params"]["_meta"]
        assert sent[f"{PREFIX}clientCapabilities"] == {"experimental": {"x": {}}}


async def test_a_large_answer_arrives_whole() -> None:
    async with modern() as here:
        text = "x" * 300_000
        here.backend.on("tools/call", answers({**COMPLETE, "text": text}))
        assert (await ask(here.client)).json["result"]["text"] == text
