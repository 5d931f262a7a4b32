"""A backend whose every answer the test writes, and a raw client in front of the broker; both speak bytes on loopback.

The backend answers `initialize` with a session id, takes notifications and answers, refuses GET (405) and answers
every call with `DONE`, except where `on` puts a handler of the test.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from broker.app import create_app
from broker.backends.session_pool import SessionPool
from broker.faces.context import FaceContext
from broker.serve import Running, start
from broker.settings import Settings
from broker.sse import Event, Parser
from tests.broker.http1_world import within

Json = dict[str, Any]
DONE: Json = {"content": [{"type": "text", "text": "done"}]}
ACCEPT = "application/json, text/event-stream"


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The first line and the headers, names in lower case."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


class Asked:
    """One request the broker made, and the means to answer it."""

    def __init__(
        self,
        verb: str,
        headers: dict[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.reader = reader
        self.verb = verb
        self.headers = headers
        self.body = body
        self.message: Json = json.loads(body) if body else {}
        self.writer = writer

    @property
    def key(self) -> str:
        """What the test waits for: a method, `answer` for an answer to a question, or GET or DELETE."""
        return str(self.message.get("method", "answer")) if self.verb == "POST" else self.verb

    @property
    def id(self) -> int:
        return int(self.message["id"])

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", f"content-type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def json(self, message: Json, status: int = 200, **headers: str) -> None:
        await self.reply(status, json.dumps({"jsonrpc": "2.0", **message}).encode(), **headers)

    async def result(self, result: Json | None = None, **headers: str) -> None:
        await self.json({"id": self.message["id"], "result": DONE if result is None else result}, 200, **headers)

    async def stream(self) -> None:
        """Begin an event stream."""
        await self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, message: Json, event_id: str = "") -> None:
        head = f"id: {event_id}\n" if event_id else ""
        await self.chunk(f"{head}data: {json.dumps({'jsonrpc': '2.0', **message})}\n\n".encode())

    async def end(self) -> None:
        """End the event stream as HTTP ends a body."""
        await self.raw(b"0\r\n\r\n")

    async def gone(self) -> None:
        """Until the broker has closed this connection."""
        await within(self.reader.read())

    def hang_up(self) -> None:
        self.writer.transport.abort()


Handler = Callable[[Asked], Awaitable[None]]


class ScriptedBackend:
    """Handlers by key; every request is kept, in order, and can be waited for."""

    def __init__(self) -> None:
        self.port = 0
        self.revision = ""
        self.capabilities: Json = {"logging": {}}
        self.sessions = 0
        self.lost: set[str] = set()
        self.connections = 0
        self.asked: list[Asked] = []
        self.probes: list[Asked] = []
        self._on: dict[str, Handler] = {}
        self._arrived = asyncio.Event()
        self._taken: dict[str, int] = {}
        self.writers: list[asyncio.StreamWriter] = []

    def on(self, key: str, handler: Handler) -> None:
        """Answer requests of that key with this."""
        self._on[key] = handler

    def keys(self) -> list[str]:
        """What was asked so far."""
        return [asked.key for asked in self.asked]

    def count(self, key: str) -> int:
        return self.keys().count(key)

    async def next(self, key: str) -> Asked:
        """The next request of that key that was not yet waited for."""
        number = self._taken.get(key, 0)
        self._taken[key] = number + 1

        async def arrived() -> Asked:
            while self.count(key) <= number:
                self._arrived.clear()
                await self._arrived.wait()
            return [asked for asked in self.asked if asked.key == key][number]

        return await within(arrived())

    def forget_sessions(self) -> None:
        """Know none of the sessions given so far, as after a restart."""
        self.lost = {f"backend-{number}" for number in range(1, self.sessions + 1)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first, headers = await read_head(reader)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                asked = Asked(first.split(" ")[0], headers, body, reader, writer)
                if asked.key == "server/discover" and asked.key not in self._on:
                    # A session server's answer to the question of its era, which no test here is about.
                    self.probes.append(asked)
                    await asked.reply(400)
                    continue
                self.asked.append(asked)
                self._arrived.set()
                await self._answer(asked)
        writer.close()

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    async def _answer(self, asked: Asked) -> None:
        if asked.headers.get("mcp-session-id") in self.lost:
            await asked.reply(404)
        elif asked.key in self._on:
            await self._on[asked.key](asked)
        elif asked.key == "initialize":
            self.sessions += 1
            result = {
                "protocolVersion": self.revision or asked.message["params"]["protocolVersion"],
                "capabilities": self.capabilities,
                "serverInfo": {"name": "scripted", "version": "1"},
            }
            await asked.result(result, mcp_session_id=f"backend-{self.sessions}")
        elif asked.verb == "GET":
            await asked.reply(405)
        elif asked.verb == "DELETE":
            await asked.reply(200)
        elif "method" in asked.message and "id" in asked.message:
            await asked.result()
        else:
            await asked.reply(202)


class Reply:
    """An answer of the broker, whole or as a stream that is still read."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader, writer: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = b""
        self._reader = reader
        self._writer = writer
        self._parser = Parser()
        self._events: list[Event] = []

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def streams(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    async def event(self) -> Event | None:
        """The next event, None at the stream's end."""
        while not self._events:
            size = int(await within(self._reader.readuntil(b"\r\n")), 16)
            data = (await within(self._reader.readexactly(size + 2)))[:-2]
            if not size:
                return None
            self._events += self._parser.feed(data)
        return self._events.pop(0)

    async def message(self) -> Json:
        """The next message."""
        while True:
            event = await self.event()
            assert event is not None
            if event.data:
                found: Json = json.loads(event.data)
                return found

    def cut(self) -> None:
        """Vanish."""
        self._writer.transport.abort()


class Client:
    """A client of the broker: one connection a request."""

    def __init__(self, port: int, path: str = "/mcp") -> None:
        self.port = port
        self.path = path
        self.session = ""
        self.tls: ssl.SSLContext | None = None
        self.headers: dict[str, str] = {}
        """Sent with every request."""
        self._writers: list[asyncio.StreamWriter] = []

    async def send(self, verb: str, body: bytes = b"", **headers: str | None) -> Reply:
        """Any request; a header given as None is left out."""
        lines: dict[str, str | None] = {"Host": f"127.0.0.1:{self.port}", "Accept": ACCEPT, **self.headers}
        if body:
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if self.session:
            lines["Mcp-Session-Id"] = self.session
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        name = None if self.tls is None else "localhost"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname=name)
        self._writers.append(writer)
        writer.write(f"{verb} {self.path} HTTP/1.1\r\n{text}\r\n".encode() + body)
        first, got = await within(read_head(reader))
        reply = Reply(int(first.split(" ")[1]), got, reader, writer)
        if not reply.streams:
            reply.body = await within(reader.readexactly(int(got.get("content-length", "0"))))
            writer.close()
        return reply

    async def post(self, message: Json | list[Json] | bytes, **headers: str | None) -> Reply:
        if isinstance(message, dict):
            message = {"jsonrpc": "2.0", **message}
        elif isinstance(message, list):
            message = [{"jsonrpc": "2.0", **part} for part in message]
        return await self.send(
            "POST", message if isinstance(message, bytes) else json.dumps(message).encode(), **headers
        )

    async def call(self, client_id: int | str = 1, method: str = "tools/call", **params: Any) -> Reply:
        return await self.post({"id": client_id, "method": method, "params": {"name": "x", **params}})

    async def open(self, revision: str = "2025-11-25", capabilities: Json | None = None, **headers: str) -> Reply:
        """`initialize` and `initialized`."""
        info = {"name": "raw", "version": "0"}
        params = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": info}
        reply = await self.post({"id": 0, "method": "initialize", "params": params}, **headers)
        assert reply.status == 200, reply.body
        self.session = reply.headers["mcp-session-id"]
        assert (await self.post({"method": "notifications/initialized"}, **headers)).status == 202
        return reply

    def drop(self) -> None:
        """Vanish from every connection."""
        for writer in self._writers:
            writer.transport.abort()


