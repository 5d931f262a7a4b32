"""A changed configuration, applied while the broker serves: who keeps a session, who loses it, what changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker import telemetry
from broker.app import CONTEXTS, FACES, POOLS, POSTS, SERVERS, create_app
from broker.hosts.machine import Machine
from broker.hosts.serving import settings as settings_of
from broker.reload import Reload, Watcher, fixed_members, watch
from broker.serve import Running, start
from broker.servers import Changes
from broker.settings import Settings
from broker.tap import Tap
from tests.broker.http1_world import within
from tests.broker.modern_world import envelope, headers
from tests.broker.pair_world import PairClient
from tests.broker.pipe_world import SERVER, alive, settled
from tests.broker.scripted_backend import Asked, Client, ScriptedBackend

Json = dict[str, Any]


class Here:
    """Two backends, a file that names them, and a broker that serves it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.one, self.two = ScriptedBackend(), ScriptedBackend()
        self.broker: Running
        self.reload: Reload
        self.clients: list[Client] = []
        self.tree: Json = {}

    def url(self, backend: ScriptedBackend) -> str:
        return f"http://127.0.0.1:{backend.port}/mcp"

    def write(self, **members: Any) -> None:
        """The file, with these members of the top replaced."""
        self.tree = {**self.tree, **members}
        self.file.write_text(json.dumps(self.tree), encoding="utf-8")

    def client(self, name: str) -> Client:
        self.clients.append(Client(self.broker.port, f"/servers/{name}/mcp"))
        return self.clients[-1]

    def load(self) -> Any:
        return settings_of(self.file, Machine.here(), port=0)


@asynccontextmanager
async def serving(tmp_path: Path, **members: Any) -> AsyncIterator[Here]:
    """Servers `one` and `two`; afterwards everything is down."""
    here = Here(tmp_path / "c.json")
    listeners = []
    for backend in (here.one, here.two):
        listeners.append(await asyncio.start_server(backend.serve, "127.0.0.1", 0))
        backend.port = listeners[-1].sockets[0].getsockname()[1]
    servers = {"one": {"url": here.url(here.one)}, "two": {"url": here.url(here.two)}}
    here.write(**{"servers": servers, "limits": {"linger_s": 0.05}, **members})
    settings, problems = here.load()
    here.broker = await start(settings, lambda settings, port: create_app(settings, port=port))
    here.reload = Reload(here.broker.app[SERVERS], here.load, here.file, problems)
    try:
        yield here
    finally:
        for client in here.clients:
            client.drop()
        for backend in (here.one, here.two):
            backend.abort()
        await within(here.broker.close())
        for backend, listener in zip((here.one, here.two), listeners, strict=True):
            listener.close()
            backend.abort()
            await asyncio.gather(*(writer.wait_closed() for writer in backend.writers), return_exceptions=True)


def both(here: Here, **changed: Any) -> Json:
    """The servers, `two` with these members."""
    return {"one": {"url": here.url(here.one)}, "two": {"url": here.url(here.two), **changed}}


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


