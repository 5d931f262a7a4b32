"""Two scripted backends, a file that names them, and a broker that serves the file and can be told to read it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from broker.app import SERVERS, create_app
from broker.hosts.machine import Machine
from broker.hosts.serving import settings as settings_of
from broker.reload import Reload
from broker.serve import Running, start
from tests.broker.http1_world import within
from tests.broker.modern_world import envelope, headers
from tests.broker.scripted_backend import Client, ScriptedBackend

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

    @property
    def port(self) -> int:
        return self.broker.port

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
