"""Keys and issuers that change while the broker serves: who gets in from now on, whose sessions and calls go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker import telemetry
from broker.identity.principal import digest_of
from tests.broker.http1_world import turn, within
from tests.broker.issuer_world import Server, issuing, sign
from tests.broker.modern_world import ask
from tests.broker.reload_world import Here, both, serving
from tests.broker.scripted_backend import Asked, Client

Json = dict[str, Any]


def keys_of(*names: str, **scopes: list[str]) -> Json:
    """Keys that are called as their callers are."""
    return {name: {"sha256": digest_of(name), "scopes": scopes.get(name, [])} for name in names}


def holder(here: Here, credential: str, server: str = "one") -> Client:
    client = here.client(server)
    client.headers = {"Authorization": f"Bearer {credential}"}
    return client


def token(here: Here, issuer: Server, **claims: Any) -> str:
    return sign(issuer.claims(aud=f"http://127.0.0.1:{here.broker.port}/servers/one/mcp", **claims))


@contextlib.asynccontextmanager
async def trusting(tmp_path: Path, *issuers: Server, **members: Any) -> AsyncIterator[Here]:
    async with serving(tmp_path, issuers=[{"issuer": each.url} for each in issuers], **members) as here:
        yield here


async def test_a_key_that_is_gone_ends_what_is_open_under_it_and_a_new_one_lets_in(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=keys_of("ann", "bob")) as here:
        held: list[Asked] = []

        async def hold(asked: Asked) -> None:
            held.append(asked)

        here.one.on("tools/call", hold)
        ann, bob = holder(here, "ann"), holder(here, "bob")
        calls = []
        for client in (ann, bob):
            await client.open()
            calls.append(asyncio.ensure_future(client.call()))
            await here.one.next("tools/call")
        here.write(keys=keys_of("bob", "cid"))
        found = here.reload.now()
        assert found is not None
        assert (found.callers, found.kept) == (("key:ann", "key:cid"), ("one", "two"))
        ended = await within(calls[0])
        assert ended.status == 404 or ended.json["error"]["data"]["origin"] == "broker"
        await held[1].result()
        assert (await within(calls[1])).json["result"]["content"][0]["text"] == "done"
        here.one.on("tools/call", Asked.result)
        assert (await ann.call()).status == 401
        assert (await bob.call()).status == 200
        assert here.one.count("initialize") == 2
        assert (await holder(here, "cid").open()).status == 200


async def test_a_key_that_was_shown_on_this_connection_before_is_no_key_any_more(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=keys_of("ann", "bob")) as here:
        session, stateless = holder(here, "ann"), holder(here, "ann")
        await session.open()
        for _ in range(3):
            assert (await session.call()).status == 200
            assert (await ask(stateless)).status == 200
        here.write(keys=keys_of("bob"))
        assert here.reload.now() is not None
        assert (await session.call()).status == 401
        assert (await ask(stateless)).status == 401


async def test_scopes_of_a_key_are_those_of_now(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=keys_of("ann", ann=["use"])) as here:
        here.write(servers=both(here, scopes=["use"]))
        assert here.reload.now() is not None
        client = holder(here, "ann", "two")
        await client.open()
        for _ in range(3):
            assert (await client.call()).status == 200
        here.write(keys=keys_of("ann"))
        assert here.reload.now() is not None
        assert (await client.call()).status == 403
        here.write(keys=keys_of("ann", ann=["use", "more"]))
        assert here.reload.now() is not None
        client.session = ""
        await client.open()
        assert (await client.call()).status == 200


async def test_an_issuer_takes_the_place_of_another_and_the_others_callers_stay(tmp_path: Path) -> None:
    async with issuing() as stays, issuing() as goes, issuing() as comes, trusting(tmp_path, stays, goes) as here:
        kept, lost = (holder(here, token(here, issuer)) for issuer in (stays, goes))
        for client in (kept, lost):
            await client.open()
            assert (await client.call()).status == 200
        new = holder(here, token(here, comes))
        with pytest.raises(AssertionError):
            await new.open()
        here.write(issuers=[{"issuer": stays.url}, {"issuer": comes.url}])
        found = here.reload.now()
        assert found is not None
        assert found.callers == tuple(sorted([goes.url, comes.url]))
        assert (await kept.call()).status == 200
        assert (await lost.call()).status == 401
        await here.one.next("DELETE")
        assert (await new.open()).status == 200
        new.path = "/.well-known/oauth-protected-resource/servers/one/mcp"
        assert (await new.send("GET")).json["authorization_servers"] == [stays.url, comes.url]
        assert stays.asked["/jwks"] == 1


async def test_rules_of_an_issuer_hold_for_tokens_that_were_verified_before(tmp_path: Path) -> None:
    async with issuing() as issuer, trusting(tmp_path, issuer) as here:
        client = holder(here, token(here, issuer))
        await client.open()
        assert (await client.call()).status == 200
        here.write(issuers=[{"issuer": issuer.url, "algorithms": ["ES256"]}])
        assert here.reload.now() is not None
        assert (await client.call()).status == 401


async def test_what_decides_whether_anybody_needs_a_credential_takes_a_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with issuing() as issuer, serving(tmp_path) as here:
        telemetry.configure("json")
        await here.client("one").open()
        for members in ({"keys": keys_of("ann")}, {"issuers": [{"issuer": issuer.url}]}):
            here.write(**{"keys": {}, "issuers": [], **members})
            assert here.reload.now() is None
            said = capsys.readouterr().err
            assert f"{next(iter(members))}: cannot be changed without a restart" in said
        assert (await here.client("two").open()).status == 200


async def test_an_issuer_whose_authorities_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    async with issuing() as issuer, trusting(tmp_path, issuer, keys=keys_of("ann")) as here:
        pem = tmp_path / "not.pem"
        pem.write_text("no certificate", encoding="utf-8")
        here.write(keys={}, issuers=[{"issuer": "https://other.example", "ca_bundle": str(pem)}])
        assert here.reload.now() is None
        for credential in ("ann", token(here, issuer)):
            assert (await holder(here, credential).open()).status == 200


@pytest.mark.parametrize("asks", [False, True])
async def test_a_reload_while_an_issuer_is_asked_leaves_no_request_without_an_answer(
    tmp_path: Path, asks: bool
) -> None:
    """What the last configuration's issuer says counts no more; whoever waits for it may come again."""
    async with issuing() as issuer:
        told = {"client_id": "a", "client_secret": "b", "opaque": True, "endpoint": f"{issuer.url}/introspect"}
        more: Json = {"introspection": told} if asks else {}
        async with serving(tmp_path, issuers=[{"issuer": issuer.url, **more}]) as here:
            shown = "opaque-1" if asks else token(here, issuer)
            issuer.opaque["opaque-1"] = issuer.claims(aud=f"http://127.0.0.1:{here.port}/servers/one/mcp")
            client = holder(here, shown)
            issuer.hold = asyncio.Event()
            asking = asyncio.ensure_future(client.post({"id": 1, "method": "ping"}))
            while not issuer.asked:
                await turn()
            here.write(issuers=[{"issuer": issuer.url, "algorithms": ["RS256"], **more}])
            assert here.reload.now() is not None
            answer = await within(asking)
            assert (answer.status, answer.json["error"]["data"]["reason"]) == (503, "issuer-away")
            issuer.hold.set()
            assert (await client.open()).status == 200
