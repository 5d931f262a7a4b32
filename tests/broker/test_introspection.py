"""Issuers that are asked about tokens (RFC 7662): who gets in, what ends, and what happens while they are away."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import struct

import pytest
from aiohttp import web

from broker.backends.tls import client_context
from broker.identity.fetching import Asking
from broker.settings import Settings, SettingsError
from tests.broker.conftest import Journal
from tests.broker.http1_world import turn, within
from tests.broker.introspection_world import BOUND_S, CLIENT, FAST, asked, asking, opaque
from tests.broker.issuer_world import issuing, sign
from tests.broker.modern_world import ask, modern
from tests.broker.scripted_backend import DONE, Json, world
from tests.broker.test_admission import shows, token

OPENING = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
).encode()


# ---- who gets in ----------------------------------------------------------------------------------------------------


async def test_a_token_that_is_no_jwt_is_the_caller_its_issuer_says_it_is() -> None:
    async with asking(backend={"scopes": ["read"]}) as (here, server):
        opaque(here, server)
        await here.client.open()
        for number in range(5):
            assert (await here.client.call(number)).json["result"] == DONE
        (session,) = here.context.sessions
        assert session.principal == f"token:{server.url} ann"
        assert session.relay.speaker.who.scopes == {"read", "write"}
        form, headers = server.forms[0]
        assert form == {"token": "opaque-1", "token_type_hint": "access_token"}
        assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"the+broker:a%3Asecret"


@pytest.mark.parametrize("fresh_s", [4, 0.3])
async def test_an_answer_is_used_for_a_while_and_then_asked_for_again(fresh_s: float) -> None:
    async with asking(limits={**FAST, "introspection_fresh_s": fresh_s, "revocation_s": 5}) as (here, server):
        opaque(here, server)
        await here.client.open()
        async with asyncio.timeout(BOUND_S):
            while asked(server) < 2 if fresh_s < 1 else here.backend.count("tools/call") < 20:
                assert (await here.client.call()).status == 200
        assert asked(server) == (2 if fresh_s < 1 else 1)


async def test_an_answer_is_believed_for_no_request_where_each_is_to_ask() -> None:
    async with asking(new=modern, limits={**FAST, "introspection_fresh_s": 0, "revocation_s": 5}) as (here, server):
        opaque(here, server)
        for number in range(4):
            assert (await ask(here.client)).status == 200
            assert asked(server) == number + 1


async def test_a_jwt_is_asked_about_too_and_gets_nobody_in_that_was_taken_back() -> None:
    async with asking() as (here, server):
        good, bad = token(here, server, jti="1"), token(here, server, jti="2")
        server.taken_back.add(bad)
        await here.client.open(Authorization=f"Bearer {good}")
        here.client.session = ""
        reply = await here.client.post({"id": 1, "method": "ping"}, Authorization=f"Bearer {bad}")
        assert (reply.status, reply.json["error"]["data"]["reason"]) == (401, "bad-credential")
        assert 'error="invalid_token"' in reply.headers["www-authenticate"]


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_token_that_was_taken_back_is_refused_on_a_connection_that_knows_its_head(stateless: bool) -> None:
    async with asking(new=modern if stateless else world) as (here, server):
        name = opaque(here, server)
        if not stateless:
            await here.client.open()

        async def one() -> int:
            return (await (ask(here.client) if stateless else here.client.call())).status

        assert [await one() for _ in range(5)] == [200] * 5
        server.taken_back.add(name)
        async with asyncio.timeout(BOUND_S):
            while await one() == 200:
                await turn()
        assert await one() == 401


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"iss": "https://other.example"}, "token-issuer"),
        ({"aud": "https://other.example/mcp"}, "token-audience"),
        ({"aud": None}, "token-audience"),
        ({"exp": 1}, "token-expired"),
        ({"exp": "soon"}, "token-claims"),
        ({"nbf": 9_999_999_999}, "token-not-yet"),
        ({"sub": None}, "token-subject"),
        ({"sub": "a\nb"}, "token-subject"),
        ({"scope": 7}, "token-claims"),
        ({"token_type": "DPoP"}, "token-type"),
        ({"token_use": "refresh_token"}, "token-type"),
        ({"typ": "Refresh"}, "token-type"),
        ({"cnf": {"jkt": "x"}}, "token-bound"),
    ],
)
async def test_what_is_said_of_a_token_is_judged_as_the_claims_of_a_jwt_are(
    claims: Json, detail: str, journal: Journal
) -> None:
    async with asking() as (here, server):
        opaque(here, server)
        server.opaque["opaque-1"] = {
            name: value for name, value in {**server.opaque["opaque-1"], **claims}.items() if value is not None
        }
        assert (await here.client.post({"id": 1, "method": "ping"})).status == 401
        assert [line["reason"] for line in journal() if line["event"] == "refused"] == [detail]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"sub": "bob"}, 401),
        ({"iss": "https://other.example"}, 401),
        ({"client_id": "other"}, 401),
        ({"aud": "https://other.example"}, 401),
        ({"exp": 1}, 401),
        ({"token_use": "refresh_token"}, 401),
        ({"cnf": {"jkt": "x"}}, 401),
        ({"cnf": {"x5t#S256": "x"}}, 401),
        ({"scope": "write"}, 403),
        ({"scope": "read"}, 200),
        ({"sub": "ann", "client_id": "app", "scope": "read more"}, 200),
    ],
)
async def test_an_answer_takes_away_from_what_a_jwt_says(said: Json, status: int) -> None:
    async with asking(backend={"scopes": ["read"]}) as (here, server):
        server.told = lambda _form: web.json_response({"active": True, **said})
        here.client.headers = shows(here, server, client_id="app")
        assert (await here.client.send("POST", OPENING, Accept="*/*")).status == status


async def test_an_answer_adds_no_scope_to_a_jwt() -> None:
    async with asking(backend={"scopes": ["admin"]}) as (here, server):
        server.told = lambda _form: web.json_response({"active": True, "scope": "admin read"})
        here.client.headers = shows(here, server)
        assert (await here.client.post({"id": 1, "method": "ping"})).status == 403


async def test_scopes_that_an_issuer_took_back_are_gone_at_the_next_answer() -> None:
    async with asking(backend={"scopes": ["read"]}) as (here, server):
        opaque(here, server)
        await here.client.open()
        server.opaque["opaque-1"] = {**server.opaque["opaque-1"], "scope": "write"}
        async with asyncio.timeout(BOUND_S):
            while (await here.client.call()).status != 403:
                await turn()


async def test_no_issuer_is_shown_a_key_of_the_broker_or_a_token_for_somebody_else() -> None:
    async with asking(keys={"ann": "0" * 64}) as (here, server):
        for credential in ("dgm_mistyped", sign(server.claims(aud="https://other.example")), "a.b.c", "x" * 9_000):
            reply = await here.client.post({"id": 1, "method": "ping"}, Authorization=f"Bearer {credential}")
            assert reply.status == 401
        assert asked(server) == 0


async def test_a_token_of_unknown_origin_is_shown_to_one_issuer_alone() -> None:
    async with issuing() as one, issuing() as two:
        sections: list[Json] = [
            {"issuer": each.url, "introspection": {**CLIENT, "endpoint": f"{each.url}/introspect", "opaque": takes}}
            for each, takes in ((one, False), (two, True))
        ]
        async with world(issuers=sections, limits=FAST) as here:
            opaque(here, two)
            await here.client.open()
            assert (asked(one), asked(two)) == (0, 1)
    for each in sections:
        each["introspection"] = {**CLIENT, "opaque": True}
    with pytest.raises(SettingsError, match="for all but one"):
        Settings.for_proxy("http://127.0.0.1:9/mcp", issuers=sections)


async def test_the_secret_may_be_in_the_form() -> None:
    async with asking(introspection={"auth_method": "client_secret_post"}) as (here, server):
        opaque(here, server)
        await here.client.open()
        form, headers = server.forms[0]
        assert (form["client_id"], form["client_secret"]) == ("the broker", "a:secret")
        assert "Authorization" not in headers


# ---- how the issuer is asked ----------------------------------------------------------------------------------------


async def test_many_requests_of_one_token_are_one_question() -> None:
    async with asking() as (here, server):
        server.hold = asyncio.Event()
        clients = [here.another() for _ in range(8)]
        for client in clients:
            opaque(here, server, client=client)
        calls = [asyncio.ensure_future(client.open()) for client in clients]
        while not server.asked["/.well-known/oauth-authorization-server"]:
            await turn()
        server.hold.set()
        assert [(await within(call)).status for call in calls] == [200] * 8
        assert asked(server) == 1


async def test_guesses_are_asked_about_once_for_a_while() -> None:
    async with asking(limits={**FAST, "introspection_refused_s": 60}) as (here, server):
        for _ in range(5):
            reply = await here.client.post({"id": 1, "method": "ping"}, Authorization="Bearer guess")
            assert reply.status == 401
        assert asked(server) == 1


async def test_questions_at_once_are_bounded_and_further_tokens_are_told_to_come_back() -> None:
    limits = {**FAST, "introspections": 1, "introspections_waiting": 1, "issuer_answer_s": 60}
    async with asking(limits=limits) as (here, server):
        server.hold = asyncio.Event()
        calls = []
        for number in range(3):
            client = here.another()
            opaque(here, server, f"opaque-{number}", client=client)
            calls.append(asyncio.ensure_future(client.send("POST", OPENING, Accept="*/*")))
        refused, waiting = await within(asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED))
        reply = refused.pop().result()
        assert (reply.status, reply.json["error"]["data"]["reason"]) == (503, "issuer-away")
        server.hold.set()
        assert [(await within(call)).status for call in waiting] == [200, 200]


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_that_the_issuer_has_closed_meanwhile_is_replaced(reset: bool) -> None:
    requests: list[bytes] = []
    answer = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"active": true}'

    async def issuer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                requests.append(await reader.readuntil(b"\r\n\r\n"))
                if len(requests) == 2:  # which is not answered any more
                    break
                writer.write(answer)
        if reset:  # as a balancer does that has forgotten the connection
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        writer.close()

    listener = await asyncio.start_server(issuer, "127.0.0.1", 0)
    asks = Asking(client_context(), max_bytes=1_000, timeout_s=5, kept=1)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/introspect"
    try:
        for _ in range(2):
            assert (await asks.exchange("POST", url, form={}, headers={}))[0] == 200
    finally:
        await asks.close()
        listener.close()
        await listener.wait_closed()
    assert len(requests) == 3


async def test_an_endpoint_on_another_host_has_to_be_configured(journal: Journal) -> None:
    async with issuing() as other, asking() as (here, server):
        server.metadata = {"introspection_endpoint": f"{other.url}/introspect"}
        opaque(here, server)
        assert (await here.client.post({"id": 1, "method": "ping"})).status == 503
        assert asked(other) == 0
        assert "issuer-introspection-elsewhere" in [line.get("reason") for line in journal()]


@pytest.mark.parametrize("endpoint", ["http://internal.example/x", "https://u:p@issuer.example/x", "file:///etc/x"])
def test_an_endpoint_is_https_or_on_this_machine(endpoint: str) -> None:
    section = {"issuer": "https://issuer.example", "introspection": {**CLIENT, "endpoint": endpoint}}
    with pytest.raises(SettingsError, match="expected an https"):
        Settings.for_proxy("http://127.0.0.1:9/mcp", issuers=[section])