class World:
    """A backend, a broker before it, and a client before that."""

    def __init__(self, backend: ScriptedBackend, broker: Running, context: FaceContext, pool: SessionPool) -> None:
        self.backend = backend
        self.pool = pool
        self.broker = broker
        self.port = broker.port
        self.context = context
        self.clients: list[Client] = []
        self.client = self.another()

    def another(self) -> Client:
        """One more client."""
        self.clients.append(Client(self.port))
        return self.clients[-1]


@asynccontextmanager
async def world(
    *,
    backend: Json | None = None,
    command: tuple[str, ...] = (),
    limits: Json | None = None,
    audit_log: Any = None,
    meter: Any = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """Everything up; at the end everything is down again, whatever happened. `command` is served in its place."""
    from broker.app import CONTEXTS, POOLS

    scripted = ScriptedBackend()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    config = Settings.for_proxy(
        command or f"http://127.0.0.1:{scripted.port}/mcp",
        backend=backend,
        port=0,
        limits={"linger_s": 0.05, **(limits or {})},
        **settings,
    )
    contexts: list[FaceContext] = []
    pools: list[SessionPool] = []

    def create(config: Settings, port: int) -> Any:
        app = create_app(config, port=port, audit=audit_log, meter=meter)
        contexts.extend(app[CONTEXTS].values())
        pools.extend(app[POOLS].values())
        return app

    broker = await start(config, create)
    here = World(scripted, broker, contexts[0], pools[0])
    try:
        yield here
    finally:
        for client in here.clients:
            client.drop()
        scripted.abort()
        await within(broker.close())
        server.close()
        scripted.abort()
        # One turn for the transports to say goodbye, so that nothing is collected half open.
        await asyncio.gather(*(writer.wait_closed() for writer in scripted.writers), return_exceptions=True)