class Kept:
    """A connection on which one client sends the same head again and again."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, session: str) -> None:
        self.reader, self.writer = reader, writer
        self.params: Json = {"name": "x"} if session else {"name": "x", "_meta": envelope()}
        own = {"Mcp-Session-Id": session} if session else headers("tools/call", self.params)
        lines = {"Host": f"127.0.0.1:{port}", "Accept": "*/*", "Content-Type": "application/json", **own}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.head = f"POST /servers/two/mcp HTTP/1.1\r\n{head}"
        self.answer = b""

    def send(self) -> None:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": self.params}
        body = json.dumps(asked).encode()
        self.writer.write(f"{self.head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def ask(self) -> bytes:
        """One call; its status."""
        self.send()
        head = await within(self.reader.readuntil(b"\r\n\r\n"))
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.answer = await within(self.reader.readexactly(length))
        return head.split(b" ")[1]


@asynccontextmanager
async def kept(here: Here, *, stateless: bool = False) -> AsyncIterator[Kept]:
    """A connection of a client of `two`, with a session or without, whose head is known."""
    session = here.client("two")
    if not stateless:
        await session.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", here.broker.port)
    one = Kept(reader, writer, here.broker.port, session.session)
    try:
        assert [await one.ask() for _ in range(3)] == [b"200"] * 3  # the later ones on the short way
        yield one
    finally:
        writer.close()
        await writer.wait_closed()


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


def test_secrets_of_a_new_server_are_hidden_in_the_tap(tmp_path: Path) -> None:
    async def story() -> None:
        tap = Tap(tmp_path / "tap.jsonl", ["old-secret"])
        tree = {"url": "http://127.0.0.1:9/mcp", "headers": {"X": "new-secret"}}
        servers = create_app(Settings.build({"servers": {"a": {"url": "http://127.0.0.1:9/mcp"}}}), tap=tap)[SERVERS]
        servers.apply(Settings.build({"servers": {"a": tree}}))
        tap.frame("client", "in", "a", telemetry_frame())
        tap.close()
        await servers.close()

    asyncio.run(story())
    text = (tmp_path / "tap.jsonl").read_text(encoding="utf-8")
    assert "[redacted]" in text
    assert "secret" not in text


def telemetry_frame() -> Any:
    from protocol_versions import jsonrpc

    return jsonrpc.notification("notifications/message", {"data": "old-secret new-secret"})


def test_members_that_differ_are_named_with_their_place() -> None:
    tree: Json = {"servers": {"a": {"url": "http://a/mcp"}}}
    now = Settings.build(tree)
    then = Settings.build({**tree, "port": 1, "limits": {"depth": 9, "batch": 3}, "status": {"port": 2}})
    assert fixed_members(now, then) == ["port", "limits.depth", "limits.batch", "status.port"]
    assert fixed_members(now, Settings.build({"servers": {"b": {"url": "http://b/mcp"}}})) == []


def test_a_file_counts_as_changed_once_it_rests_and_once_for_each_change(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a", encoding="utf-8")
    watcher = Watcher(file)
    assert [watcher.look(), watcher.look()] == [False, False]
    file.write_text("ab", encoding="utf-8")
    assert watcher.look() is False
    file.write_text("abc", encoding="utf-8")
    assert [watcher.look(), watcher.look(), watcher.look()] == [False, True, False]
    file.unlink()
    assert [watcher.look(), watcher.look()] == [False, False]
    file.write_text("d", encoding="utf-8")
    assert [watcher.look(), watcher.look(), watcher.look()] == [False, True, False]


async def test_watching_looks_at_each_turn_and_tells_of_a_change(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a", encoding="utf-8")
    told: list[int] = []
    turns = 0

    async def sleep(_seconds: float) -> None:
        nonlocal turns
        turns += 1
        if turns == 2:
            file.write_text("changed", encoding="utf-8")
        if turns == 5:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await watch(Watcher(file), lambda: told.append(turns), sleep=sleep)
    assert told == [3]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP on this system")
@pytest.mark.parametrize("watching", [False, True])
async def test_the_command_applies_a_changed_file(tmp_path: Path, watching: bool) -> None:
    file = tmp_path / "c.json"

    def write(*names: str) -> None:
        file.write_text(json.dumps({"servers": {each: {"url": "http://127.0.0.1:9/mcp"} for each in names}}))

    write("one")
    arguments = ("serve", str(file), "--port", "0", "--log-format", "json", *(["--watch"] if watching else []))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "broker", *arguments, stderr=subprocess.PIPE)
    assert process.stderr is not None

    async def said(word: str) -> Json:
        assert process.stderr is not None
        while word not in (line := (await process.stderr.readline()).decode()):
            assert line
        found: Json = json.loads(line)
        return found

    try:
        async with asyncio.timeout(20):
            await said('"anonymous callers are served"')
            write("one", "two")
            if not watching:
                os.kill(process.pid, signal.SIGHUP)
            found = await said("configuration applied")
            assert (found["added"], found["kept"]) == ("two", "one")
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
