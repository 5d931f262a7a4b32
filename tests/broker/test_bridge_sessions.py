"""Stateless clients before a session server: how its sessions begin, what is discovered from them, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker import telemetry
from broker.backends import session_pool
from broker.faces.stateless_discover import STALE_S
from tests.broker.bridge_world import INPUTS, Server, begin, bridging, serving, streamed
from tests.broker.http1_world import within
from tests.broker.modern_world import INFO, ask, envelope, refused
from tests.broker.scripted_backend import DONE, Asked, Handler, Json

LISTS: Json = {"tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True}}


def delayed(inner: Handler | None, release: asyncio.Event) -> Handler:
    """Answer as usual, but not before the test says so."""

    async def answer(asked: Asked) -> None:
        await within(release.wait())
        if inner is not None:
            await inner(asked)
        else:
            await asked.reply(202)

    return answer


async def refuse(asked: Asked) -> None:
    await asked.reply(503)


async def test_discovery_is_answered_from_the_handshake_and_kept() -> None:
    async with bridging() as here:
        Server(here)
        here.backend.capabilities = LISTS
        reply = await ask(here.client, "server/discover", id="mine")
        assert reply.json == {
            "jsonrpc": "2.0",
            "id": "mine",
            "result": {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
                "capabilities": {**LISTS, "logging": {}},
                "ttlMs": 60_000,
                "cacheScope": "private",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "scripted", "version": "1"}},
            },
        }
        assert here.backend.keys() == ["initialize", "notifications/initialized", "GET"]
        kept = (await ask(here.client, "server/discover", id=2)).json
        assert kept["id"] == 2
        assert 0 < kept["result"]["ttlMs"] <= 60_000
        assert here.backend.count("initialize") == 1


async def test_what_a_standing_stream_would_carry_is_not_promised_without_one() -> None:
    async with bridging() as here:
        Server(here, stands=False)  # 405, which nobody who cannot be asked would wait for
        here.backend.capabilities = {**LISTS, "prompts": {}}
        found = (await ask(here.client, "server/discover")).json["result"]["capabilities"]
        assert found == {"tools": {}, "resources": {}, "prompts": {}, "logging": {}}


async def test_the_session_introduces_the_client_and_declares_what_it_declared() -> None:
    async with bridging() as here:
        Server(here)
        await begin(here)
        said = (await here.backend.next("initialize")).message["params"]
        assert said == {"protocolVersion": "2025-11-25", "capabilities": INPUTS, "clientInfo": INFO}


async def test_an_endless_introduction_is_cut_to_name_and_version() -> None:
    async with bridging() as here:
        Server(here)
        told = {"name": "n" * 300, "version": "v" * 300, "title": "t" * 20_000}
        meta = {**envelope(), "io.modelcontextprotocol/clientInfo": told}
        assert (await ask(here.client, meta=meta)).status == 200
        said = (await here.backend.next("initialize")).message["params"]
        assert said["clientInfo"] == {"name": "n" * 256, "version": "v" * 256}


async def test_nothing_is_opened_before_the_first_request_and_nothing_asked_before_the_handshake_is_over() -> None:
    async with bridging() as here:
        taken = asyncio.Event()
        Server(here)
        here.backend.on("notifications/initialized", delayed(None, taken))
        assert here.backend.keys() == []
        call = asyncio.ensure_future(begin(here))
        await here.backend.next("notifications/initialized")
        assert here.backend.keys() == ["initialize", "ping", "notifications/initialized"]
        taken.set()
        assert (await call).json["result"]["content"] == DONE["content"]
        assert here.backend.keys()[2:] == ["notifications/initialized", "GET", "tools/call"]


@pytest.mark.parametrize("capabilities", [INPUTS, {}])
async def test_the_standing_stream_is_read_before_the_first_call(capabilities: Json) -> None:
    async with bridging() as here:
        server, stands = Server(here), asyncio.Event()
        here.backend.capabilities = LISTS
        here.backend.on("GET", delayed(server._stand, stands))
        call = asyncio.ensure_future(begin(here, capabilities))
        await here.backend.next("GET")
        assert here.backend.count("tools/call") == 0
        stands.set()
        await call
        assert here.backend.keys()[-2:] == ["GET", "tools/call"]


async def test_concurrent_first_requests_share_one_handshake() -> None:
    async with bridging() as here:
        server, opened = Server(here), asyncio.Event()
        here.backend.on("notifications/initialized", delayed(None, opened))
        asked = [
            asyncio.ensure_future(ask(here.another(), method, id=1, meta=envelope(INPUTS)))
            for method in ("server/discover", "tools/list", "prompts/list", "resources/list") * 3
        ]
        await here.backend.next("notifications/initialized")
        opened.set()
        replies = await asyncio.gather(*asked)
        assert [reply.status for reply in replies] == [200] * 12
        assert here.backend.count("initialize") == here.backend.count("GET") == len(server.streams) == 1


async def test_equal_ids_of_different_requests_never_meet() -> None:
    async with bridging() as here:

        async def echo(asked: Asked) -> None:
            await asked.result({"content": [{"type": "text", "text": asked.message["params"]["arguments"]["n"]}]})

        Server(here, tool=echo)
        calls = [
            ask(here.another(), params={"name": "x", "arguments": {"n": str(number)}}, id=7) for number in range(20)
        ]
        replies = await asyncio.gather(*calls)
        assert [reply.json["id"] for reply in replies] == [7] * 20
        assert [reply.json["result"]["content"][0]["text"] for reply in replies] == [str(n) for n in range(20)]
        ids = [asked.id for asked in here.backend.asked if asked.key == "tools/call"]
        assert len(set(ids)) == 20


async def test_a_discovery_that_fails_is_answered_with_the_last_good_one() -> None:
    async with bridging() as here:
        Server(here)
        good = (await ask(here.client, "server/discover")).json["result"]
        for session in list(here.pool.rooms.sessions.values()):
            here.pool.end(session, "idle")
        here.backend.on("initialize", refuse)
        clock = here.context.wheel.clock
        here.context.wheel.clock = lambda: clock() + 61
        stale = await ask(here.client, "server/discover", id=2)
        assert stale.json == {"jsonrpc": "2.0", "id": 2, "result": {**good, "ttlMs": 0}}
        assert here.backend.count("initialize") == 2  # it was tried
        # Of another set of capabilities nothing is known.
        other = await ask(here.client, "server/discover", id=3, meta=envelope(INPUTS))
        assert refused(other) == (200, -32603, 3, "backend-status")
        here.context.wheel.clock = lambda: clock() + STALE_S + 1
        assert refused(await ask(here.client, "server/discover", id=4))[:3] == (200, -32603, 4)


async def test_a_backend_that_is_away_at_first_is_asked_again_by_the_next_request() -> None:
    async with bridging() as here:
        Server(here)
        here.backend.on("initialize", refuse)
        assert refused(await ask(here.client))[1] == -32603
        assert here.backend.count("tools/call") == 0
        del here.backend._on["initialize"]
        assert (await ask(here.client)).json["result"]["content"] == DONE["content"]


async def test_everybody_who_waited_for_a_session_that_cannot_be_opened_is_told() -> None:
    async with bridging(backend={"revision": "2025-11-25"}) as here:
        hold = asyncio.Event()
        here.backend.on("initialize", delayed(refuse, hold))
        asked = [asyncio.ensure_future(ask(here.another(), "tools/list", id=number)) for number in range(5)]
        await here.backend.next("initialize")
        hold.set()
        found = sorted(refused(reply) for reply in await asyncio.gather(*asked))
        assert found == [(200, -32603, number, "backend-status") for number in range(5)]
        assert here.backend.count("initialize") == 1
        assert not here.pool.rooms.sessions
        assert not len(here.pool.rooms.groups)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_backend_that_refuses_the_brokers_credentials_challenges_no_client(status: int) -> None:
    async with bridging(backend={"revision": "2025-11-25"}) as here:

        async def challenge(asked: Asked) -> None:
            await asked.reply(status, WWW_Authenticate="Bearer")

        here.backend.on("initialize", challenge)
        reply = await ask(here.client)
        assert refused(reply) == (200, -32603, 1, "backend-unauthorized")
        assert "www-authenticate" not in reply.headers


async def no_session(asked: Asked) -> None:
    result: Json = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
    await asked.stream()
    await asked.event({"id": asked.id, "result": result})
    await asked.end()


@pytest.mark.parametrize(("park", "declared"), [("auto", {}), ("on", {}), ("off", {})])
async def test_a_server_without_sessions_is_not_told_that_clients_can_be_asked(park: str, declared: Json) -> None:
    async with bridging(backend={"park": park}) as here:
        Server(here)
        here.backend.on("initialize", no_session)
        assert (await begin(here)).json["result"]["content"] == DONE["content"]
        assert (await begin(here)).status == 200
        told = [asked.message["params"]["capabilities"] for asked in here.backend.asked if asked.key == "initialize"]
        assert told == ([declared] if park == "off" else [INPUTS, declared])  # found out once
        assert all("mcp-session-id" not in asked.headers for asked in here.backend.asked)


@pytest.mark.parametrize("park", ["auto", "on", "off"])
async def test_a_server_that_answers_in_json_alone_is_not_either_unless_the_operator_knows_better(park: str) -> None:
    async with bridging(backend={"park": park}) as here:
        Server(here)
        del here.backend._on["ping"]
        assert (await begin(here)).json["result"]["content"] == DONE["content"]
        told = [asked.message["params"]["capabilities"] for asked in here.backend.asked if asked.key == "initialize"]
        assert told == {"auto": [INPUTS, {}], "on": [INPUTS], "off": [{}]}[park]
        if park == "auto":  # the session that was of no use is ended
            assert (await here.backend.next("DELETE")).headers["mcp-session-id"] == "backend-1"


async def test_that_is_found_out_anew_after_a_while_and_told_to_the_operator() -> None:
    async with bridging() as here:
        Server(here)
        del here.backend._on["ping"]
        before = telemetry.counts["cannot-ask", "default", "initialize", "json-answers"]
        await begin(here)
        await begin(here)
        assert telemetry.counts["cannot-ask", "default", "initialize", "json-answers"] == before + 1
        here.backend.on("ping", streamed({}))
        clock = here.context.wheel.clock
        here.context.wheel.clock = lambda: clock() + session_pool.CANNOT_ASK_S + 1
        await begin(here)
        told = [asked.message["params"]["capabilities"] for asked in here.backend.asked if asked.key == "initialize"]
        assert told == [INPUTS, {}, INPUTS]


async def test_a_connection_that_breaks_during_the_handshake_proves_nothing_about_questions() -> None:
    async with bridging(backend={"revision": "2025-11-25"}) as here:
        server = serving(here)

        async def hang_up(asked: Asked) -> None:
            asked.hang_up()

        here.backend.on("ping", hang_up)
        assert refused(await begin(here))[3] == "backend-closed"
        here.backend.on("ping", streamed({}))
        assert (await begin(here)).json["result"]["resultType"] == "input_required"
        assert server.backend.count("initialize") == 2


async def test_what_a_mute_server_asks_all_the_same_is_answered_by_the_broker() -> None:
    async with bridging(backend={"park": "off"}) as here:
        server = Server(here)
        told: list[Json] = []

        async def tool(asked: Asked) -> None:
            await asked.stream()
            told.append(await server.ask(asked, {"message": "?", "requestedSchema": {"type": "object"}}))
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()

        here.backend.on("tools/call", tool)
        assert (await begin(here)).json["result"]["resultType"] == "complete"
        assert told[0]["error"]["code"] == -32601


@pytest.mark.parametrize(("declares", "told"), [(INPUTS, 200), ({}, 400)])
async def test_a_call_fails_for_want_of_a_capability_only_if_its_client_did_not_declare_it(
    declares: Json, told: int
) -> None:
    async with bridging(backend={"park": "off"}) as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await server.ask(asked, {"message": "?", "requestedSchema": {"type": "object"}})
            await asked.event({"id": asked.id, "result": {**DONE, "isError": True}})
            await asked.end()

        here.backend.on("tools/call", tool)
        reply = await begin(here, declares)
        if told == 200:
            assert reply.json["result"]["isError"] is True
            assert reply.json["result"]["content"] == DONE["content"]
        else:
            assert (reply.status, reply.json["error"]["code"]) == (400, -32021)


async def test_an_idle_session_is_ended_and_deleted() -> None:
    async with bridging(limits={"backend_session_idle_s": 0.001}) as here:
        server = Server(here)
        await ask(here.client)
        stream = await server.standing()
        clock = here.context.wheel.clock
        here.context.wheel.clock = lambda: clock() + session_pool.SWEEP_S + 1
        here.context.wheel.run_due()
        gone = await here.backend.next("DELETE")
        assert gone.headers["mcp-session-id"] == "backend-1"
        await stream.gone()
        assert not here.pool.rooms.sessions
        assert len(here.pool.rooms.groups) == 0
        assert (await ask(here.client)).status == 200
        assert here.backend.count("initialize") == 2


@pytest.mark.parametrize("method", ["subscriptions/listen", "tools/call"])
async def test_a_session_with_something_open_is_not_idle(method: str) -> None:
    async with bridging(limits={"backend_session_idle_s": 0.001}) as here:
        serving(here)
        params: Any = {"notifications": {"toolsListChanged": True}} if method.startswith("sub") else None
        reply = await ask(here.client, method, params, meta=envelope(INPUTS))
        if reply.streams:
            await reply.message()
        clock = here.context.wheel.clock
        here.context.wheel.clock = lambda: clock() + session_pool.SWEEP_S + 1
        here.context.wheel.run_due()
        assert len(here.pool.rooms.sessions) == 1
        assert here.backend.count("DELETE") == 0


async def test_a_bug_of_ours_ends_one_request_and_is_not_told_to_its_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bridging() as here:
        Server(here)
        route = here.pool._route

        def broken(call: Any) -> Any:
            if call.method == "prompts/list":
                raise RuntimeError("secret")
            return route(call)

        monkeypatch.setattr(here.pool, "_route", broken)
        assert refused(await ask(here.client, "prompts/list")) == (200, -32603, 1, "internal")
        assert (await ask(here.client)).status == 200
