"""A changed configuration, applied while the broker serves: who keeps a session, who loses it, what changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from broker import telemetry
from broker.app import CONTEXTS, FACES, POOLS, POSTS, SERVERS, create_app
from broker.changes import Changes
from broker.reload import Reload
from tests.broker.http1_world import within
from tests.broker.pair_world import PairClient
from tests.broker.pipe_world import SERVER, alive, settled
from tests.broker.reload_world import both, kept, serving
from tests.broker.scripted_backend import Asked

Json = dict[str, Any]


async def test_a_session_of_an_unchanged_server_lives_on_and_one_of_a_changed_server_ends(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        stays, lost = here.client("one"), here.client("two")
        await stays.open()
        await lost.open()
        context = here.broker.app[CONTEXTS]["one"]
        here.write(servers=both(here, filter={"tools": {"deny": ["x"]}}))
        assert here.reload.now() == Changes(added=(), changed=("two",), removed=(), kept=("one",))
        assert here.broker.app[CONTEXTS]["one"] is context
        assert (await stays.call()).status == 200
        assert here.one.count("initialize") == 1
        assert (await lost.call()).status == 404
        await here.two.next("DELETE")
        lost.session = ""
        await lost.open()
        assert (await lost.call()).json["error"]["code"] == -32602  # the filter hides `x` now


async def test_servers_appear_and_vanish_with_their_paths(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        gone = here.client("two")
        await gone.open()
        here.write(servers={"one": both(here)["one"], "three": both(here)["two"]})
        assert here.reload.now() == Changes(added=("three",), changed=(), removed=("two",), kept=("one",))
        assert (await gone.call()).status == 404
        assert (await gone.send("GET")).status == 404
        assert (await here.client("three").open()).status == 200
        assert (await here.client("three").send("PUT", b"{}")).status == 405
        app = here.broker.app
        names = ["one", "three"]
        assert [*app[CONTEXTS]] == [*app[FACES]] == [*app[POOLS]] == names
        assert [*app[POSTS]] == [f"/servers/{name}/mcp" for name in names]


async def test_a_call_in_flight_is_answered_by_the_server_it_was_made_to(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        held: list[Asked] = []

        async def hold(asked: Asked) -> None:
            held.append(asked)

        here.two.on("tools/call", hold)
        client = here.client("two")
        await client.open()
        call = asyncio.ensure_future(client.call())
        await here.two.next("tools/call")
        here.write(servers={"one": both(here)["one"]})
        assert here.reload.now() is not None
        await held[0].result()
        assert (await within(call)).json["result"]["content"][0]["text"] == "done"
        await here.two.next("DELETE")


async def test_a_credential_that_is_revoked_ends_its_calls_also_at_a_server_that_has_left(tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("", encoding="utf-8")
    limits = {"linger_s": 0.05, "revocation_s": 0.05, "drain_s": 60}
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    async with serving(tmp_path, keys=keys, revoked=str(revoked), limits=limits) as here:
        held: list[Asked] = []

        async def hold(asked: Asked) -> None:
            held.append(asked)

        here.two.on("tools/call", hold)
        calls = []
        for name in keys:
            client = here.client("two")
            client.headers = {"Authorization": f"Bearer {name}"}
            await client.open()
            calls.append(asyncio.ensure_future(client.call()))
            await here.two.next("tools/call")
        here.write(servers={"one": both(here)["one"]})
        assert here.reload.now() is not None
        revoked.write_text("key:ann\n", encoding="utf-8")
        ended = await within(calls[0])
        assert ended.status == 404 or ended.json["error"]["data"]["origin"] == "broker"
        assert not calls[1].done()
        await held[1].result()
        assert (await within(calls[1])).json["result"]["content"][0]["text"] == "done"


async def test_a_head_that_was_known_leads_to_no_server_that_has_left(tmp_path: Path) -> None:
    async with serving(tmp_path) as here, kept(here) as connection:
        here.write(servers=both(here, compare_lists=False))
        assert here.reload.now() is not None
        assert await connection.ask() == b"404"
        here.write(servers={"one": both(here)["one"]})
        assert here.reload.now() is not None
        assert await connection.ask() == b"404"


async def test_a_stateless_clients_head_leads_to_the_server_that_took_the_place(tmp_path: Path) -> None:
    async with serving(tmp_path) as here, kept(here, stateless=True) as connection:
        here.write(servers=both(here, filter={"tools": {"deny": ["x"]}}))
        assert here.reload.now() is not None
        before = here.two.count("tools/call")
        assert await connection.ask() == b"200"
        assert b"-32602" in connection.answer
        assert here.two.count("tools/call") == before


async def test_a_call_on_the_short_way_may_become_a_stream_after_its_server_left(tmp_path: Path) -> None:
    async with serving(tmp_path) as here, kept(here) as connection:
        held: list[Asked] = []

        async def hold(asked: Asked) -> None:
            held.append(asked)

        here.two.on("tools/call", hold)
        connection.send()
        for _ in range(4):
            await here.two.next("tools/call")
        here.write(servers={"one": both(here)["one"]})
        assert here.reload.now() is not None
        await held[0].stream()
        await held[0].event({"method": "notifications/message", "params": {"level": "error", "data": "still here"}})
        found = await within(connection.reader.readuntil(b"still here"))
        assert found.startswith(b"HTTP/1.1 200")
        assert b"text/event-stream" in found
        await held[0].event({"id": held[0].id, "result": {"content": []}})
        await held[0].end()
        assert b'"id":1' in await within(connection.reader.readuntil(b"\r\n0\r\n\r\n"))
        assert await connection.ask() == b"404"  # and nothing of it is left on the connection


async def test_the_stream_of_a_pair_ends_with_its_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:

        class Beside:
            port, clients = here.broker.port, here.clients

        pair = PairClient(Beside, "/servers/two/sse")  # type: ignore[arg-type]
        await pair.open()
        here.write(servers={"one": both(here)["one"]})
        assert here.reload.now() is not None
        assert await within(pair.stream.event()) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not valid JSON"),
        ('{"servers": {}}', "servers"),
        ('{"servers": {"one": {"url": "ftp://a"}}}', "expected an http:// or https:// URL"),
        ('{"servers": {"one": {"url": "http://a/mcp", "headers": {"X": "env:NO_SUCH_VARIABLE"}}}}', "is not set"),
    ],
)
async def test_a_file_that_cannot_be_used_changes_nothing_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    async with serving(tmp_path) as here:
        client = here.client("two")
        await client.open()
        telemetry.configure("json")
        here.file.write_text(text, encoding="utf-8")
        assert here.reload.now() is None
        said = capsys.readouterr().err
        assert "configuration not applied" in said
        assert why in said
        assert (await client.call()).status == 200
        here.file.unlink()
        assert here.reload.now() is None
        assert "cannot be read" in capsys.readouterr().err


async def test_what_only_a_start_can_give_is_refused_by_name_and_nothing_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path) as here:
        telemetry.configure("json")
        here.write(servers={"one": both(here)["one"]}, limits={"linger_s": 0.05, "connections": 7}, anonymous="allow")
        assert here.reload.now() is None
        said = capsys.readouterr().err
        assert "limits.connections: cannot be changed without a restart" in said
        assert "anonymous: cannot be changed without a restart" in said
        assert [*here.broker.app[CONTEXTS]] == ["one", "two"]


async def test_a_server_that_cannot_be_built_keeps_everything_as_it_was(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        pem = tmp_path / "not.pem"
        pem.write_text("no certificate", encoding="utf-8")
        here.write(servers={"three": {"url": "https://a/mcp", "ca_bundle": str(pem)}})
        assert here.reload.now() is None
        assert [*here.broker.app[CONTEXTS]] == ["one", "two"]


async def test_a_token_that_changed_in_its_file_makes_another_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        token = tmp_path / "token"
        token.touch(0o600)
        token.write_text("first", encoding="utf-8")
        here.write(servers=both(here, bearer_file=str(token)))
        assert here.reload.now() is not None
        token.write_text("second", encoding="utf-8")
        found = here.reload.now()
        assert found is not None
        assert (found.changed, found.kept) == (("two",), ("one",))
        await here.client("two").open()
        assert (await here.two.next("initialize")).headers["authorization"] == "Bearer second"
        assert here.reload.now() == Changes(added=(), changed=(), removed=(), kept=("one", "two"))


async def test_a_new_mistake_in_a_hosts_file_ends_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        # A mistake of the start is known, and what is right beside it is served and can be changed.
        def hosts(second: Json) -> None:
            servers = {"one": {"url": here.url(here.one)}, "two": second, "bad": {"args": ["x"]}}
            here.file.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")

        hosts({"url": here.url(here.two)})
        settings, problems = here.load()
        servers = create_app(settings, port=1)[SERVERS]
        reload = Reload(servers, here.load, here.file, problems)
        assert [problem.fatal for problem in problems] == [True]
        hosts({"url": "ftp://x"})
        assert reload.now() is None
        assert set(servers.contexts) == {"one", "two"}
        hosts({"url": here.url(here.two), "headers": {"X": "1"}})
        found = reload.now()
        assert found is not None
        assert (found.changed, found.kept) == (("two",), ("one",))
        await servers.close()


async def test_a_process_of_an_unchanged_server_lives_on_and_that_of_a_removed_one_ends(tmp_path: Path) -> None:
    def command(name: str) -> Json:
        return {"command": [sys.executable, SERVER], "env": {"PIPE_SERVER_LOG": str(tmp_path / name)}}

    def pids(name: str) -> list[int]:
        lines = [line.split() for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        return [int(pid) for pid, word in lines if word == "start"]

    async with serving(tmp_path, servers={"a": command("a"), "b": command("b")}) as here:
        stays, lost = here.client("a"), here.client("b")
        await stays.open()
        await lost.open()
        here.write(servers={"a": command("a")})
        assert here.reload.now() is not None
        await settled(lambda: not any(map(alive, pids("b"))))
        started = pids("a")
        assert any(map(alive, started))
        assert (await stays.call(name="add", arguments={"a": 1, "b": 2})).json["result"]["content"][0]["text"] == "3"
        assert pids("a") == started
