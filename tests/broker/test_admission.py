"""Access tokens on the wire: challenges, metadata, sessions, ends of tokens (security catalogue C093 to C096, C108 to
C114)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from broker.app import SERVERS
from tests.broker.bridge_world import begin, serving
from tests.broker.conftest import Journal
from tests.broker.crossing_world import ACKNOWLEDGED, LISTEN, Listened
from tests.broker.http1_world import turn, within
from tests.broker.issuer_world import RSA_OTHER, Server, issuing, jwk, sign
from tests.broker.modern_world import ask, modern
from tests.broker.pair_world import PairClient, text
from tests.broker.scripted_backend import DONE, World, world

KEYS = {"ann": hashlib.sha256(b"dgm_ann").hexdigest()}
RESOURCE = "/.well-known/oauth-protected-resource"


@asynccontextmanager
async def guarded(
    *, new: Any = world, introspection: Any = None, **settings: Any
) -> AsyncIterator[tuple[World, Server]]:
    """A broker whose callers show tokens of an issuer on this machine, which is asked about them with a section."""
    async with issuing() as server:
        if introspection is not None:
            server.metadata = {"introspection_endpoint": f"{server.url}/introspect"}
        async with new(issuers=[{"issuer": server.url, "introspection": introspection}], **settings) as here:
            yield here, server


def token(here: World, server: Server, **claims: Any) -> str:
    return sign(server.claims(aud=f"http://127.0.0.1:{here.port}/mcp", **claims))


def shows(here: World, server: Server, **claims: Any) -> Any:
    return {"Authorization": f"Bearer {token(here, server, **claims)}"}


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_session_belongs_to_the_subject_and_goes_on_with_its_next_token(revision: str) -> None:
    async with guarded() as (here, server):
        await here.client.open(revision, **shows(here, server))
        for number in range(3):  # C094
            here.client.headers = shows(here, server, jti=str(number))
            assert (await here.client.call(number)).json["result"] == DONE
        assert server.asked["/jwks"] == 1


async def test_stateless_requests_are_their_subjects() -> None:
    async with guarded(new=modern) as (here, server):
        here.client.headers = shows(here, server)
        assert (await ask(here.client)).status == 200
        assert (await ask(here.client, Authorization="Bearer x.y.z")).status == 401


@pytest.mark.parametrize("verb", ["POST", "GET", "DELETE"])
async def test_c093_c095_a_session_is_nobodys_elses_on_any_verb(verb: str) -> None:
    async with guarded(keys=KEYS, anonymous="allow") as (here, server):
        await here.client.open(**shows(here, server))
        mine, body = here.client.session, b'{"jsonrpc":"2.0","id":1,"method":"ping"}' if verb == "POST" else b""
        others: list[dict[str, str]] = [{}, {"Authorization": "Bearer dgm_ann"}, shows(here, server, sub="bob")]
        replies = [await here.client.send(verb, body, **other) for other in others]
        unknown = await here.client.send(verb, body, **others[2], Mcp_Session_Id="unknown")
        assert [reply.status for reply in replies] == [404] * 3
        assert {reply.body for reply in replies} == {unknown.body}
        here.client.session, here.client.headers = mine, shows(here, server)
        assert (await here.client.call()).status == 200


async def test_c094_the_same_subject_of_another_issuer_is_somebody_else() -> None:
    async with issuing() as one, issuing() as two, world(issuers=[{"issuer": one.url}, {"issuer": two.url}]) as here:
        await here.client.open(**shows(here, one))
        here.client.headers = shows(here, two)
        assert (await here.client.call()).status == 404


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages?session_id=x"])
@pytest.mark.parametrize("verb", ["POST", "GET", "DELETE"])
async def test_a_refusal_says_where_to_read_whose_tokens_are_taken(verb: str, path: str) -> None:
    async with guarded(backend={"scopes": ["read"]}) as (here, _):
        here.client.path = path
        body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}' if verb == "POST" else b""
        reply = await here.client.send(verb, body, Accept="text/event-stream, application/json")
        if reply.status == 405:
            return
        challenge = (
            f'Bearer realm="dragoman", scope="read", resource_metadata="http://127.0.0.1:{here.port}{RESOURCE}/mcp"'
        )
        assert (reply.status, reply.headers["www-authenticate"]) == (401, challenge)
        assert reply.json["error"]["data"] == {"origin": "broker", "reason": "no-credential"}
        assert here.backend.asked == []


async def test_the_challenge_for_each_kind_of_refusal(journal: Journal) -> None:
    async with guarded(backend={"scopes": ["write"], "method_scopes": {"tools/*": ["tools"]}}) as (here, server):
        where = f'resource_metadata="http://127.0.0.1:{here.port}{RESOURCE}/mcp"'
        client = here.client
        for credential, status, said in (
            ("Bearer a.b.c", 401, 'error="invalid_token", scope="write"'),
            ("Basic eDp5", 401, 'error="invalid_request", scope="write"'),
            ("Bearer " + token(here, server, scope="read"), 403, 'error="insufficient_scope", scope="write"'),
        ):
            reply = await client.post({"id": 1, "method": "ping"}, Authorization=credential)
            assert reply.status == status
            assert reply.headers["www-authenticate"] == f'Bearer realm="dragoman", {said}, {where}'
        client.headers = shows(here, server, scope="write")
        await client.open()
        reply = await client.call(7)  # what the operation needs, and no more
        assert (reply.status, reply.json["id"]) == (403, 7)
        said = 'error="insufficient_scope", scope="tools write"'
        assert reply.headers["www-authenticate"] == f'Bearer realm="dragoman", {said}, {where}'
        assert here.backend.count("tools/call") == 0
        client.headers = shows(here, server, scope="write tools")  # the client has asked for more
        for number in range(3):
            assert (await client.call(number)).json["result"] == DONE
        client.headers = shows(here, server, scope="write")
        assert (await client.call(8)).status == 403
    refused = [line for line in journal() if line["event"] == "refused"]
    assert refused[0]["reason"] == "token-format"
    assert [line["principal"] for line in refused if "principal" in line] == [f"token:{server.url} ann"] * 2


async def test_scopes_of_methods_hold_on_every_transport_and_for_keys() -> None:
    keys = {"ann": {"sha256": KEYS["ann"], "scopes": ["tools"]}, "bob": hashlib.sha256(b"dgm_bob").hexdigest()}
    async with world(keys=keys, backend={"method_scopes": {"tools/call": ["tools"]}}) as here:
        for key, good in (("dgm_ann", True), ("dgm_bob", False)):
            client = PairClient(here)
            client.headers = {"Authorization": f"Bearer {key}"}
            await client.open()
            if good:
                assert text(await client.ask(1, "tools/call", {"name": "x"})) == "done"
            else:
                reply = await client.post({"id": 1, "method": "tools/call", "params": {"name": "x"}})
                assert (reply.status, reply.headers["www-authenticate"]) == (
                    403,
                    'Bearer realm="dragoman", error="insufficient_scope", scope="tools"',
                )
            assert (await ask(here.client, Authorization=f"Bearer {key}")).status == (200 if good else 403)


async def test_the_metadata_name_the_server_its_issuers_and_its_scopes() -> None:
    async with guarded(backend={"scopes": ["b", "a"], "method_scopes": {"x": ["c"]}}) as (here, server):
        for path in (RESOURCE, f"{RESOURCE}/mcp"):
            here.client.path = path
            reply = await here.client.send("GET", Accept="application/json")
            assert reply.status == 200
            assert reply.json == {
                "resource": f"http://127.0.0.1:{here.port}/mcp",
                "authorization_servers": [server.url],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["a", "b", "c"],
            }
            reply = await here.client.send("GET", Host=f"localhost:{here.port}")
            assert reply.json["resource"] == f"http://localhost:{here.port}/mcp"


@pytest.mark.parametrize("path", [RESOURCE, f"{RESOURCE}/mcp", "/.well-known/oauth-authorization-server"])
async def test_c041_c043_the_metadata_are_behind_the_same_door(path: str) -> None:
    async with guarded() as (here, _):
        here.client.path = path
        assert (await here.client.send("GET", Origin="https://evil.example")).status == 403
        assert (await here.client.send("GET", Host="evil.example")).status == 421
        assert (await here.client.send("POST", b"{}")).status == 405
        assert (await here.client.send("OPTIONS", Origin="https://evil.example")).status == 403


async def test_without_issuers_there_are_no_metadata() -> None:
    async with world(keys=KEYS) as here:
        for path in (RESOURCE, f"{RESOURCE}/mcp", "/.well-known/oauth-authorization-server"):
            here.client.path = path
            assert (await here.client.send("GET")).status == 404


async def test_clients_of_2025_03_26_find_the_issuers_metadata_at_the_servers_origin() -> None:
    async with guarded() as (here, server):
        server.metadata = {"authorization_endpoint": f"{server.url}/authorize", "token_endpoint": f"{server.url}/token"}
        here.client.path = "/.well-known/oauth-authorization-server"
        reply = await here.client.send("GET")
        assert reply.json == {"issuer": server.url, "jwks_uri": f"{server.url}/jwks", **server.metadata}
        await here.client.send("GET")
        assert server.asked[server.path] == 1


async def test_c111_an_issuer_that_is_away_lets_nobody_in_and_says_so(journal: Journal) -> None:
    async with guarded() as (here, server):
        server.broken = lambda: web.Response(status=500)
        reply = await here.client.post({"id": 1, "method": "ping"}, **shows(here, server))
        assert (reply.status, reply.headers["retry-after"]) == (503, "5")
        assert reply.json["error"]["data"] == {"origin": "broker", "reason": "issuer-away"}
        assert "www-authenticate" not in reply.headers
        here.client.path = "/.well-known/oauth-authorization-server"
        assert (await here.client.send("GET")).status == 503
        assert here.backend.asked == []
    assert [line["reason"] for line in journal() if line["event"] == "issuer-not-read"] == ["issuer-status"]


async def test_a_new_key_is_taken_and_an_old_token_refused_once_its_key_is_gone() -> None:
    async with guarded(limits={"issuer_retry_s": 0.001}) as (here, server):
        old = token(here, server, jti="1")
        assert (await here.client.open(Authorization=f"Bearer {old}")).status == 200
        server.keys = [jwk(RSA_OTHER, "r2")]
        new = sign(server.claims(aud=f"http://127.0.0.1:{here.port}/mcp"), key=RSA_OTHER, kid="r2")
        here.client.headers = {"Authorization": f"Bearer {new}"}
        assert (await here.client.call()).status == 200
        here.client.headers = shows(here, server, jti="2")
        assert (await here.client.call(2)).status == 401


async def test_c096_a_token_of_one_server_is_none_of_its_neighbour(tmp_path: Path) -> None:
    from tests.broker.reload_world import serving

    async with issuing() as server, serving(tmp_path, issuers=[{"issuer": server.url}]) as here:
        one, two = here.client("one"), here.client("two")
        own = sign(server.claims(aud=f"http://127.0.0.1:{here.broker.port}/servers/one/mcp"))
        await one.open(Authorization=f"Bearer {own}")
        refused = await two.post({"id": 1, "method": "ping"}, Authorization=f"Bearer {own}")
        assert refused.status == 401
        challenge = refused.headers["www-authenticate"]
        assert challenge.endswith(f'resource_metadata="http://127.0.0.1:{here.broker.port}{RESOURCE}/servers/two/mcp"')
        two.path = f"{RESOURCE}/servers/two/mcp"
        found = (await two.send("GET")).json
        assert found["resource"] == f"http://127.0.0.1:{here.broker.port}/servers/two/mcp"
        two.path = RESOURCE
        assert (await two.send("GET")).status == 404  # of two, none is what is protected at the root


async def test_c113_what_a_request_says_of_its_caller_is_no_identity_and_goes_nowhere() -> None:
    said = {
        "X_User": "root", "X_Forwarded_For": "127.0.0.1", "X_Forwarded_User": "root", "Forwarded": "for=127.0.0.1",
        "X_Upstream_Authorization": "Bearer stolen", "X_Authenticated_User": "root", "Cookie": "a=b",
        "Proxy_Authorization": "Basic eDp5", "X_Api_Key": "k", "X_Real_IP": "127.0.0.1",
    }  # fmt: skip
    async with guarded(keys=KEYS) as (here, server):
        assert (await here.client.post({"id": 1, "method": "ping"}, **said)).status == 401
        here.client.headers = {**shows(here, server), **{name.replace("_", "-"): value for name, value in said.items()}}
        await here.client.open()
        await here.client.call()
        await ask(here.client)
        for asked in here.backend.asked:
            assert set(asked.headers).isdisjoint({name.replace("_", "-").lower() for name in said})
            assert "authorization" not in asked.headers


async def test_d4_a_token_is_not_passed_on_to_a_stateless_server_either() -> None:
    async with guarded(new=modern, backend={"headers": {"Authorization": "Bearer own"}}) as (here, server):
        shown = shows(here, server)
        await ask(here.client, Cookie="a=b", **shown)
        assert [asked.headers["authorization"] for asked in here.backend.asked] == ["Bearer own"]
        sent = json.dumps([[asked.headers, asked.message] for asked in here.backend.asked])
        assert shown["Authorization"].removeprefix("Bearer ") not in sent


# ---- the end of a token ---------------------------------------------------------------------------------------------

QUICK = {"revocation_s": 0.05, "token_leeway_s": 0}


async def test_c108_a_standing_stream_ends_with_its_token_and_its_session_goes_on_with_the_next() -> None:
    async with guarded(limits=QUICK) as (here, server):
        clock = here.broker.app[SERVERS].identities
        await here.client.open(**shows(here, server))
        here.client.headers = shows(here, server)
        stream = await here.client.send("GET", Accept="text/event-stream")
        now = clock.wall
        clock.wall = lambda: now() + 1_000
        while await stream.event() is not None:
            pass
        assert (await here.client.call()).status == 401
        here.client.headers = shows(here, server, exp=server.claims()["exp"] + 2_000)
        assert (await here.client.call()).json["result"] == DONE
        assert (await here.client.send("GET", Accept="text/event-stream")).status == 200


async def test_a_session_of_the_pair_ends_with_its_token() -> None:
    async with guarded(limits=QUICK) as (here, server):
        clock = here.broker.app[SERVERS].identities
        client = PairClient(here)
        client.headers = {**shows(here, server)}
        await client.open()
        now = clock.wall
        clock.wall = lambda: now() + 1_000
        while await client.stream.event() is not None:
            pass


async def test_heads_that_are_known_are_known_no_longer_than_their_token() -> None:
    async with guarded(limits=QUICK) as (here, server):
        clock = here.broker.app[SERVERS].identities
        here.client.headers = shows(here, server)
        await here.client.open()
        for number in range(3):
            assert (await here.client.call(number)).status == 200
            assert (await ask(here.client)).status == 200
        now = clock.wall
        clock.wall = lambda: now() + 1_000
        assert (await here.client.call()).status == 401
        assert (await ask(here.client)).status == 401


async def _parked(here: World) -> None:
    async def never(asked: Any) -> None:
        await asked.gone()

    here.backend.on("tools/call", never)


@pytest.mark.parametrize("era", ["session", "stateless"])
async def test_c109_a_call_of_a_revoked_token_is_answered_with_an_error_and_cancelled(
    tmp_path: Path, era: str, journal: Journal
) -> None:
    file = tmp_path / "revoked"
    file.write_text("", encoding="utf-8")
    new = modern if era == "stateless" else world
    async with guarded(new=new, limits=QUICK, revoked=file) as (here, server):
        await _parked(here)
        here.client.headers = shows(here, server, jti="stolen")
        if era == "session":
            await here.client.open()
        call = asyncio.ensure_future(here.client.call() if era == "session" else ask(here.client))
        await here.backend.next("tools/call")
        file.write_text("stolen\n", encoding="utf-8")
        reply = await within(call)
        assert reply.status == 404 or reply.json["error"]["data"]["origin"] == "broker"
        await within(here.backend.asked[-1].gone()) if era == "stateless" else await here.backend.next("DELETE")
        again = await here.client.call()
        assert again.status == 401
    assert [line["reason"] for line in journal() if line["event"] == "cut-off"] == ["revoked"]


async def test_a_call_that_is_suspended_ends_with_its_revoked_credential(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_text("", encoding="utf-8")
    async with guarded(limits=QUICK, revoked=file) as (here, server):
        serving(here)
        here.client.headers = shows(here, server)
        assert (await begin(here)).json["result"]["resultType"] == "input_required"
        assert here.pool.parked == 1
        file.write_text(f"token:{server.url} ann\n", encoding="utf-8")
        await here.backend.next("DELETE")
        assert here.pool.parked == 0


async def test_a_stream_is_watched_also_where_its_token_was_verified_long_ago() -> None:
    async with guarded(limits=QUICK, new=modern) as (here, server):
        servers = here.broker.app[SERVERS]
        here.client.headers = shows(here, server)
        assert (await ask(here.client)).status == 200

        async def idle() -> None:
            while servers.lapses.looking:
                await turn()

        await within(idle())
        here.backend.on(LISTEN, Listened())
        listen = await ask(here.client, LISTEN, {"notifications": {"toolsListChanged": True}})
        assert (await listen.message())["method"] == ACKNOWLEDGED
        now = servers.identities.wall
        servers.identities.wall = lambda: now() + 1_000
        while await listen.event() is not None:
            pass


async def test_c095_a_credential_that_fails_is_never_anonymous() -> None:
    async with guarded(anonymous="allow") as (here, server):
        await here.client.open()
        for bad in ("Bearer x.y.z", "Bearer x", "Basic eDp5", f"Bearer {token(here, server, exp=1)}"):
            assert (await here.client.post({"id": 1, "method": "ping"}, Authorization=bad)).status == 401


async def test_c112_a_check_that_fails_for_a_fault_of_ours_lets_nobody_in() -> None:
    async with guarded(anonymous="allow") as (here, server):
        identities = here.broker.app[SERVERS].identities
        mine, wall = shows(here, server), identities.wall

        def fault() -> float:
            raise ZeroDivisionError

        identities.wall = fault
        reply = await here.client.post({"id": 1, "method": "ping"}, **mine)
        assert (reply.status, reply.json["error"]["code"]) == (500, -32603)
        assert here.backend.asked == []
        identities.wall = wall
        assert (await here.client.open(**mine)).status == 200
