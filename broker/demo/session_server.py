"""The sample server of before: revision 2025-11-25 over Streamable HTTP, sessions and SSE answers, without an SDK.

Follows basic/lifecycle and basic/transports of 2025-11-25. It speaks this one revision, nothing older and nothing
newer; what it offers is in `offers`.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final

from aiohttp import web
from msgspec import UNSET, Raw

from broker.demo import offers
from broker.demo.offers import Body, Notes, Sample
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import DEFAULT_LIMITS, Frame, open_value
from protocol_versions.v2025_11_25 import REVISION as PINNED

REVISION: Final = PINNED.id
SESSION: Final = "Mcp-Session-Id"
ANSWER_S: Final = 300.0  # how long a person may take to answer; the SDKs' own default for reading
MAX_SESSIONS: Final = 1000  # a sample is not a place to fill a memory either

NOT_FOUND: Final = -32002  # server/resources#error-handling


class Session:
    """One client: what it can do, and what it was asked."""

    __slots__ = ("capabilities", "pending", "serial")

    def __init__(self, capabilities: Body) -> None:
        self.capabilities = capabilities
        self.pending: dict[int | str, asyncio.Future[Body | None]] = {}
        self.serial = 0


class SampleServer:
    """The handlers of one endpoint."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.notes = Notes()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """One message."""
        try:
            frame = jsonrpc.decode_strict(await request.read(), DEFAULT_LIMITS)
        except jsonrpc.Refused as refused:
            return _reply(jsonrpc.error_response(UNSET, refused.code, refused.message), status=400)
        if not isinstance(frame, Frame):
            return _reply(jsonrpc.error_response(UNSET, -32600, "Batches are not part of 2025-11-25"), status=400)
        if frame.method == "initialize" and frame.id is not UNSET:
            return self._initialize(frame)
        session = self.sessions.get(request.headers.get(SESSION, ""))
        if session is None:
            return web.Response(status=404 if SESSION in request.headers else 400)
        if frame.method is UNSET:
            _answered(session, frame)
            return web.Response(status=202)
        if frame.id is UNSET:
            return web.Response(status=202)
        if frame.method == "tools/call":
            return await self._call(request, session, frame)
        return await _streamed(request, self._answer(frame))

    async def delete(self, request: web.Request) -> web.Response:
        """The client ends its session."""
        session = self.sessions.pop(request.headers.get(SESSION, ""), None)
        if session is None:
            return web.Response(status=404)
        for waiting in session.pending.values():
            if not waiting.done():
                waiting.set_result(None)
        return web.Response(status=204)

    def _initialize(self, frame: Frame) -> web.Response:
        params = _opened(frame.params)
        capabilities = params.get("capabilities")
        while len(self.sessions) >= MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        name = secrets.token_urlsafe(24)
        self.sessions[name] = Session(capabilities if isinstance(capabilities, dict) else {})
        assert frame.id is not UNSET
        result = {
            "protocolVersion": REVISION,
            "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
            "serverInfo": {"name": "dragoman-sample", "title": "Sample server", "version": "1", "icons": [offers.ICON]},
            "instructions": "A sample server of revision 2025-11-25.",
        }
        return _reply(jsonrpc.response(frame.id, result), headers={SESSION: name})

    async def _call(self, request: web.Request, session: Session, frame: Frame) -> web.StreamResponse:
        """A tool call, answered as an event stream on which the server may ask before it answers."""
        params = _opened(frame.params)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await stream.prepare(request)

        async def ask(method: str, body: Body) -> Body | None:
            if method.partition("/")[0] not in session.capabilities:
                return None
            session.serial += 1
            number = session.serial
            waiting = session.pending[number] = asyncio.get_running_loop().create_future()
            try:
                await _send(stream, jsonrpc.request(number, method, body))
                async with asyncio.timeout(ANSWER_S):
                    answer: Body | None = await waiting
                    return answer
            except TimeoutError:
                return None
            finally:
                del session.pending[number]

        assert frame.id is not UNSET
        name, arguments = params.get("name"), params.get("arguments")
        given = arguments if isinstance(arguments, dict) else {}
        offered = any(tool["name"] == name for tool in offers.TOOLS)
        result = await offers.call(Sample(str(name), given, ask, self.notes)) if offered else None
        if result is None:
            await _send(stream, jsonrpc.error_response(frame.id, jsonrpc.INVALID_PARAMS, "Unknown tool"))
        else:
            await _send(stream, jsonrpc.response(frame.id, result))
        await stream.write_eof()
        return stream

    def _answer(self, frame: Frame) -> Frame:
        assert frame.id is not UNSET
        params = _opened(frame.params)
        result: Body | None
        match frame.method:
            case "ping":
                result = {}
            case "tools/list":
                result = {"tools": offers.TOOLS}
            case "resources/list":
                result = {"resources": offers.RESOURCES}
            case "resources/templates/list":
                result = {"resourceTemplates": []}
            case "prompts/list":
                result = {"prompts": offers.PROMPTS}
            case "resources/read":
                result = offers.read(str(params.get("uri")), self.notes)
                if result is None:
                    return jsonrpc.error_response(frame.id, NOT_FOUND, "Resource not found", {"uri": params.get("uri")})
            case "prompts/get":
                arguments = params.get("arguments")
                given = arguments if isinstance(arguments, dict) else {}
                result = offers.prompt(str(params.get("name")), given, self.notes)
                if result is None:
                    return jsonrpc.error_response(frame.id, jsonrpc.INVALID_PARAMS, "Unknown prompt")
            case _:
                return jsonrpc.error_response(frame.id, jsonrpc.METHOD_NOT_FOUND, "Method not found")
        return jsonrpc.response(frame.id, result)


def _answered(session: Session, frame: Frame) -> None:
    waiting = session.pending.get(frame.id) if frame.id is not UNSET else None
    if waiting is not None and not waiting.done():
        waiting.set_result(_opened(frame.result) if frame.result is not UNSET else None)


def _opened(members: Any) -> Body:
    """A body as a plain tree; members that are not acceptable are left out."""
    opened: Body = {}
    for name, value in members.items() if isinstance(members, dict) else ():
        try:
            opened[name] = open_value(value, DEFAULT_LIMITS) if type(value) is Raw else value
        except jsonrpc.Refused:
            continue
    return opened


def _reply(frame: Frame, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=jsonrpc.encode(frame), content_type="application/json", headers=headers)


async def _streamed(request: web.Request, frame: Frame) -> web.StreamResponse:
    """A whole answer as a stream: a server that can ask answers so, and its clients see by it that it can."""
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await stream.prepare(request)
    await _send(stream, frame)
    await stream.write_eof()
    return stream


async def _send(stream: web.StreamResponse, frame: Frame) -> None:
    await stream.write(b"event: message\ndata: " + jsonrpc.encode(frame) + b"\n\n")


def sample_app() -> web.Application:
    """The application: it is served at /mcp, and has no standing stream (405 to GET)."""
    server = SampleServer()
    app = web.Application(client_max_size=DEFAULT_LIMITS.body)
    app.router.add_post("/mcp", server.post)
    app.router.add_delete("/mcp", server.delete)
    return app
