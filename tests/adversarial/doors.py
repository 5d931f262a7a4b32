"""The ways to a tool: every client revision on every transport it has, before a server of every revision.

Invariant: what is sent are the attacker's own bytes; nothing here encodes a message but the good ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from broker.faces.one_client import OneClient
from broker.identity.principal import Principal
from protocol_versions import REVISIONS
from tests.broker.crossing_world import completes, discovery
from tests.broker.http1_world import within
from tests.broker.modern_world import REVISION, envelope, headers
from tests.broker.pair_world import PairClient
from tests.broker.policy_world import read
from tests.broker.scripted_backend import DONE, Asked, Client, Json, World, world

IDS: Final = tuple(revision.id for revision in REVISIONS)
MODERN: Final = REVISION
SESSIONS: Final = tuple(each for each in IDS if each != MODERN)
HTTP, PAIR, PIPE = "http", "pair", "pipe"
NEXT: Final = b'{"jsonrpc":"2.0","id":"next","method":"x","params":[]}'
"""A request that is refused at once, by its id, on every connection of messages."""

KEYS: Final = {"ann": "dgm_a", "bob": "dgm_b"}
SHAS: Final = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}


class Cell(msgspec.Struct, frozen=True):
    """A client's revision and transport, and a server's revision."""

    client: str
    transport: str
    backend: str

    def __str__(self) -> str:
        return f"{self.client} {self.transport} > {self.backend}"

    @property
    def modern(self) -> bool:
        return self.client == MODERN


WAYS: Final = (
    *((revision, HTTP) for revision in IDS),
    ("2024-11-05", PAIR),
    ("2025-11-25", PAIR),
    ("2025-06-18", PIPE),
    (MODERN, PIPE),
)
CELLS: Final = tuple(Cell(client, transport, backend) for client, transport in WAYS for backend in IDS)


class Answer(msgspec.Struct):
    """What came back: the HTTP status (0 on a pipe) and the message, if there was one."""

    status: int
    message: Any = None

    @property
    def code(self) -> int:
        """The code of its error, 0 if there is none; of a batch, that of the errors it consists of."""
        messages = self.message if isinstance(self.message, list) else [self.message or {}]
        codes = {int(each["error"]["code"]) if "error" in each else 0 for each in messages}
        return min(codes) if 0 not in codes else 0

    @property
    def refused(self) -> bool:
        return self.status >= 400 or self.code != 0


class Door:
    """One caller at one way in. Without a name the caller shows no key."""

    def __init__(self, here: World, cell: Cell, name: str = "") -> None:
        self.here = here
        self.cell = cell
        self.name = name
        self.key: dict[str, Any] = {"Authorization": f"Bearer {KEYS[name]}"} if name else {}
        self.client = here.another()
        self._pair: PairClient | None = None
        self._pipe: OneClient | None = None
        self._lines: asyncio.Queue[Any] = asyncio.Queue()
        self._number = 1_000

    async def open(self) -> None:
        """The whole beginning, as far as the revision has one."""
        if self.cell.transport == PAIR:
            self._pair = PairClient(self.here, **self.key)
            await self._pair.open(self.cell.client)
        elif self.cell.transport == PIPE:
            who = Principal(f"key:{self.name}", "key") if self.name else Principal("local", "local")
            self._pipe = OneClient(self.here.context, who, lambda text: self._lines.put_nowait(json.loads(text)))
            await self._greet()
        elif not self.cell.modern:
            await self.client.open(self.cell.client, **self.key)

    async def _greet(self) -> None:
        assert self._pipe is not None
        if self.cell.modern:
            return
        info = {"name": "raw", "version": "0"}
        params = {"protocolVersion": self.cell.client, "capabilities": {}, "clientInfo": info}
        answer = await self.send(encoded({"id": 0, "method": "initialize", "params": params}))
        assert answer.message["result"]["protocolVersion"] == self.cell.client
        self._pipe.line(encoded({"method": "notifications/initialized"}))

    async def close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

    async def attack(self, body: bytes, method: str = "tools/call", name: str = "x", **more: str | None) -> Answer:
        """What becomes of bytes that ought to be refused.

        On a pipe an error that could name no request is not written: that the next message is answered shows that
        there is none. On the pair it is the answer to the POST.
        """
        if self._pipe is not None:
            self._pipe.line(body)
            self._pipe.line(NEXT)
            return await self._before_next(lambda: within(self._lines.get()), 0)
        if self._pair is not None:
            reply = await self._pair.post(body, **{**self.key, **more})
            if reply.status != 202:
                return Answer(reply.status, json.loads(reply.body or b"null"))
            assert (await self._pair.post(NEXT)).status == 202
            return await self._before_next(self._pair.stream.message, 202)
        return await self.send(body, method, name, **more)

    async def _before_next(self, message: Callable[[], Awaitable[Any]], status: int) -> Answer:
        first = await message()
        if isinstance(first, dict) and first.get("id") == "next":
            return Answer(400)
        assert (await message())["id"] == "next"
        return Answer(status, first)

    async def send(self, body: bytes, method: str = "tools/call", name: str = "x", **more: str | None) -> Answer:
        """These bytes, with the headers that belong to a request for this; `more` replaces headers."""
        if self._pipe is not None:
            self._pipe.line(body)
            return Answer(0, await within(self._lines.get()))
        lines: dict[str, str | None] = {**self.key}
        if self._pair is not None:
            reply = await self._pair.post(body, **{**lines, **more})
            if reply.status == 202:
                return Answer(202, await self._pair.stream.message())
        else:
            if self.cell.modern:
                lines |= headers(method, {"name": name})
            reply = await self.client.post(body, **{**lines, **more})
        if reply.streams:
            return Answer(reply.status, await read(reply))
        return Answer(reply.status, json.loads(reply.body) if reply.body[:1] in (b"{", b"[") else None)

    async def tell(self, body: bytes) -> None:
        """A message nobody answers; whatever comes of it is passed over."""
        if self._pipe is not None:
            self._pipe.line(body)
        elif self._pair is not None:
            await self._pair.post(body, **self.key)
        else:
            await self.client.post(body, **self.key)

    def meta(self) -> str:
        """What `params` begin with, for text to be put together by hand."""
        return f'"_meta":{json.dumps(envelope())},' if self.cell.modern else ""

    async def call(self, name: str = "x", **arguments: Any) -> Answer:
        """A call in good order."""
        self._number += 1
        params: Json = {"name": name, "arguments": arguments}
        if self.cell.modern:
            params["_meta"] = envelope()
        return await self.send(
            encoded({"id": self._number, "method": "tools/call", "params": params}), name=spelled(name)
        )


def encoded(message: Json) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


def spelled(name: str) -> str:
    """A name as `Mcp-Name` has it (2026-07-28 basic/transports/streamable-http)."""
    import base64

    if name.isascii() and name.isprintable() and name == name.strip() and not name.startswith("=?"):
        return name
    return f"=?base64?{base64.b64encode(name.encode()).decode()}?="


@asynccontextmanager
async def before(cell: Cell, *, keys: bool = False, **settings: Any) -> AsyncIterator[World]:
    """A broker before a server of the cell's revision, which runs any tool."""
    stateless = cell.backend == MODERN
    more: Json = {"keys": SHAS} if keys else {}
    async with world(backend={"revision": cell.backend, **settings.pop("backend", {})}, **more, **settings) as here:
        here.backend.capabilities = {"tools": {}}
        complete: Json = {"resultType": "complete"} if stateless else {}

        async def calls(asked: Asked) -> None:
            await asked.result({**complete, **DONE})

        if stateless:
            here.backend.on("server/discover", completes(**discovery({"tools": {}})))
        here.backend.on("tools/call", calls)
        yield here


@asynccontextmanager
async def entered(here: World, cell: Cell, name: str = "") -> AsyncIterator[Door]:
    """A door that is open, and closed afterwards."""
    door = Door(here, cell, name)
    await door.open()
    try:
        yield door
    finally:
        await door.close()


def ran(here: World) -> list[Any]:
    """The names of the tools that the server was asked to run, as it was sent them."""
    return [asked.message["params"].get("name") for asked in here.backend.asked if asked.key == "tools/call"]


def client(here: World, name: str = "", path: str = "/mcp") -> Client:
    """A raw client with a caller's key."""
    made = Client(here.port, path)
    here.clients.append(made)
    if name:
        made.headers = {"Authorization": f"Bearer {KEYS[name]}"}
    return made
