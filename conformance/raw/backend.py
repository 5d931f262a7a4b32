"""A scripted backend of one revision: correct until a tool's name tells it how to misbehave, and it records
all.

    python -m conformance.raw.backend --port N --revision REV [--without sessions|streams]

Serves Streamable HTTP at /mcp; `GET /seen` gives every exchange it saw, `POST /push` sends a message on the
GET streams, `POST /forget` makes it lose its sessions, `POST /release` lets calls go on that wait for it, `POST /greet`
makes it say something to every session from its start. Tools are in `misbehaviour.py`, `newest.py` and `asking.py`.
Invariant: outside the tools named for a fault it keeps to its revision, so what a check sees is the
broker's doing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from conformance.raw import asking, misbehaviour, newest
from conformance.raw.misbehaviour import Exchange, write
from conformance.revisions import STATELESS, has

Message = dict[str, Any]


ACTS: Final = {**misbehaviour.ACTS, **newest.ACTS, **asking.ACTS}


@dataclass
class Backend:
    """One process's state: sessions, their GET streams, and the record."""

    revision: str
    without: str | None = None
    """What a backend of the handshake does without: "sessions", or "streams" for answers that need none."""
    seen: list[Message] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    streams: dict[web.StreamResponse, str] = field(default_factory=dict)
    """The GET streams, each with its session."""
    asks: dict[tuple[str, str], asyncio.Future[Message]] = field(default_factory=dict)
    """Who waits for an answer, by session and id (as JSON text: 1 is not "1")."""
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    owed: dict[str, Message] = field(default_factory=dict)
    greeting: Message | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, by /release."""

    async def post(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        record = self.record(request, body)
        method = body.get("method")
        if method == "initialize":
            return self.initialize(body)
        session = request.headers.get("Mcp-Session-Id", "")
        if self.without != "sessions":
            if not session:
                return _refused(400, "Bad Request: no session")
            if session not in self.sessions:
                record["lost"] = True
                return _refused(404, "Session not found")
        if has(self.revision, "version header"):
            stated = request.headers.get("MCP-Protocol-Version")
            if stated != self.revision:
                return _refused(400, f"Unsupported protocol version {stated}")
        if method is None:
            waiting = self.asks.pop((session, json.dumps(body.get("id"))), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(body)
            return web.Response(status=202)
        if "id" not in body:
            return web.Response(status=202)
        return await self.answer(request, body)

    def initialize(self, body: Message) -> web.Response:
        session = secrets.token_hex(16)
        self.sessions.add(session)
        capabilities: Message = {
            "tools": {"listChanged": True},
            "prompts": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "logging": {},
        }
        if has(self.revision, "completions capability"):
            capabilities["completions"] = {}
        result = {
            "protocolVersion": self.revision,
            "capabilities": capabilities,
            "serverInfo": {"name": "scripted", "version": "1"},
        }
        headers = {} if self.without == "sessions" else {"Mcp-Session-Id": session}
        return web.json_response(_response(body, result), headers=headers)

    async def answer(self, request: web.Request, body: Message) -> web.StreamResponse:
        method, params = body["method"], body.get("params") or {}
        if method == "tools/call":
            return await self.call(request, body, params)
        simple: dict[str, Message] = {
            "ping": {},
            "logging/setLevel": {},
            "resources/subscribe": {},
            "resources/unsubscribe": {},
            "tools/list": {"tools": catalogue(self.revision)},
            "prompts/list": {"prompts": []},
            "resources/list": {"resources": [{"uri": "test://watched", "name": "watched"}]},
            "resources/templates/list": {"resourceTemplates": []},
            "completion/complete": {"completion": {"values": ["paris"], "hasMore": False}},
        }
        if method == "ping" and self.without != "streams":
            # SDK servers answer everything on a stream; one that does not may have no way to ask.
            stream = await Exchange(self, request, body).stream()
            await write(stream, _response(body, {}))
            return stream
        if method in simple:
            return web.json_response(_response(body, simple[method]))
        return web.json_response(_error(body, -32601, "Method not found"))

    async def call(self, request: web.Request, body: Message, params: Message) -> web.StreamResponse:
        name = params.get("name")
        act = ACTS.get(name) if isinstance(name, str) else None
        if act is None:
            return web.json_response(_error(body, -32602, "Unknown tool"))
        return await act(Exchange(self, request, body))

    def finished(self, result: Message) -> Message:
        """A result as the revision writes it."""
        return result

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.record(request, None)
        if request.headers.get("Mcp-Session-Id") not in self.sessions:
            return _refused(404, "Session not found")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        owed = self.owed.pop(request.headers.get("Last-Event-ID", ""), None)
        if owed is not None:
            await response.write(b"id: last\ndata: " + json.dumps(owed).encode() + b"\n\n")
            return response
        self.streams[response] = request.headers["Mcp-Session-Id"]
        if self.greeting is not None:
            await write(response, self.greeting)
        try:
            await asyncio.Event().wait()
        finally:
            del self.streams[response]
        return response

    async def delete(self, request: web.Request) -> web.Response:
        self.record(request, None)
        known = request.headers.get("Mcp-Session-Id", "")
        self.sessions.discard(known)
        return web.Response(status=200)

    async def push(self, request: web.Request) -> web.Response:
        """Write a message on every GET stream, or those of the query's session; gives how many there were."""
        data = b"data: " + await request.read() + b"\n\n"
        wanted = request.query.get("session")
        reached = 0
        for stream, session in list(self.streams.items()):
            if wanted in (None, session):
                with suppress(ConnectionError):  # its reader left this moment
                    await stream.write(data)
                    reached += 1
        return web.json_response(reached)

    async def greet(self, request: web.Request) -> web.Response:
        """Write the body's message (null: none) on the GET stream of every session from now on, as it opens."""
        self.greeting = json.loads(await request.read())
        return web.Response(status=204)

    async def release(self, _request: web.Request) -> web.Response:
        """Let the calls go on that wait for it."""
        self.gate.set()
        self.gate = asyncio.Event()
        return web.Response(status=204)

    async def late(self, _request: web.Request) -> web.Response:
        """Only listen streams can be late."""
        return web.Response(status=404)

    async def forget(self, _request: web.Request) -> web.Response:
        """Lose every session, as a restart behind a load balancer does."""
        self.sessions.clear()
        return web.Response(status=204)

    async def show(self, _request: web.Request) -> web.Response:
        return web.json_response(self.seen)

    def record(self, request: web.Request, body: Any) -> Message:
        """Note what came; `lost`: it was refused, because it named a session that is lost."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append({"http": request.method, "headers": headers, "body": body, "lost": False})
        return self.seen[-1]


def catalogue(revision: str) -> list[Message]:
    """The tools as the revision lists them, and one in a shape that strict clients reject."""
    tools: list[Message] = []
    for name in ACTS:
        tool: Message = {"name": name, "description": name, "inputSchema": {"type": "object"}}
        if has(revision, "titles"):
            tool["title"] = f"Tool {name}"
        if has(revision, "execution"):
            tool["execution"] = {"taskSupport": "forbidden"}
        tools.append(tool)
    return [*tools, newest.ODD_TOOL]


def _response(body: Message, result: Message) -> Message:
    return {"jsonrpc": "2.0", "id": body["id"], "result": result}


def _error(body: Message, code: int, message: str) -> Message:
    return {"jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": message}}


def _refused(status: int, message: str) -> web.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": message}}
    return web.json_response(error, status=status)


def _backend(revision: str, without: str | None) -> Backend:
    if revision != STATELESS:
        return Backend(revision, without)
    from conformance.raw.stateless_backend import StatelessBackend  # it builds on this file

    return StatelessBackend(revision)


def application(revision: str, without: str | None = None) -> web.Application:
    """The backend as an aiohttp application."""
    backend = _backend(revision, without)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes(
        [
            web.post("/mcp", backend.post),
            web.get("/mcp", backend.get),
            web.delete("/mcp", backend.delete),
            web.get("/seen", backend.show),
            web.post("/push", backend.push),
            web.post("/forget", backend.forget),
            web.post("/release", backend.release),
            web.post("/greet", backend.greet),
            web.post("/late", backend.late),
        ]
    )
    return app


async def serve(revision: str, port: int, without: str | None) -> None:
    """Serve until the process is ended."""
    runner = web.AppRunner(application(revision, without), handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    print(f"READY http://127.0.0.1:{port}/mcp", flush=True)
    await asyncio.Event().wait()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m conformance.raw.backend")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--without", choices=("sessions", "streams"))
    options = parser.parse_args(arguments)
    asyncio.run(serve(options.revision, options.port, options.without))


if __name__ == "__main__":
    main(sys.argv[1:])
