"""A server that counts what it ran, and clients of both eras that call it until their broker is gone."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from contextlib import suppress
from typing import Any

from tests.broker.modern_world import REVISION, envelope, headers
from tests.broker.scripted_backend import read_head

Json = dict[str, Any]
GONE = (OSError, asyncio.IncompleteReadError, ValueError)
SLOWEST_S = 0.004
"""How long the server takes at most, so that calls are open whenever a broker is killed."""


class Server:
    """An MCP server of both eras; a tool's name is the nonce of the call. `ran`: how often each had its effect."""

    def __init__(self, seed: int) -> None:
        self.ran: Counter[str] = Counter()
        self.port = 0
        self._random = random.Random(seed)
        self._listener: asyncio.Server | None = None
        self._sessions = itertools.count(1)

    async def start(self) -> None:
        """Listen."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(*GONE):
            while True:
                first, said = await read_head(reader)
                body = await reader.readexactly(int(said.get("content-length", "0")))
                message = json.loads(body) if body else {}
                await self._answer(first.partition(" ")[0], message, writer)
                await writer.drain()
        writer.close()

    async def _answer(self, verb: str, message: Json, writer: asyncio.StreamWriter) -> None:
        if verb != "POST" or "id" not in message:
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % (405 if verb == "GET" else 202))
            return
        result: Json = {"resultType": "complete", "content": []}
        more = ""
        if message["method"] == "tools/call":
            self.ran[message["params"]["name"]] += 1
            await asyncio.sleep(self._random.random() * SLOWEST_S)
        elif message["method"] == "initialize":
            more = f"mcp-session-id: s-{next(self._sessions)}\r\n"
            result = {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "counting", "version": "1"},
            }
        elif message["method"] == "server/discover":
            result |= {
                "supportedVersions": [REVISION],
                "capabilities": {"tools": {}},
                "ttlMs": 0,
                "cacheScope": "private",
            }
        text = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        head = f"HTTP/1.1 200 X\r\n{more}content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)


class Client:
    """One client of one server behind a broker, on a connection of its own."""

    def __init__(self, port: int, path: str, *, stateless: bool) -> None:
        self._port = port
        self._path = path
        self._stateless = stateless
        self._session = ""
        self.answered = 0

    async def call_until_gone(self, nonces: Any, first: asyncio.Event) -> None:
        """Call, one call after the other, until the broker is no more."""
        writer = None
        with suppress(*GONE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            if not self._stateless:
                info = {"name": "killed", "version": "1"}
                asked = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
                await self._post(reader, writer, "initialize", asked)
                await self._post(reader, writer, "notifications/initialized", {}, notification=True)
            while True:
                params: Json = {"name": next(nonces), "arguments": {}}
                first.set()
                await self._post(reader, writer, "tools/call", params)
                self.answered += 1
        if writer is not None:
            writer.transport.abort()

    async def _post(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        params: Json,
        *,
        notification: bool = False,
    ) -> None:
        lines: dict[str, str | None] = {"Accept": "application/json, text/event-stream"}
        if self._stateless:
            lines |= headers(method, params)
            params = {**params, "_meta": envelope()}
        elif self._session:
            lines["Mcp-Session-Id"] = self._session
        message: Json = {"jsonrpc": "2.0", "method": method, "params": params}
        if not notification:
            message["id"] = 1
        body = json.dumps(message).encode()
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(
            f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{text}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        _, said = await read_head(reader)
        self._session = said.get("mcp-session-id", self._session)
        await reader.readexactly(int(said.get("content-length", "0")))
