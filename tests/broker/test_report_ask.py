"""How a server is asked for its catalogue: in its era, bounded, read-only, and leaving no session behind."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from broker import serve
from broker.app import CONTEXTS, create_app
from broker.demo import server, session_server
from broker.report_ask import MAX_PAGES, Offer, inspect
from broker.report_bridge import Ways
from broker.report_sink import CannotAsk
from broker.settings import Settings

WAIT_S = 20
Json = dict[str, Any]


class Scripted:
    """A session server that remembers what it was sent. `answer` gives result or error of a request."""

    def __init__(self, answer: Callable[[str, Json], Json]) -> None:
        self.answer = answer
        self.heard: list[tuple[str, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        session = request.headers.get("Mcp-Session-Id", "")
        if request.method != "POST":
            self.heard.append((request.method, session))
            return web.Response(status=204)
        message = await request.json()
        self.heard.append((message["method"], session))
        if "id" not in message:
            return web.Response(status=202)
        said = self.answer(message["method"], message.get("params", {}))
        if "status" in said:
            return web.Response(status=said["status"])
        headers = {"Mcp-Session-Id": "s1"} if message["method"] == "initialize" else {}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], **said}, headers=headers)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/mcp", self.handle)
        return app


@asynccontextmanager
async def at(app: web.Application) -> AsyncIterator[str]:
    running = await serve.start(Settings.for_proxy("http://127.0.0.1/mcp", port=0), lambda *_: app)
    try:
        yield f"{running.url}/mcp"
    finally:
        await running.close()


async def asked(app: web.Application, client: str, revision: str = "auto") -> Offer:
    async with at(app) as url:
        broker = create_app(Settings.for_proxy(url, backend={"revision": revision}))
        try:
            return await inspect(broker[CONTEXTS]["default"], client)
        finally:
            broker.freeze()
            await broker.shutdown()


def run(app: web.Application, client: str = "2025-03-26", revision: str = "auto") -> Offer:
    return asyncio.run(asked(app, client, revision))


def greeting(method: str, params: Json) -> Json:
    if method == "initialize":
        info = {"name": "s", "version": "1"}
        capabilities: Json = {"tools": {}}
        return {
            "result": {"protocolVersion": params["protocolVersion"], "capabilities": capabilities, "serverInfo": info}
        }
    return {"error": {"code": -32601, "message": "no"}}


@pytest.mark.parametrize("revision", ["auto", "2026-07-28"])
def test_a_stateless_server_is_discovered_and_listed(revision: str) -> None:
    offer = run(server.sample_app(), revision=revision)
    assert offer.revision == "2026-07-28"
    assert {method: len(entries) for method, entries in offer.lists.items()} == {
        "tools/list": 6,
        "resources/list": 1,
        "resources/templates/list": 0,
        "prompts/list": 1,
    }
    assert offer.incomplete == {}


def test_a_session_server_is_greeted_in_the_clients_revision_and_answers_in_its_own() -> None:
    offer = run(session_server.sample_app())
    assert offer.revision == "2025-11-25"
    assert [tool["name"] for tool in offer.lists["tools/list"]] == ["weather", "notes", "beep", "greet"]


def test_only_the_greeting_and_lists_are_asked_for_and_the_session_is_deleted() -> None:
    def answer(method: str, params: Json) -> Json:
        return {"result": {"tools": []}} if method == "tools/list" else greeting(method, params)

    scripted = Scripted(answer)
    assert run(scripted.app()).revision == "2025-03-26"
    assert scripted.heard == [
        ("server/discover", ""),
        ("initialize", ""),
        ("notifications/initialized", "s1"),
        ("tools/list", "s1"),
        ("DELETE", "s1"),
    ]


def test_a_list_is_read_page_by_page_until_a_bound() -> None:
    def answer(method: str, params: Json) -> Json:
        if method != "tools/list":
            return greeting(method, params)
        page = int(params.get("cursor", "0"))
        return {"result": {"tools": [{"name": f"t{page}"}, "no object"], "nextCursor": str(page + 1)}}

    offer = run(Scripted(answer).app())
    assert [tool["name"] for tool in offer.lists["tools/list"]] == [f"t{page}" for page in range(MAX_PAGES)]
    assert offer.incomplete == {"tools/list": "more pages than are read"}


def test_a_cursor_that_comes_twice_ends_the_list() -> None:
    def answer(method: str, params: Json) -> Json:
        if method != "tools/list":
            return greeting(method, params)
        return {"result": {"tools": [{"name": "t"}], "nextCursor": "same"}}

    offer = run(Scripted(answer).app())
    assert (len(offer.lists["tools/list"]), offer.incomplete) == (2, {"tools/list": "a cursor came twice"})


def test_a_list_that_fails_is_said_to_be_incomplete() -> None:
    assert run(Scripted(greeting).app()).incomplete == {"tools/list": "error -32601"}


def test_a_server_that_names_its_revisions_is_asked_again_in_the_newest_known() -> None:
    def answer(method: str, params: Json) -> Json:
        if method == "initialize" and params["protocolVersion"] != "2024-11-05":
            return {"error": {"code": -32602, "message": "no", "data": {"supported": ["2024-11-05", "1999-01-01"]}}}
        return {"result": {"tools": []}} if method == "tools/list" else greeting(method, params)

    assert run(Scripted(answer).app()).revision == "2024-11-05"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"status": 401}, "credentials"),
        ({"status": 404}, "HTTP 404"),
        ({"error": {"code": -32603, "message": "secret"}}, "error -32603"),
        ({"result": {"protocolVersion": "1999-01-01"}}, "does not speak"),
    ],
)
def test_why_a_server_cannot_be_asked_is_said_without_its_words(said: Json, why: str) -> None:
    with pytest.raises(CannotAsk) as caught:
        run(Scripted(lambda _method, _params: said).app())
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


def test_for_a_client_without_sessions_it_is_tried_what_a_session_of_the_server_offers() -> None:
    scripted = Scripted(greeting)
    offer = run(scripted.app(), client="2026-07-28")
    assert (offer.revision, offer.ways) == ("2025-11-25", Ways(session=True, streams=False, standing=False))
    assert scripted.heard == [
        ("server/discover", ""),
        ("initialize", ""),
        ("notifications/initialized", "s1"),
        ("ping", "s1"),
        ("GET", "s1"),
        ("tools/list", "s1"),
        ("DELETE", "s1"),
    ]
    assert run(Scripted(greeting).app(), client="2025-11-25").ways is None
    assert run(server.sample_app(), client="2026-07-28").ways is None


@pytest.mark.parametrize("held_back", [False, True])
def test_a_standing_stream_stands_though_its_server_holds_back_the_head(held_back: bool) -> None:
    scripted = Scripted(greeting)
    app = scripted.app()

    async def streams(request: web.Request) -> web.StreamResponse | None:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if request.method == "GET":
            if not held_back:
                await stream.prepare(request)
            await asyncio.Event().wait()
        message = await request.json() if request.method == "POST" else {}
        if message.get("method") != "ping":
            return None
        await stream.prepare(request)
        await stream.write(f'data: {{"jsonrpc":"2.0","id":{message["id"]},"result":{{}}}}\n\n'.encode())
        return stream

    @web.middleware
    async def first(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        return await streams(request) or await handler(request)

    app.middlewares.append(first)
    assert run(app, client="2026-07-28").ways == Ways(session=True, streams=True, standing=True)


def test_a_server_without_session_ids_is_not_asked_for_a_stream() -> None:
    async def lean(request: web.Request) -> web.Response:
        message = await request.json()
        if "id" not in message:
            return web.Response(status=202)
        said = greeting(message["method"], message.get("params", {}))
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], **said})

    app = web.Application()
    app.router.add_post("/mcp", lean)
    assert run(app, client="2026-07-28").ways == Ways(session=False, streams=False, standing=False)


async def dragoman(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "broker", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(WAIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def test_the_command_prints_a_table_or_json() -> None:
    async def story() -> None:
        async with at(server.sample_app()) as url:
            code, text, _ = await dragoman("report", url, "--client", "2024-11-05")
            assert code == 0
            assert "refused     elicitation/create: a tool that asks" in text
            assert text.endswith("tools: 6 rewritten; resources: 1 rewritten; templates: none; prompts: 1 rewritten\n")
            code, text, _ = await dragoman("report", url, "--client", "2025-11-25", "--json")
            found = json.loads(text)
            assert (code, found["server"]) == (0, "2026-07-28")
            assert [entry["verdict"] for entry in found["entries"]["tools"]].count("identical") == 5

    asyncio.run(story())


def test_what_the_operator_chose_for_a_server_is_in_its_report(tmp_path: Path) -> None:
    async def story() -> None:
        async with at(session_server.sample_app()) as url:
            config = tmp_path / "c.json"
            servers = {"a": {"url": url, "session": "shared"}, "b": {"url": url, "session_key": "meta:chat"}}
            config.write_text(json.dumps({"servers": servers}), encoding="utf-8")
            code, text, _ = await dragoman("report", "--config", str(config), "--client", "2026-07-28", "--json")
            assert code == 0
            said = {name: json.loads(text)[name]["between"][0]["said"][0] for name in servers}
            assert "one for all callers" in said["a"]
            assert "apart by _meta chat" in said["b"]

    asyncio.run(story())


def test_servers_of_a_configuration_are_reported_each_and_a_dead_one_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with at(server.sample_app()) as url:
            config = tmp_path / "c.json"
            filtered = {"url": url, "filter": {"tools": {"deny": ["gr*"]}}}
            servers = {"dead": {"url": "http://127.0.0.1:9/mcp"}, "live": filtered, "pipe": {"command": ["true"]}}
            config.write_text(json.dumps({"servers": servers}), encoding="utf-8")
            code, text, said = await dragoman("report", "--config", str(config), "--client", "2025-11-25")
            assert (code, said.splitlines()) == (
                1,
                [
                    "dragoman: dead: the server cannot be reached (connect)",
                    "dragoman: pipe: the server ended before it answered",
                ],
            )
            assert "refused     greet: hidden by the operator's filter" in text
            only = ("--server", "live", "--json")
            code, text, _ = await dragoman("report", "--config", str(config), "--client", "2025-11-25", *only)
            assert (code, list(json.loads(text))) == (0, ["live"])

    asyncio.run(story())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give a URL"),
        (("http://a/mcp", "--server", "x"), "--server names"),
        (("--config", "x.yaml", "--backend-revision", "2025-11-25"), "says itself"),
    ],
)
def test_a_wrong_report_command_ends_with_2(arguments: tuple[str, ...], said: str) -> None:
    code, _, text = asyncio.run(dragoman("report", "--client", "2025-11-25", *arguments))
    assert code == 2
    assert said in text
    assert "Traceback" not in text
