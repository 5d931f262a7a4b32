"""Where a server's issuer is, over all the places of all revisions; and which client the broker is there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from broker.app import create_app
from broker.serve import start
from broker.settings import Settings
from broker.signin.loopback import Loopback
from broker.signin.options import SignInOptions
from tests.broker.http1_world import turn, within
from tests.broker.signin_world import RESOURCE, setting

Json = dict[str, Any]
OPENING: Json = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
OAUTH, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "place", "tried"),
    [
        ("", OAUTH, 1),
        ("", OPENID, 2),
        ("/tenant", f"{OAUTH}/tenant", 1),
        ("/tenant", f"{OPENID}/tenant", 2),
        ("/tenant", f"/tenant{OPENID}", 3),
    ],
)
async def test_an_issuer_is_found_at_every_place_in_order(path: str, place: str, tried: int, tmp_path: Path) -> None:
    async with setting(tmp_path, path=path) as here:
        here.issuer.places = (place,)
        assert "result" in await (await here.broker()).open()
        found = [asked.partition(" ")[2] for asked in here.issuer.asked if "well-known" in asked]
        assert (len(found), found[-1]) == (tried, place)


@pytest.mark.parametrize("places", [(f"{RESOURCE}/mcp",), (RESOURCE,)])
async def test_a_server_that_does_not_say_where_its_metadata_are_has_them_at_a_known_place(
    places: tuple[str, ...], tmp_path: Path
) -> None:
    async with setting(tmp_path) as here:
        here.door.challenge = "Bearer"
        here.door.metadata_places = places
        assert "result" in await (await here.broker()).open()


async def test_a_resource_that_is_the_whole_origin_is_named_so_to_the_issuer(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        root = here.url.removesuffix("/mcp")
        here.issuer.resource = root
        here.door.edit = lambda it: it.update(resource=root)
        assert "result" in await (await here.broker()).open()


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_server_of_2025_03_26_is_its_own_issuer(slash: str, tmp_path: Path) -> None:
    async with setting(tmp_path, same_origin=True) as here:
        here.door.challenge, here.door.metadata_places = "Bearer", ()
        here.issuer.edit = lambda it: it.update(
            issuer=it["issuer"] + slash, authorization_response_iss_parameter_supported=False
        )
        here.issuer.answer = lambda said: said.pop("iss")
        assert "result" in await (await here.broker()).open()


async def test_a_server_of_2025_03_26_without_any_metadata_has_its_endpoints_at_the_usual_places(
    tmp_path: Path,
) -> None:
    async with setting(tmp_path, same_origin=True) as here:
        here.door.challenge, here.door.metadata_places, here.issuer.places = "", (), ()
        here.issuer.answer = lambda said: said.pop("iss")
        assert "result" in await (await here.broker()).open()
        assert {"POST /register", "GET /authorize", "POST /token"} <= set(here.issuer.asked)


async def test_a_server_that_is_away_is_not_taken_for_one_of_2025_03_26(tmp_path: Path) -> None:
    async with setting(tmp_path, same_origin=True) as here:
        here.door.challenge, here.door.metadata_places, here.issuer.places = "", (), ()

        def away(_document: Json) -> None:
            raise web.HTTPServiceUnavailable

        here.door.metadata_places, here.door.edit = (f"{RESOURCE}/mcp",), away
        broker = await here.broker()
        assert "error" in await broker.open()
        assert broker.reasons[0] == "unreachable"
        assert here.browser.pages == []


# ---- which client ----------------------------------------------------------------------------------------------------


async def test_a_client_the_operator_registered_is_used_with_its_secret_and_its_port(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        port = _free()
        here.issuer.clients["mine"] = {
            "client_secret": "kept: to %self",
            "redirect_uris": [f"http://127.0.0.1:{port}/callback"],
        }
        options = SignInOptions("mine", "kept: to %self", here.issuer.issuer, redirect_port=port)
        broker = await here.broker(options=options)
        assert "result" in await broker.open()
        here.issuer.expire()
        assert await broker.tools()
        assert here.issuer.registrations == []


async def test_a_secret_is_posted_where_the_issuer_takes_it_no_other_way(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.edit = lambda it: it.update(token_endpoint_auth_methods_supported=["client_secret_post"])
        here.faultless = False  # this issuer takes Basic alone: that it complains is what shows the other way
        port = _free()
        here.issuer.clients["mine"] = {"client_secret": "s", "redirect_uris": [f"http://127.0.0.1:{port}/callback"]}
        options = SignInOptions("mine", "s", here.issuer.issuer, redirect_port=port)
        assert "error" in await (await here.broker(options=options)).open()
        assert "an unknown client asks for tokens" in here.issuer.faults


async def test_a_metadata_document_is_shown_to_an_issuer_that_takes_them(tmp_path: Path) -> None:
    document = "https://dragoman.example/client.json"
    async with setting(tmp_path) as here:
        port = _free()
        here.issuer.edit = lambda it: it.update(client_id_metadata_document_supported=True)
        here.issuer.clients[document] = {"redirect_uris": [f"http://127.0.0.1:{port}/callback"]}
        broker = await here.broker(options=SignInOptions(document, redirect_port=port))
        assert "result" in await broker.open()
        assert here.issuer.authorizations[0]["client_id"] == document
        assert here.issuer.registrations == []


async def test_an_issuer_that_takes_no_documents_registers_the_broker(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        broker = await here.broker(options=SignInOptions("https://dragoman.example/client.json"))
        assert "result" in await broker.open()
        assert len(here.issuer.registrations) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda it: it.update(registration_endpoint=it["registration_endpoint"] + "/nowhere"), "registration-refused"),
        (lambda it: it.pop("registration_endpoint"), "no-client"),
    ],
)
async def test_an_issuer_that_does_not_register_the_broker_is_said_with_what_to_do(
    change: Callable[[Json], Any], reason: str, tmp_path: Path
) -> None:
    async with setting(tmp_path) as here:
        here.issuer.edit = change
        broker = await here.broker()
        assert "error" in await broker.open()
        assert broker.reasons[0] == reason
        assert "--client-id" in here.said[-1]


async def test_the_operators_scopes_are_asked_for_in_place_of_the_servers(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.door.challenge += ', scope="read write"'
        assert "result" in await (await here.broker(options=SignInOptions(scopes=("read",)))).open()
        assert here.issuer.authorizations[0]["scope"] == "read"


def _free() -> int:
    """A port that is free now. Nobody listens on it meanwhile, or whoever connects by mistake would be accepted."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
    return port


