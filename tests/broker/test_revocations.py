"""Credentials that end under open calls: every call is answered in the form of its era, and cancelled at its server
(security catalogue D6, C108, C109); and the address at which an operator revokes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from broker.app import SERVERS
from broker.audit.opening import open_log
from broker.audit.options import AuditOptions, FileOptions
from broker.edge import EdgeSettings
from broker.revocations import MAX_ENTRIES, Revocations
from broker.settings import Settings
from broker.status import Status
from tests.broker.bridge_world import INPUTS, again, answers_to, begin, bridging, final, serving
from tests.broker.conftest import Journal
from tests.broker.http1_world import within
from tests.broker.issuer_world import Server
from tests.broker.modern_world import COMPLETE, ask, envelope, modern
from tests.broker.pair_world import PairClient
from tests.broker.scripted_backend import Asked, Json, Reply, World, world
from tests.broker.test_admission import QUICK, guarded, shows

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
ADMIN = "dgm_admin"
ADMIN_SHA256 = hashlib.sha256(ADMIN.encode()).hexdigest()


async def streams(asked: Asked) -> None:
    """A tool that says something, and then works for ever."""
    await asked.stream()
    token = asked.message["params"]["_meta"]["progressToken"]
    await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})


async def waits(_asked: Asked) -> None:
    """A tool that says nothing."""


def reason(message: Json) -> str:
    assert message["error"]["data"]["origin"] == "broker"
    return str(message["error"]["data"]["reason"])


async def last(reply: Reply) -> Json:
    """The last message of an answer, which has to end with it."""
    if not reply.streams:
        found: Json = reply.json
        return found
    message: Json = {}
    while (event := await reply.event()) is not None:
        message = json.loads(event.data) if event.data else message
    return message


def expire(here: World) -> None:
    """Every token that was made out until now has expired."""
    identities = here.broker.app[SERVERS].identities
    now = identities.wall
    identities.wall = lambda: now() + 1_000


def revoke(here: World, *entries: str) -> int:
    return here.broker.app[SERVERS].lapses.revoke(list(entries)).ended


META: Json = {"_meta": {"progressToken": "p"}}


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_c109_a_session_clients_call_is_answered_before_its_stream_ends(
    revision: str, streaming: bool, how: str
) -> None:
    async with guarded(limits=QUICK, status={"admin_key": ADMIN_SHA256}) as (here, server):
        here.backend.on("tools/call", streams if streaming else waits)
        here.client.headers = shows(here, server, jti="stolen")
        await here.client.open(revision)
        call = asyncio.ensure_future(here.client.call(7, **META))
        asked = await here.backend.next("tools/call")
        if streaming:
            await within(asyncio.wait([call]))
        if how == "revoked":
            assert revoke(here, "stolen") == 1
        else:
            expire(here)
        reply = await within(call)
        assert reply.status == 200
        message = await last(reply)
        assert (message["id"], reason(message)) == (7, how)
        cancelled = await here.backend.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == asked.id
        if how == "revoked":
            await here.backend.next("DELETE")


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_c109_a_stateless_clients_stream_ends_with_a_response(streaming: bool, how: str) -> None:
    async with guarded(new=modern, limits=QUICK, status={"admin_key": ADMIN_SHA256}) as (here, server):
        here.backend.on("tools/call", streams if streaming else waits)
        here.client.headers = shows(here, server, jti="stolen")
        call = asyncio.ensure_future(ask(here.client, id=7, meta=envelope(progressToken="p")))
        asked = await here.backend.next("tools/call")
        if streaming:
            await within(asyncio.wait([call]))
        if how == "revoked":
            assert revoke(here, "stolen") == 1
        else:
            expire(here)
        message = await last(await within(call))
        assert (message["id"], reason(message)) == (7, how)
        await asked.gone()


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_c109_a_client_of_the_pair_is_told_on_its_stream_before_that_ends(how: str) -> None:
    async with guarded(limits=QUICK, status={"admin_key": ADMIN_SHA256}) as (here, server):
        here.backend.on("tools/call", waits)
        client = PairClient(here)
        client.headers = {**shows(here, server, jti="stolen")}
        await client.open()
        await client.post({"id": 7, "method": "tools/call", "params": {"name": "x"}})
        await here.backend.next("tools/call")
        if how == "revoked":
            revoke(here, "stolen")
        else:
            expire(here)
        assert reason(await client.answer(7)) == how
        assert await client.stream.event() is None
        await here.backend.next("notifications/cancelled")


@pytest.mark.parametrize("era", ["session", "stateless"])
@pytest.mark.parametrize("why", ["renewed", "finish"])
async def test_a_call_outlives_its_token_if_its_caller_has_another_or_the_operator_says_so(era: str, why: str) -> None:
    new = world if era == "session" else modern
    settings: Json = {"expired_calls": "finish"} if why == "finish" else {}
    async with guarded(new=new, limits=QUICK, **settings) as (here, server):
        here.backend.on("tools/call", waits)
        here.client.headers = shows(here, server)
        if era == "session":
            await here.client.open()
        call = asyncio.ensure_future(here.client.call(7) if era == "session" else ask(here.client, id=7))
        asked = await here.backend.next("tools/call")
        if why == "renewed":
            other = here.another()
            other.headers = shows(here, server, exp=server.claims()["exp"] + 2_000)
            assert (await ask(other, "tools/list")).status == 200
        expire(here)
        watch = here.broker.app[SERVERS].lapses
        looked = [watch._end() for _ in range(2)]
        await asked.result({} if era == "session" else COMPLETE)
        assert "result" in (await within(call)).json
        assert looked == [0, 0]


async def test_d6_a_suspended_call_ends_with_the_credential_it_was_made_with_and_no_other() -> None:
    async with guarded(new=bridging, limits=QUICK, status={"admin_key": ADMIN_SHA256}) as (here, server):
        serving(here)
        first, second = here.another(), here.another()
        first.headers, second.headers = shows(here, server, jti="stolen"), shows(here, server, jti="good")
        lost = await begin(here, client=first)
        kept = await begin(here, client=second)
        assert here.pool.parked == 2
        assert revoke(here, "stolen") == 1
        assert here.pool.parked == 1
        await here.backend.next("notifications/cancelled")
        done = await final(await again(here, kept, answers_to(kept), client=second))
        assert done["result"]["resultType"] == "complete"
        refused = await again(here, lost, answers_to(lost), client=second)
        assert refused.json["error"]["code"] == -32602


async def test_d6_a_suspended_call_that_was_taken_up_with_another_credential_is_that_ones() -> None:
    async with guarded(new=bridging, limits=QUICK, status={"admin_key": ADMIN_SHA256}) as (here, server):
        serving(here, rounds=2)
        here.client.headers = shows(here, server, jti="old")
        first = await begin(here)
        here.client.headers = shows(here, server, jti="new")
        second = await again(here, first, answers_to(first))
        assert revoke(here, "old") == 0
        assert here.pool.parked == 1
        assert revoke(here, "new") == 1
        assert here.pool.parked == 0
        assert (await again(here, second, answers_to(second))).status == 401


async def test_d6_suspended_calls_end_with_their_expired_token() -> None:
    async with guarded(new=bridging, limits=QUICK) as (here, server):
        serving(here)
        here.client.headers = shows(here, server)
        await begin(here, INPUTS)
        assert here.pool.parked == 1
        expire(here)
        await here.backend.next("notifications/cancelled")
        assert here.pool.parked == 0


async def test_a_subscription_of_a_revoked_credential_ends_with_an_error() -> None:
    async with guarded(new=modern, limits=QUICK, status={"admin_key": ADMIN_SHA256}) as (here, server):
        here.backend.on("subscriptions/listen", _acknowledges)
        here.client.headers = shows(here, server, jti="stolen")
        stream = await ask(here.client, "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=3)
        revoke(here, "stolen")
        message = await last(stream)
        assert (message["id"], reason(message)) == (3, "revoked")


async def _acknowledges(asked: Asked) -> None:
    await asked.stream()
    meta = {"io.modelcontextprotocol/subscriptionId": asked.id}
    params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
    await asked.event({"method": "notifications/subscriptions/acknowledged", "params": params})


@pytest.mark.parametrize("era", ["session", "stateless"])
async def test_c109_the_audit_says_revoked(tmp_path: Path, era: str, journal: Journal) -> None:
    log = open_log(AuditOptions(file=FileOptions(tmp_path / "audit.jsonl")))
    new = world if era == "session" else modern
    async with guarded(new=new, limits=QUICK, status={"admin_key": ADMIN_SHA256}, audit_log=log) as (here, server):
        here.backend.on("tools/call", waits)
        here.client.headers = shows(here, server, jti="stolen")
        if era == "session":
            await here.client.open()
        call = asyncio.ensure_future(here.client.call(7) if era == "session" else ask(here.client, id=7))
        await here.backend.next("tools/call")
        revoke(here, "stolen")
        await within(call)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [line.get("status_detail") for line in lines if line.get("api", {}).get("operation") == "tools/call"]
    assert told[-1] == "revoked"
    assert "credential-revoked" in [line.get("status_detail") for line in lines]
    assert [line["reason"] for line in journal() if line["event"] == "cut-off"] == ["revoked"]


async def test_c109_the_audit_says_why_a_suspended_call_was_given_up(tmp_path: Path) -> None:
    log = open_log(AuditOptions(file=FileOptions(tmp_path / "audit.jsonl")))
    admin_key = {"admin_key": ADMIN_SHA256}
    async with guarded(new=bridging, limits=QUICK, status=admin_key, audit_log=log) as (here, server):
        serving(here)
        here.client.headers = shows(here, server, jti="stolen")
        await begin(here)
        revoke(here, "stolen")
        await here.backend.next("notifications/cancelled")
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [line for line in lines if line["api"]["operation"] == "tools/call"]
    assert [line["metadata"]["event_code"] for line in told] == ["admitted", "outcome"]
    assert told[1]["status_detail"] == "revoked"


# ---- the address on the status port ---------------------------------------------------------------------------------


@asynccontextmanager
async def admin(here: World) -> AsyncIterator[Any]:
    """What answers POST /revocations."""
    door = EdgeSettings.at("127.0.0.1", 8809, Settings.for_proxy("http://127.0.0.1:1/mcp"))
    revocations = Revocations(here.broker.app[SERVERS].lapses.revoke, ADMIN_SHA256)
    status = Status(dict, lambda: True, None, revocations)
    runner = web.AppRunner(status.app(door), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/revocations"
    async with ClientSession() as session:

        async def post(body: Any, key: str = ADMIN, **headers: str) -> tuple[int, Json]:
            fields = {"Host": "127.0.0.1:8809", "Content-Type": "application/json", **headers}
            fields |= {"Authorization": f"Bearer {key}"} if key else {}
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            async with session.post(url, data=data, headers=fields) as answer:
                kind = answer.content_type
                return answer.status, await answer.json() if kind == "application/json" else {}

        try:
            yield post
        finally:
            await runner.cleanup()


def entry(kind: str, server: Server, shown: Json) -> str:
    """What names a credential or its caller."""
    token = str(shown["Authorization"]).removeprefix("Bearer ")
    names = {
        "jti": "t-1",
        "digest": hashlib.sha256(token.encode()).hexdigest(),
        "caller": f"token:{server.url} ann",
    }
    return names[kind]


@pytest.mark.parametrize("kind", ["jti", "digest", "caller"])
async def test_an_operator_revokes_and_it_has_happened_when_the_answer_comes(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "revoked"
    file.write_text("# none yet", encoding="utf-8")
    async with guarded(limits={"revocation_s": 5}, revoked=file, status={"admin_key": ADMIN_SHA256}) as (here, server):
        here.client.headers = shows(here, server, jti="t-1")
        await here.client.open()
        async with admin(here) as post:
            named = entry(kind, server, here.client.headers)
            assert await post({"entries": [named]}) == (200, {"entries": 1, "ended": 1, "kept": True})
        assert len(here.context.sessions) == 0
        assert (await here.client.call()).status == 401
        assert file.read_text(encoding="utf-8").split("\n") == ["# none yet", named, ""]


async def test_what_is_taken_out_of_the_file_is_revoked_no_more(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_text("", encoding="utf-8")
    keys = {"ann": hashlib.sha256(b"ann").hexdigest()}
    async with world(keys=keys, revoked=file, status={"admin_key": ADMIN_SHA256}) as here, admin(here) as post:
        here.client.headers = {"Authorization": "Bearer ann"}
        assert (await post({"entries": ["key:ann"]}))[1]["kept"]
        revoked = here.broker.app[SERVERS].identities.revoked
        assert revoked.look()
        assert (await here.client.post({"id": 1, "method": "ping"})).status == 401
        file.write_text("# nobody\n", encoding="utf-8")
        assert revoked.look()
        await here.client.open()


async def test_without_a_file_a_revocation_holds_until_the_restart_and_says_so() -> None:
    keys = {"ann": hashlib.sha256(b"ann").hexdigest()}
    async with world(keys=keys, status={"admin_key": ADMIN_SHA256}) as here, admin(here) as post:
        here.client.headers = {"Authorization": "Bearer ann"}
        await here.client.open()
        assert await post({"entries": ["key:ann"]}) == (200, {"entries": 1, "ended": 1, "kept": False})
        assert (await here.client.call()).status == 401


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"entries": ["a"]}, {"key": ""}, 401),
        ({"entries": ["a"]}, {"key": "dgm_other"}, 401),
        ({"entries": ["a"]}, {"Host": "evil.example"}, 421),
        ({"entries": ["a"]}, {"Origin": "https://evil.example"}, 403),
        ({"entries": ["a"]}, {"Content-Type": "text/plain"}, 415),
        ({"entries": []}, {}, 400),
        ({"entries": "a"}, {}, 400),
        ({"entries": [1]}, {}, 400),
        ({"entries": ["a\nb"]}, {}, 400),
        ({"entries": ["#a"]}, {}, 400),
        ({"entries": [" a"]}, {}, 400),
        ({"entries": ["a"], "more": 1}, {}, 400),
        ({"expires_at": 1}, {}, 400),
        ({"entries": ["a"], "expires_at": "1"}, {}, 400),
        ({"entries": ["a"], "expires_at": True}, {}, 400),
        ({"entries": ["a"], "expires_at": -1}, {}, 400),
        (b'{"entries":["a"],"expires_at":NaN}', {}, 400),
        ({"entries": ["a"] * (MAX_ENTRIES + 1)}, {}, 400),
        (b'{"entries":["a"],"entries":["b"]}', {}, 400),
        (b"nonsense", {}, 400),
        (b" " * 300_000, {}, 413),
    ],
)
async def test_nobody_else_revokes_and_nothing_else_is_revoked(body: Any, headers: Any, status: int) -> None:
    async with world(status={"admin_key": ADMIN_SHA256}) as here, admin(here) as post:
        assert (await post(body, **headers))[0] == status
        assert not here.broker.app[SERVERS].identities.revoked


def test_without_a_key_there_is_no_such_address() -> None:
    door = EdgeSettings.at("127.0.0.1", 8809, Settings.for_proxy("http://127.0.0.1:1/mcp"))
    paths = [str(route.resource) for route in Status(dict, lambda: True).app(door).router.routes()]
    assert not any("revocations" in path for path in paths)
