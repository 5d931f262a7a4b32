"""Tokens that their issuer takes back, and issuers that are away (security catalogue C109, F37)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.broker.bridge_world import INPUTS, again, answers_to, begin, bridging, serving
from tests.broker.conftest import Journal
from tests.broker.http1_world import turn, within
from tests.broker.introspection_world import BOUND_S, FAST, asked, asking, opaque
from tests.broker.modern_world import ask, envelope, modern
from tests.broker.pair_world import PairClient
from tests.broker.scripted_backend import DONE
from tests.broker.test_admission import token
from tests.broker.test_revocations import last, reason, streams, waits

# ---- while the issuer is away ---------------------------------------------------------------------------------------


def redirected() -> web.Response:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/steal"})


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500),
        lambda: web.Response(status=401),  # the broker's own credential is what is wrong
        redirected,
        lambda: web.Response(text="<html>"),
        lambda: web.json_response([]),
        lambda: web.json_response({"active": "true"}),
        lambda: web.json_response({}),
        lambda: web.Response(body=b'{"active":false,"active":true}'),
        lambda: web.Response(body=b'{"active":true,"x":"' + b"x" * 300_000 + b'"}'),
    ],
)
async def test_f37_nobody_gets_in_while_there_is_no_good_answer_and_no_token_is_called_wrong(
    answer: Any, journal: Journal
) -> None:
    async with asking() as (here, server):
        server.told = lambda _form: answer()
        opaque(here, server)
        reply = await here.client.post({"id": 1, "method": "ping"})
        assert (reply.status, reply.json["error"]["data"]["reason"]) == (503, "issuer-away")
        assert "www-authenticate" not in reply.headers
        assert reply.headers["retry-after"]
        assert here.backend.asked == []
        told = [line["event"] for line in journal() if line["event"] in ("issuer-not-asked", "refused")]
        assert told == ["issuer-not-asked", "refused"]


async def test_f37_an_issuer_that_does_not_answer_costs_no_more_than_its_time() -> None:
    async with asking(limits={**FAST, "issuer_answer_s": 0.2}) as (here, server):
        server.hold = asyncio.Event()
        opaque(here, server)
        assert (await within(here.client.post({"id": 1, "method": "ping"}))).status == 503


async def test_f37_what_is_open_goes_on_while_the_issuer_is_away_but_not_for_ever() -> None:
    limits = {**FAST, "introspection_away_s": 0.5}
    async with asking(limits=limits) as (here, server):
        here.backend.on("tools/call", streams)
        opaque(here, server)
        await here.client.open()
        reply = await here.client.call(7, _meta={"progressToken": "p"})
        before = asked(server)
        server.told = lambda _form: web.Response(status=503)
        while asked(server) < before + 1:
            await turn()
        assert len(here.context.sessions) == 1
        message = await last(reply)
        assert (message["id"], reason(message)) == (7, "unchecked")
        assert (await here.client.call()).status == 503
        server.told = server.introspected  # its session has not ended, and goes on once the issuer is back
        here.backend.on("tools/call", lambda one: one.result())
        async with asyncio.timeout(BOUND_S):
            while (await here.client.call()).status == 503:
                await turn()
        assert (await here.client.call()).json["result"] == DONE


async def test_who_has_something_open_keeps_nobody_from_being_asked_about() -> None:
    """All that is open is asked about every `revocation_s`, which may be more than may wait at once."""
    limits = {**FAST, "introspections": 1, "introspections_waiting": 1, "issuer_answer_s": 5}
    async with asking(limits=limits) as (here, server):
        for number in range(5):
            client = here.another()
            opaque(here, server, f"opaque-{number}", client=client, sub=f"sub-{number}")
            await client.open()
        before, server.hold = asked(server), asyncio.Event()
        while asked(server) == before:
            await turn()
        opaque(here, server, "newcomer")
        ping = asyncio.ensure_future(here.client.open())
        for _ in range(50):
            await turn()
        server.hold.set()
        await within(ping)
        assert here.client.session


async def test_a_token_whose_turn_does_not_come_is_good_no_longer_than_one_that_fails() -> None:
    limits = {**FAST, "introspections": 1, "issuer_answer_s": 0.4, "introspection_away_s": 0.5}
    async with asking(limits=limits) as (here, server):
        here.backend.on("tools/call", waits)
        calls = []
        for number in range(12):
            client = here.another()
            opaque(here, server, f"opaque-{number}", client=client, sub=f"sub-{number}")
            await client.open()
            calls.append(asyncio.ensure_future(client.call(7)))
        for _ in calls:
            await here.backend.next("tools/call")
        server.hold = asyncio.Event()
        async with asyncio.timeout(2.5):  # 12 of them, one after the other, would be 4.8 s
            assert {reason((await call).json) for call in calls} == {"unchecked"}


# ---- what is taken back ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jwt", "opaque"])
@pytest.mark.parametrize("streaming", [True, False])
async def test_c109_a_session_clients_call_ends_when_the_issuer_takes_the_token_back(
    kind: str, streaming: bool, journal: Journal
) -> None:
    async with asking() as (here, server):
        here.backend.on("tools/call", streams if streaming else waits)
        shown = opaque(here, server) if kind == "opaque" else token(here, server)
        here.client.headers = {"Authorization": f"Bearer {shown}"}
        await here.client.open()
        call = asyncio.ensure_future(here.client.call(7, _meta={"progressToken": "p"}))
        one = await here.backend.next("tools/call")
        if streaming:
            await within(asyncio.wait([call]))
        server.taken_back.add(shown)
        async with asyncio.timeout(BOUND_S):
            message = await last(await call)
        assert (message["id"], reason(message)) == (7, "revoked")
        cancelled = await here.backend.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == one.id
        await here.backend.next("DELETE")
        assert (await here.client.call()).status == 401
        assert [line["reason"] for line in journal() if line["event"] == "cut-off"] == ["revoked"]


async def test_c109_a_stateless_clients_call_and_subscription_end() -> None:
    async with asking(new=modern) as (here, server):
        here.backend.on("tools/call", streams)
        name = opaque(here, server)
        reply = await ask(here.client, id=7, meta=envelope(progressToken="p"))
        one = await here.backend.next("tools/call")
        server.taken_back.add(name)
        async with asyncio.timeout(BOUND_S):
            message = await last(reply)
        assert (message["id"], reason(message)) == (7, "revoked")
        await one.gone()


async def test_c109_the_pair_and_a_standing_stream_end() -> None:
    async with asking() as (here, server):
        client, standing = PairClient(here), here.another()
        name = opaque(here, server, client=client)  # type: ignore[arg-type]
        other = opaque(here, server, "opaque-2", client=standing)
        await client.open()
        await standing.open()
        stream = await standing.send("GET", Accept="text/event-stream")
        server.taken_back |= {name, other}
        async with asyncio.timeout(BOUND_S):
            assert await client.stream.event() is None
            while await stream.event() is not None:
                pass
        assert len(here.context.sessions) == 0


async def test_c109_a_parked_call_is_given_up() -> None:
    async with asking(new=bridging) as (here, server):
        questions = serving(here)
        name = opaque(here, server)
        first = await begin(here)
        parked = await here.backend.next("tools/call")
        server.taken_back.add(name)
        cancelled = await here.backend.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == parked.id
        assert questions is not None
        opaque(here, server, "opaque-2")
        retry = await again(here, first, answers_to(first), meta=envelope(INPUTS))
        assert "error" in retry.json


async def test_others_of_the_same_issuer_go_on() -> None:
    async with asking() as (here, server):
        here.backend.on("tools/call", waits)
        other = here.another()
        gone, stays = opaque(here, server), opaque(here, server, "opaque-2", client=other, sub="bob")
        calls = []
        for client in (here.client, other):
            await client.open()
            calls.append(asyncio.ensure_future(client.call(7)))
            theirs = await here.backend.next("tools/call")
        server.taken_back.add(gone)
        assert reason((await within(calls[0])).json) == "revoked"
        before = len(server.forms)
        while stays not in [form["token"] for form, _ in server.forms[before:]]:
            await turn()
        await theirs.result()
        assert (await within(calls[1])).json["result"] == DONE
