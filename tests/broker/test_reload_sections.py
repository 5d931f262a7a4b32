"""Quotas, sanitising, clearance, revocations and certificates that change while the broker serves."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from broker.app import CONTEXTS, SERVERS
from broker.changes import Changes
from broker.reload import Reload
from tests.broker.bridge_world import INPUTS, Server
from tests.broker.certificate_world import Authority, der
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope
from tests.broker.reload_world import Here, kept, serving
from tests.broker.scripted_backend import Asked, Client, Json
from tests.broker.test_serve_tls import Wire, secured

KEYS: Json = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
KEPT: dict[str, Any] = {"added": (), "changed": (), "removed": (), "kept": ("one", "two")}
MAIL: Json = {"content": [{"type": "text", "text": "write to ann@example.com"}]}
EMAIL: Json = {"rules": [{"find": ["email"]}]}
QUICK: Json = {"linger_s": 0.05, "revocation_s": 0.05}


def holder(here: Here, name: str, server: str = "two") -> Client:
    client = here.client(server)
    client.headers = {"Authorization": f"Bearer {name}"}
    return client


def few(**rule: Any) -> Json:
    return {"rules": [{"name": "few", "methods": ["tools/call"], **rule}]}


async def said(client: Client, *, stateless: bool = False) -> str:
    """What became of a call: its text, or the reason of its error."""
    message = (await (ask(client) if stateless else client.call())).json
    if "error" in message:
        return str(message["error"]["data"]["reason"])
    return str(message["result"]["content"][0]["text"])


# ---- quotas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_rate_holds_for_sessions_that_are_open_and_goes_again(tmp_path: Path, stateless: bool) -> None:
    async with serving(tmp_path) as here:
        client = here.client("two")
        if not stateless:
            await client.open()
        assert await said(client, stateless=stateless) == "done"
        here.write(quotas=few(rate="2/day"))
        assert here.reload.now() == Changes(**KEPT, sections=("quotas",))
        found = [await said(client, stateless=stateless) for _ in range(3)]
        assert found == ["done", "done", "rate-limited"]
        here.write(quotas={"rules": []})
        assert here.reload.now() == Changes(**KEPT, sections=("quotas",))
        assert await said(client, stateless=stateless) == "done"


async def test_a_rate_that_stays_goes_on_with_its_count_beside_rules_that_come(tmp_path: Path) -> None:
    rule = few(rate="3/day")["rules"]
    async with serving(tmp_path, quotas={"rules": rule}) as here:
        client = here.client("two")
        await client.open()
        assert [await said(client) for _ in range(2)] == ["done"] * 2
        here.write(quotas={"rules": [{"name": "other", "rate": "100/second"}, *rule]})
        assert here.reload.now() is not None
        assert [await said(client) for _ in range(2)] == ["done", "rate-limited"]


async def test_calls_that_are_open_count_where_they_were_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, quotas=few(concurrent=3)) as here:
        held: list[Asked] = []

        async def hold(asked: Asked) -> None:
            held.append(asked)

        here.two.on("tools/call", hold)
        client = here.client("two")
        await client.open()
        first = asyncio.ensure_future(client.call(1))
        await here.two.next("tools/call")
        here.write(quotas=few(concurrent=1))
        assert here.reload.now() is not None
        assert await said(client) == "too-many-calls"
        await held[0].result()
        await within(first)
        here.two.on("tools/call", Asked.result)
        assert await said(client) == "done"


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_head_that_was_known_counts_for_its_address_from_now_on(tmp_path: Path, stateless: bool) -> None:
    async with serving(tmp_path) as here, kept(here, stateless=stateless) as connection:
        here.write(quotas=few(rate="2/day", per=["address"]))
        assert here.reload.now() is not None
        found = []
        for _ in range(3):
            await connection.ask()
            found.append(b"rate-limited" in connection.answer)
        assert found == [False, False, True]
        (counted,) = here.broker.app[SERVERS]._quotas.store.windows._ends  # type: ignore[union-attr]
        assert "127.0.0.1" in counted


# ---- sanitise and clearance -----------------------------------------------------------------------------------------


async def test_what_is_sanitised_changes_under_open_sessions_and_calls(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        held: list[Asked] = []

        async def hold(asked: Asked) -> None:
            held.append(asked)

        here.two.on("tools/call", hold)
        client = here.client("two")
        await client.open()
        call = asyncio.ensure_future(client.call())
        await here.two.next("tools/call")
        here.write(sanitise=EMAIL)
        assert here.reload.now() == Changes(**KEPT, policy=("one", "two"))
        await held[0].result(MAIL)
        assert "ann@example.com" not in (await within(call)).body.decode()
        here.two.on("tools/call", lambda asked: asked.result(MAIL))
        assert "ann@example.com" not in await said(client)
        assert "ann@example.com" not in await said(client, stateless=True)
        here.write(sanitise={})
        assert here.reload.now() is not None
        assert await said(client) == "write to ann@example.com"


async def test_clearance_is_that_of_now_and_the_same_sections_change_nothing(tmp_path: Path) -> None:
    rules = {"rules": [{"find": ["email"], "servers": ["two"], "action": {"low": "hash", "high": "allow"}}]}
    levels = {"levels": ["low", "high"]}
    async with serving(tmp_path, keys=KEYS, sanitise=rules, clearance=levels) as here:
        here.two.on("tools/call", lambda asked: asked.result(MAIL))
        client = holder(here, "ann")
        await client.open()
        hashed = await said(client)
        assert "ann@example.com" not in hashed
        before = here.broker.app[CONTEXTS]["two"].hooks.hooks
        assert here.reload.now() == Changes(**KEPT)
        assert here.broker.app[CONTEXTS]["two"].hooks.hooks == before
        here.write(clearance={**levels, "grants": [{"level": "high", "principals": ["key:bob"]}]})
        assert here.reload.now() == Changes(**KEPT, policy=("two",))  # the only one that sanitises anything
        assert await said(client) == hashed
        here.write(clearance={**levels, "grants": [{"level": "high", "principals": ["key:ann"]}]})
        assert here.reload.now() is not None
        assert await said(client) == "write to ann@example.com"


@pytest.mark.parametrize(
    "wrong",
    [
        {"quotas": {"rules": [{"name": "few", "rate": "many"}]}},
        {"sanitise": {"rules": [{"find": ["nothing-known"]}]}},
        {"sanitise": {"detectors": {"own": "("}, "rules": [{"find": ["own"]}]}},
        {"clearance": {"levels": ["low"], "default": "high"}},
        {"revoked": "nowhere"},
        {"revoked": "not-text"},
        {"limits": {"linger_s": 0.06}},
    ],
)
async def test_a_section_that_cannot_be_used_changes_nothing_at_all(tmp_path: Path, wrong: Json) -> None:
    (tmp_path / "not-text").write_bytes(b"\xff\xfe\xfd")
    async with serving(tmp_path, keys=KEYS, sanitise=EMAIL, quotas=few(rate="3/day")) as here:
        here.two.on("tools/call", lambda asked: asked.result(MAIL))
        client = holder(here, "ann")
        await client.open()
        assert "ann@example.com" not in await said(client)
        if "revoked" in wrong:
            wrong = {"revoked": str(tmp_path / wrong["revoked"])}
        here.write(**{"keys": {"bob": KEYS["bob"]}, "sanitise": {}, "quotas": {"rules": []}, **wrong})
        assert here.reload.now() is None
        assert "ann@example.com" not in await said(client)
        assert [await said(client) == "rate-limited" for _ in range(2)] == [False, True]


# ---- revoked --------------------------------------------------------------------------------------------------------


async def test_a_file_of_what_is_revoked_that_is_new_ends_what_is_open_and_is_watched(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEYS, limits=QUICK) as here:
        clients = {name: holder(here, name) for name in KEYS}
        for client in clients.values():
            await client.open()
        file = tmp_path / "revoked"
        file.write_text("key:ann\n", encoding="utf-8")
        here.write(revoked=str(file))
        assert here.reload.now() == Changes(**KEPT, sections=("revoked",))
        await here.two.next("DELETE")
        assert (await clients["ann"].call()).status == 401
        assert await said(clients["bob"]) == "done"
        file.write_text("key:ann\nkey:bob\n", encoding="utf-8")
        await here.two.next("DELETE")
        assert (await clients["bob"].call()).status == 401
        other = tmp_path / "other"
        other.write_text("key:bob\n", encoding="utf-8")
        here.write(revoked=str(other))
        assert here.reload.now() is not None
        assert (await holder(here, "ann").open()).status == 200
        assert (await clients["bob"].call()).status == 401


async def test_what_was_revoked_at_the_status_port_stays_so_without_a_file(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_text("", encoding="utf-8")
    async with serving(tmp_path, keys=KEYS, revoked=str(file)) as here:
        here.broker.app[SERVERS].lapses.revoke(["key:ann"])
        del here.tree["revoked"]
        here.write()
        assert here.reload.now() is not None
        assert (await holder(here, "ann").post({"id": 1, "method": "ping"})).status == 401


@pytest.mark.parametrize("how", ["revoked", "keys"])
async def test_a_parked_call_ends_that_began_while_no_credential_could_end(tmp_path: Path, how: str) -> None:
    async with serving(tmp_path, keys=KEYS) as here:
        form = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}

        async def asks(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"id": "q", "method": "elicitation/create", "params": form})

        class Two:
            backend = here.two

        Server(Two, tool=asks)  # type: ignore[arg-type]
        first = await ask(holder(here, "ann"), meta=envelope(INPUTS))
        assert first.json["result"]["resultType"] == "input_required"
        parked = await here.two.next("tools/call")
        file = tmp_path / "revoked"
        file.write_text("key:ann\n", encoding="utf-8")
        here.write(**({"revoked": str(file)} if how == "revoked" else {"keys": {"bob": KEYS["bob"]}}))
        assert here.reload.now() is not None
        cancelled = await here.two.next("notifications/cancelled")
        assert cancelled.message["params"]["requestId"] == parked.id


# ---- certificates ---------------------------------------------------------------------------------------------------


async def test_certificates_in_other_files_are_shown_and_files_that_cannot_be_used_change_nothing(
    tmp_path: Path,
) -> None:
    async with secured(tmp_path, mutual=True) as on:
        pem = on.authority.make("client.pem", "one")
        servers, tls = on.here.broker.app[SERVERS], on.here.broker.tls
        assert tls is not None
        folder = tmp_path / "new"
        folder.mkdir()
        other = Authority(folder)

        def reload(**files: Path) -> Changes | None:
            assert servers.settings.tls is not None
            section = servers.settings.tls.model_copy(update=files)
            settings = servers.settings.model_copy(update={"tls": section})
            return Reload(servers, lambda: (settings, []), tmp_path / "c", tls=tls).now()

        wire = await Wire.open(on.client(pem))
        (folder / "garbage.pem").write_text("garbage", encoding="utf-8")
        assert reload(certificate=folder / "garbage.pem") is None
        assert (await Wire.open(on.client(pem))).shown == wire.shown == der(on.folder / "server.pem")
        found = reload(certificate=on.authority.server("next.pem"), client_ca=other.file)
        assert found is not None
        assert found.sections == ("tls",)
        assert tls.files == [tmp_path / "next.pem", other.file]
        client = on.client(other.make("client.pem", "two"))
        client.tls.load_verify_locations(on.authority.file)  # type: ignore[union-attr]
        assert (await Wire.open(client)).shown == der(on.folder / "next.pem")
        assert await wire.get() == 400  # an open connection goes on
