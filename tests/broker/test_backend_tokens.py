"""Tokens that the broker gets for a server: its own, and each caller's by exchange (security catalogue C113, C114)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from aiohttp import web

from broker.identity.token_source import ACCESS_TOKEN, EXCHANGE
from broker.settings import Settings, SettingsError
from tests.broker.conftest import Journal
from tests.broker.crossing_world import completes, discovery
from tests.broker.http1_world import turn, within
from tests.broker.issuer_world import Server, issuing, sign
from tests.broker.modern_world import ask, modern
from tests.broker.scripted_backend import DONE, Asked, Json, World, world

SECRET = "s:e/cret"
BASIC = "Basic " + base64.b64encode(b"broker:s%3Ae%2Fcret").decode()


def given(token: str, **more: Any) -> Any:
    """What the issuer gives."""
    said = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **more}
    return lambda _form: web.json_response({name: value for name, value in said.items() if value is not None})


async def _asked(server: Server) -> None:
    while not server.asked:
        await turn()


@asynccontextmanager
async def supplied(
    *, new: Any = world, backend: Json | None = None, **token: Any
) -> AsyncIterator[tuple[World, Server]]:
    """A broker that has a client at an issuer on this machine."""
    async with issuing() as server:
        server.metadata = {"token_endpoint": f"{server.url}/token"}
        server.token = given("own")
        section = {"issuer": server.url, "client_id": "broker", "client_secret": SECRET, **token}
        exchanges = token.get("grant") == "token-exchange"
        more = {"issuers": [{"issuer": server.url}]} if exchanges else {}
        transport = {"transport": "streamable-http"} if exchanges else {}
        async with new(backend={"token": section, **transport, **(backend or {})}, **more) as here:
            yield here, server


def shown(here: World) -> list[str | None]:
    """The credential of each request, in order."""
    return [asked.headers.get("authorization") for asked in here.backend.asked]


async def test_a_server_is_shown_a_token_of_the_brokers_own_that_is_got_once() -> None:
    async with supplied(scopes=["a", "b"]) as (here, server):
        await here.client.open()
        assert (await here.client.call()).json["result"] == DONE
        await ask(here.another())
        assert set(shown(here)) == {"Bearer own"}
        ((form, headers),) = server.forms
        assert headers["Authorization"] == BASIC
        url = f"http://127.0.0.1:{here.backend.port}/mcp"
        assert form == {"grant_type": "client_credentials", "resource": url, "scope": "a b"}


async def test_many_requests_at_once_wait_for_one_token() -> None:
    async with supplied(new=modern, auth_method="client_secret_post", audience="x", resource="urn:r") as (here, server):
        server.hold = asyncio.Event()
        calls = [asyncio.ensure_future(ask(here.another())) for _ in range(10)]
        await within(_asked(server))
        server.hold.set()
        replies = await asyncio.gather(*calls)
        assert {reply.status for reply in replies} == {200}
        ((form, headers),) = server.forms
        assert "Authorization" not in headers
        assert form == {
            "grant_type": "client_credentials", "resource": "urn:r", "audience": "x", "client_id": "broker",
            "client_secret": SECRET,
        }  # fmt: skip


async def test_a_token_the_server_does_not_take_is_replaced_once() -> None:
    async with supplied(new=modern) as (here, server):
        numbers = iter(range(100))
        server.token = lambda form: given(f"t{next(numbers)}")(form)

        async def tool(asked: Asked) -> None:
            if asked.headers["authorization"] in ("Bearer t0", "Bearer t2", "Bearer t3"):
                await asked.reply(401, b"{}")
            else:
                await asked.result({"resultType": "complete", **DONE})

        here.backend.on("tools/call", tool)
        assert (await ask(here.client)).json["result"]["content"] == DONE["content"]
        assert shown(here) == ["Bearer t0", "Bearer t1"]
        server.token = given("t2")
        assert (await ask(here.client)).status == 200  # the one that is good stays
        assert len(server.forms) == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda form: web.json_response({"error": "invalid_client"}, status=401), "token-refused-401"),
        (lambda form: web.Response(status=302, headers={"Location": "/jwks"}), "token-refused-302"),
        (lambda form: web.Response(body=b"<html>"), "token-garbage"),
        (given("x", token_type="DPoP"), "token-of-another-kind"),
        (given("x", token_type=None), "token-of-another-kind"),
        (given("x\r\nHost: evil"), "token-garbage"),
        (given(""), "token-garbage"),
        (given("x", issued_token_type="urn:ietf:params:oauth:token-type:id_token"), "token-of-another-kind"),
    ],
)
async def test_without_a_token_nothing_is_sent_and_the_caller_hears_why(
    answer: Any, why: str, journal: Journal
) -> None:
    async with supplied(new=modern) as (here, server):
        server.token = answer
        for _ in range(3):  # the issuer is not asked again and again
            error = (await ask(here.client)).json["error"]
            assert error["data"] == {"origin": "broker", "reason": "backend-credential"}
        assert len(server.forms) == 1
        assert here.backend.asked == []
    assert [line["reason"] for line in journal() if line["event"] == "no-backend-token"] == [why]
    assert SECRET not in str(journal())


async def test_a_token_endpoint_elsewhere_is_asked_only_if_it_may_be(journal: Journal) -> None:
    async with supplied(new=modern) as (here, server):
        server.metadata = {"token_endpoint": "http://issuer.example/token"}
        assert (await ask(here.client)).json["error"]["data"]["reason"] == "backend-credential"
    assert "issuer-address" in [line["reason"] for line in journal() if line["event"] == "no-backend-token"]


# ---- exchange -------------------------------------------------------------------------------------------------------


def exchanged(form: Json) -> Any:
    """A token that says whose it is."""
    if form["grant_type"] != EXCHANGE:
        return given("own")(form)
    claims = jwt.decode(form["subject_token"], options={"verify_signature": False})
    return given(f"for-{claims['sub']}-{claims.get('jti', 0)}", issued_token_type=ACCESS_TOKEN)(form)


def shows(here: World, server: Server, sub: str, **claims: Any) -> str:
    return "Bearer " + sign(server.claims(aud=f"http://127.0.0.1:{here.port}/mcp", sub=sub, **claims))


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25", "2025-03-26"])
@pytest.mark.parametrize("client", ["session", "stateless"])
async def test_c114_each_callers_requests_carry_a_token_of_its_own(revision: str, client: str) -> None:
    async with supplied(grant="token-exchange", backend={"revision": revision}) as (here, server):
        server.token = exchanged
        if revision == "2026-07-28":
            here.backend.on("server/discover", completes(**discovery()))
            here.backend.on("tools/call", completes(**DONE))
        clients = {name: here.another() for name in ("ann", "bob")}
        for name, each in clients.items():
            each.headers = {"Authorization": shows(here, server, name)}
            if client == "session":
                await each.open()
        for each in [*clients.values(), *clients.values()]:
            reply = await each.call() if client == "session" else await ask(each)
            assert reply.status == 200
        called = [asked for asked in here.backend.asked if asked.key == "tools/call"]
        assert [asked.headers["authorization"] for asked in called] == ["Bearer for-ann-0", "Bearer for-bob-0"] * 2
        sessions: dict[str, set[str]] = {}
        for asked in here.backend.asked:
            sessions.setdefault(asked.headers.get("mcp-session-id", ""), set()).add(asked.headers["authorization"])
        assert all(len(used) == 1 for session, used in sessions.items() if session)
        subjects = [form for form, _ in server.forms if form["grant_type"] == EXCHANGE]
        assert len(subjects) == 2
        assert {form["subject_token_type"] for form in subjects} == {ACCESS_TOKEN}


async def test_d4_the_callers_own_token_goes_to_the_issuer_and_never_to_the_server() -> None:
    async with supplied(grant="token-exchange", new=modern) as (here, server):
        server.token = exchanged
        mine = shows(here, server, "ann")
        await ask(here.client, Authorization=mine)
        assert [form["subject_token"] for form, _ in server.forms] == [mine.removeprefix("Bearer ")]
        for asked in here.backend.asked:
            assert mine.removeprefix("Bearer ") not in str(asked.headers) + str(asked.message)


async def test_what_was_got_for_a_token_is_not_used_beyond_its_end_and_the_next_one_is_exchanged() -> None:
    async with supplied(grant="token-exchange", new=modern) as (here, server):
        server.token = exchanged
        soon = server.claims()["iat"] + 1  # ends before what it is exchanged for
        for number in range(2):
            token = shows(here, server, "ann", exp=soon - 20 if number == 0 else soon + 300, jti=str(number))
            await ask(here.client, Authorization=token)
        assert shown(here) in (["Bearer for-ann-1"], ["Bearer for-ann-0", "Bearer for-ann-1"])
        assert shown(here)[-1] == "Bearer for-ann-1"


async def test_a_caller_without_a_token_has_nothing_to_exchange(journal: Journal) -> None:
    keys = {"ann": hashlib.sha256(b"dgm_ann").hexdigest()}
    async with issuing() as server:
        section = {"grant": "token-exchange", "issuer": server.url, "client_id": "b", "client_secret": "s"}
        backend = {"token": section, "transport": "streamable-http"}
        async with modern(backend=backend, issuers=[{"issuer": server.url}], keys=keys) as here:
            error = (await ask(here.client, Authorization="Bearer dgm_ann")).json["error"]
            assert error["data"]["reason"] == "backend-credential"
            assert here.backend.asked == []
    assert [line["reason"] for line in journal() if line["event"] == "no-backend-token"] == ["caller-without-token"]


GOOD: Json = {"issuer": "https://i.example", "client_id": "b", "client_secret": "s"}


@pytest.mark.parametrize(
    "members",
    [
        {"token": {**GOOD, "issuer": "http://i.example"}},
        {"token": {**GOOD, "token_endpoint": "ftp://i.example"}},
        {"token": {**GOOD, "client_id": ""}},
        {"token": {**GOOD, "client_secret": "\u00e9"}},
        {"token": GOOD, "headers": {"authorization": "x"}},
        {"token": GOOD, "sign_in": True},
        {"token": {**GOOD, "grant": "token-exchange"}},
        {"token": {**GOOD, "grant": "token-exchange"}, "transport": "streamable-http"},
        {"token": {**GOOD, "grant": "token-exchange"}, "transport": "streamable-http", "session": "shared"},
    ],
)
def test_a_configuration_that_cannot_work_is_refused(members: Json) -> None:
    with pytest.raises(SettingsError):
        Settings.for_proxy("http://127.0.0.1:9/mcp", backend=members)
