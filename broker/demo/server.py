"""The sample server: revision 2026-07-28 over Streamable HTTP, without sessions and without an SDK.

Follows basic/patterns/mrtr, basic/patterns/subscriptions and basic/transports/streamable-http of 2026-07-28. Every
request stands alone: what a question needs to be taken up again is in its sealed `requestState`, and nothing of any
client is kept. `initialize` is refused with the versions spoken, as a server without a second era does.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import UNSET

from broker.app import WIND_DOWN
from broker.demo import offers
from broker.demo.offers import Body, Notes, Sample
from broker.demo.state import Sealer
from broker.faces.classify import CLIENT_CAPABILITIES, Modern, Refusal, classify, unsupported
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import DEFAULT_LIMITS, Frame, open_value
from protocol_versions.v2026_07_28 import REVISION as PINNED

REVISION: Final = PINNED.id
SERVED: Final = (REVISION,)
MISSING_CAPABILITY: Final = -32021
MAX_LISTENS: Final = 100  # open streams; Envoy's edge guide allows as many to one client
MAX_WAITING: Final = 100  # announcements a slow reader may leave unread; further ones are dropped, it will read again

SERVER_INFO: Final = {"name": "dragoman-sample", "title": "Sample server", "version": "1", "icons": [offers.ICON]}
DISCOVERY: Final[Body] = {
    "supportedVersions": [REVISION],
    "capabilities": {"tools": {}, "resources": {"subscribe": True}, "prompts": {}},
    "instructions": "A sample server of revision 2026-07-28.",
    "_meta": {"io.modelcontextprotocol/serverInfo": SERVER_INFO},
}
KEPT: Final = {"ttlMs": 60_000, "cacheScope": "public"}
UNKEPT: Final = {"ttlMs": 0, "cacheScope": "private"}


class InputNeeded(Exception):  # noqa: N818 - how a call ends for now, not an error
    """The call goes on when the client sends it again with the answer to this."""

    def __init__(self, method: str, params: Body) -> None:
        super().__init__(method)
        self.question = {"method": method, "params": params}


class CapabilityNeeded(Exception):  # noqa: N818 - an answer of its own code
    """The client did not declare what the call needs."""


class StatelessSample:
    """The handlers of one endpoint."""

    def __init__(self) -> None:
        self.sealer = Sealer()
        self.notes = Notes()
        self.listens: set[Listen] = set()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """One message."""
        try:
            frame = jsonrpc.decode_strict(await request.read(), DEFAULT_LIMITS)
        except jsonrpc.Refused as refused:
            return _error(UNSET, refused.code, refused.message, status=400)
        if not isinstance(frame, Frame):
            return _error(UNSET, jsonrpc.INVALID_REQUEST, "Batches are not part of this revision", status=400)
        verdict = classify(frame, request.headers, SERVED)
        if isinstance(verdict, Modern):
            return await self._serve(request, frame, verdict)
        if frame.id is UNSET or frame.method is UNSET:
            return web.Response(status=202)
        refusal = verdict if isinstance(verdict, Refusal) else unsupported("", SERVED)
        return _error(frame.id, refusal.code, refusal.message, refusal.data or None, status=refusal.status)

    async def _serve(self, request: web.Request, frame: Frame, modern: Modern) -> web.StreamResponse:
        assert frame.id is not UNSET
        try:
            params = {name: open_value(value, DEFAULT_LIMITS) for name, value in modern.params.items()}
        except jsonrpc.Refused as refused:
            return _error(frame.id, refused.code, refused.message, status=400)
        match modern.method:
            case "tools/call":
                return await self._call(frame.id, params)
            case "subscriptions/listen":
                return await self._listen(request, frame.id, params)
            case method:
                return self._answer(frame.id, method, params)

    def _answer(self, number: int | str, method: str, params: Body) -> web.Response:
        result: Body | None
        match method:
            case "server/discover":
                result = {**DISCOVERY, **KEPT}
            case "tools/list":
                result = {"tools": offers.MODERN_TOOLS, **KEPT}
            case "resources/list":
                result = {"resources": offers.RESOURCES, **KEPT}
            case "resources/templates/list":
                result = {"resourceTemplates": [], **KEPT}
            case "prompts/list":
                result = {"prompts": offers.PROMPTS, **KEPT}
            case "resources/read":
                result = offers.read(str(params.get("uri")), self.notes)
                if result is None:
                    data = {"uri": params.get("uri")}
                    return _error(number, jsonrpc.INVALID_PARAMS, "Resource not found", data)
                result.update(UNKEPT)
            case "prompts/get":
                result = offers.prompt(str(params.get("name")), _object(params.get("arguments")), self.notes)
                if result is None:
                    return _error(number, jsonrpc.INVALID_PARAMS, "Unknown prompt")
            case _:
                return _error(number, jsonrpc.METHOD_NOT_FOUND, "Method not found", status=404)
        return _result(number, {"resultType": "complete", **result})

    async def _call(self, number: int | str, params: Body) -> web.Response:
        """A tool call, or its continuation: then the answers and the state it left with come back."""
        name, arguments = str(params.get("name")), _object(params.get("arguments"))
        subject = [name, arguments]
        state = params.get("requestState")
        if state is not None and not self.sealer.opens(state, subject):
            return _error(number, jsonrpc.INVALID_PARAMS, "requestState is not of this request, or too old")
        capabilities = _object(_object(params.get("_meta")).get(CLIENT_CAPABILITIES))

        async def ask(method: str, question: Body) -> Body | None:
            declared = capabilities.get("elicitation")
            if not isinstance(declared, dict) or (declared and "form" not in declared):
                raise CapabilityNeeded
            answers = _object(params.get("inputResponses")) if state is not None else {}
            answer = answers.get("question")
            if not isinstance(answer, dict):
                raise InputNeeded(method, question)
            return answer

        try:
            result = await offers.call(Sample(name, arguments, ask, self.notes))
        except InputNeeded as needed:
            asked = {"inputRequests": {"question": needed.question}, "requestState": self.sealer.seal(subject)}
            return _result(number, {"resultType": "input_required", **asked})
        except CapabilityNeeded:
            data: Body = {"requiredCapabilities": {"elicitation": {"form": {}}}}
            message = "This tool asks its user by elicitation, which the client did not declare"
            return _error(number, MISSING_CAPABILITY, message, data, status=400)
        if result is None:
            return _error(number, jsonrpc.INVALID_PARAMS, "Unknown tool")
        if name == "remember" and not result.get("isError"):
            for listen in self.listens:
                listen.announce(offers.NOTES_URI)
        return _result(number, {"resultType": "complete", **result})

    async def _listen(self, request: web.Request, number: int | str, params: Body) -> web.StreamResponse:
        if len(self.listens) >= MAX_LISTENS:
            return _error(number, jsonrpc.INTERNAL_ERROR, "Too many open subscriptions")
        wanted = _object(params.get("notifications")).get("resourceSubscriptions")
        known = {item["uri"] for item in offers.RESOURCES}
        listen = Listen(number, [uri for uri in wanted if uri in known] if isinstance(wanted, list) else [])
        self.listens.add(listen)
        try:
            return await listen.stream(request)
        finally:
            self.listens.discard(listen)

    def end(self) -> None:
        """Let every open stream end with its result."""
        for listen in self.listens:
            listen.end()


class Listen:
    """One open subscription."""

    def __init__(self, number: int | str, uris: list[str]) -> None:
        self.number = number
        self.uris = uris
        self.waiting: asyncio.Queue[Frame | None] = asyncio.Queue(MAX_WAITING)

    def announce(self, uri: str) -> None:
        """Tell that a resource has changed, if this subscription is about it."""
        if uri in self.uris and not self.waiting.full():
            self.waiting.put_nowait(self._note("notifications/resources/updated", {"uri": uri}))

    def end(self) -> None:
        """Close the stream after what is on its way."""
        if not self.waiting.full():
            self.waiting.put_nowait(None)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The acknowledgement, then announcements until either side ends it."""
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await stream.prepare(request)
        honoured = {"resourceSubscriptions": self.uris} if self.uris else {}
        await _send(stream, self._note("notifications/subscriptions/acknowledged", {"notifications": honoured}))
        while (frame := await self.waiting.get()) is not None:
            await _send(stream, frame)
        await _send(stream, jsonrpc.response(self.number, {"resultType": "complete", "_meta": self._meta()}))
        await stream.write_eof()
        return stream

    def _meta(self) -> Body:
        return {"io.modelcontextprotocol/subscriptionId": self.number}

    def _note(self, method: str, params: Body) -> Frame:
        return jsonrpc.notification(method, {"_meta": self._meta(), **params})


def _object(value: Any) -> Body:
    return value if isinstance(value, dict) else {}


def _result(number: int | str, result: Body) -> web.Response:
    return web.Response(body=jsonrpc.encode(jsonrpc.response(number, result)), content_type="application/json")


def _error(
    number: int | str | msgspec.UnsetType, code: int, message: str, data: Body | None = None, *, status: int = 200
) -> web.Response:
    frame = jsonrpc.error_response(number, code, message, data)
    return web.Response(status=status, body=jsonrpc.encode(frame), content_type="application/json")


async def _send(stream: web.StreamResponse, frame: Frame) -> None:
    await stream.write(b"event: message\ndata: " + jsonrpc.encode(frame) + b"\n\n")


def sample_app() -> web.Application:
    """The application: it is served at /mcp by POST alone (405 to GET and DELETE)."""
    server = StatelessSample()
    app = web.Application(client_max_size=DEFAULT_LIMITS.body)
    app.router.add_post("/mcp", server.post)
    app[WIND_DOWN] = [server.end]
    return app