# ---- other transports and faces --------------------------------------------------------------------------------------


async def test_a_server_of_the_http_sse_pair_is_signed_in_at_too(tmp_path: Path) -> None:
    queues: list[asyncio.Queue[Json]] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"event: endpoint\ndata: /messages\n\n")
        queue: asyncio.Queue[Json] = asyncio.Queue()
        queues.append(queue)
        while True:
            await answer.write(b"event: message\ndata: %b\n\n" % json.dumps(await queue.get()).encode())

    async def message(request: web.Request) -> web.Response:
        asked = await request.json()
        if "id" in asked:
            result: Json = {"tools": [{"name": "only", "inputSchema": {"type": "object"}}]}
            if asked["method"] == "initialize":
                result = {
                    "protocolVersion": "2024-11-05",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "pair", "version": "1"},
                }
            queues[-1].put_nowait({"jsonrpc": "2.0", "id": asked["id"], "result": result})
        return web.Response(status=202, text="Accepted")

    app = web.Application()
    app.router.add_get("/mcp", stream)
    app.router.add_post("/messages", message)
    async with setting(tmp_path, app=app) as here:
        broker = await here.broker()
        assert (await broker.open())["result"]["serverInfo"]["name"] == "pair"
        here.issuer.expire()
        assert await broker.tools() == ["only"]
        assert len(here.browser.pages) == 1
        await broker.end()


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_a_stateless_client_on_a_pipe_gets_its_answer_once_the_person_has_signed_in(
    revision: str, tmp_path: Path
) -> None:
    async with setting(tmp_path, revision) as here:
        broker = await here.broker()
        answer = await broker.modern(1, "tools/list")
        assert "weather" in [tool["name"] for tool in answer["result"]["tools"]]
        assert len(here.browser.pages) == 1


async def test_a_stateless_client_is_told_what_to_do_where_nobody_signs_in(tmp_path: Path) -> None:
    async with setting(tmp_path, "2026-07-28") as here:
        broker = await here.broker(who=here.who(browse=None))
        answer = await broker.modern(1, "tools/list")
        assert answer["error"]["data"]["reason"] == "backend-sign-in"


async def test_a_broker_at_an_address_signs_in_where_it_was_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with setting(tmp_path / "dragoman") as here:
        await (await here.broker()).open()  # the person has signed in before
        settings = Settings.for_proxy(here.url, backend={"sign_in": True}, port=0)
        running = await start(settings, lambda config, port: create_app(config, port=port))
        try:
            async with aiohttp.ClientSession() as session:
                message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": OPENING}
                kinds = {"Accept": "application/json, text/event-stream"}
                async with session.post(f"{running.url}/mcp", json=message, headers=kinds) as answer:
                    assert "dragoman-sample" in await answer.text()
        finally:
            await within(running.close())


@pytest.mark.parametrize("turns", range(8))
async def test_a_place_to_come_back_to_that_is_given_up_at_any_moment_listens_no_more(turns: int) -> None:
    port = _free()
    opening = asyncio.ensure_future(Loopback("state", port=port).__aenter__())
    for _ in range(turns):
        await turn()
    opening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await opening).__aexit__()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
