"""The scripted backend of 2026-07-28: no session, no GET, every request judged by itself, streams that are listened to.

Tools are those of `misbehaviour` and `newest` that this revision can have, and those of `stateless_acts`.
Invariant: a request whose envelope or headers break the revision is refused as it demands, so a broker that
writes one wrongly fails whatever check it happens in.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from conformance.raw import misbehaviour, newest, stateless_acts
from conformance.raw.backend import Backend, Message
from conformance.raw.misbehaviour import Exchange, write
from conformance.revisions import STATELESS

CLOSED: Final = "CLOSED"
"""Stands in the record, with the request's id, where the other side closed a stream before its answer."""
META: Final = "io.modelcontextprotocol/"
NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
HINTS: Final = {"ttlMs": 0, "cacheScope": "private"}
GONE: Final = ("polls", "needs_visit", "visited", "asks")
"""Tools whose means this revision has not."""
LEGACY: Final = {name: act for name, act in {**misbehaviour.ACTS, **newest.ACTS}.items() if name not in GONE}
ACTS: Final = {**LEGACY, **stateless_acts.ACTS}


@dataclass
class StatelessBackend(Backend):
    """One process's state: the record, and the listen streams with what each asked for."""

    listening: list[tuple[web.Request, web.StreamResponse, Message]] = field(default_factory=list)
    late_s: float = 0.0
    """How long listen streams wait for their acknowledgement."""

    async def post(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.record(request, body)
        if "method" not in body:
            return _error(400, body, -32600, "no answers are taken")
        if "id" not in body:
            return web.Response(status=202)
        refusal = _refusal(request, body)
        if refusal is not None:
            return refusal
        try:
            return await self.answer(request, body)
        except asyncio.CancelledError:
            self.seen.append({"http": CLOSED, "headers": {}, "body": None, "id": body["id"]})
            raise

    async def answer(self, request: web.Request, body: Message) -> web.StreamResponse:
        method, params = body["method"], body["params"]
        if method == "subscriptions/listen":
            return await self.listen(request, body)
        if method in NAMED:
            acts = {"tools/call": ACTS, "prompts/get": stateless_acts.PROMPTS, "resources/read": stateless_acts.READS}
            act = acts[method].get(str(params.get(NAMED[method])))
            if act is None:
                return _error(200, body, -32602, "no such thing", {"uri": params["uri"]} if "uri" in params else None)
            return await act(Exchange(self, request, body))
        simple: dict[str, Message] = {
            "server/discover": {**self.described(), **HINTS},
            "tools/list": {"tools": catalogue(), **HINTS},
            "prompts/list": {"prompts": [{"name": name} for name in stateless_acts.PROMPTS], **HINTS},
            "resources/list": {"resources": [{"uri": "test://watched", "name": "watched"}], **HINTS},
            "resources/templates/list": {"resourceTemplates": [], **HINTS},
            "completion/complete": {"completion": {"values": ["paris"], "hasMore": False}},
        }
        if method in simple:
            return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": self.finished(simple[method])})
        return _error(404, body, -32601, "Method not found")

    def finished(self, result: Message) -> Message:
        """A result as the revision writes it."""
        return {"resultType": "complete", **result}

    def described(self) -> Message:
        return {
            "supportedVersions": [STATELESS],
            "capabilities": {
                "tools": {"listChanged": True},
                "prompts": {"listChanged": True},
                "resources": {"subscribe": True, "listChanged": True},
                "logging": {},
                "completions": {},
            },
            "instructions": "Scripted.",
            "_meta": {f"{META}serverInfo": {"name": "scripted", "version": "1"}},
        }

    async def listen(self, request: web.Request, body: Message) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        wanted = body["params"].get("notifications", {})
        await asyncio.sleep(self.late_s)
        entry = (request, response, body)
        await write(response, _listened(body["id"], "notifications/subscriptions/acknowledged", notifications=wanted))
        self.listening.append(entry)
        try:
            await asyncio.Event().wait()
        finally:
            self.listening.remove(entry)
        return response

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.record(request, None)
        return web.Response(status=405, headers={"Allow": "POST"})

    async def delete(self, request: web.Request) -> web.Response:
        self.record(request, None)
        return web.Response(status=405, headers={"Allow": "POST"})

    async def push(self, request: web.Request) -> web.Response:
        """Send a notification on every listen stream that asked for it; gives how many there were."""
        message = json.loads(await request.read())
        reached = 0
        for _, stream, asked in list(self.listening):
            if _asked_for(asked["params"].get("notifications", {}), message):
                with suppress(ConnectionError):  # its reader left this moment
                    await write(stream, _listened(asked["id"], message["method"], **message.get("params", {})))
                    reached += 1
        return web.json_response(reached)

    async def late(self, request: web.Request) -> web.Response:
        """Acknowledge listen streams only after the seconds of the body, from now on."""
        self.late_s = float(await request.json())
        return web.Response(status=204)

    async def forget(self, _request: web.Request) -> web.Response:
        """End every listen stream, as a proxy in between does."""
        for request, _, _ in list(self.listening):
            if request.transport is not None:
                request.transport.abort()
        return web.Response(status=204)


def _listened(listen_id: Any, method: str, **params: Any) -> Message:
    params["_meta"] = {f"{META}subscriptionId": listen_id}
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _asked_for(wanted: Message, message: Message) -> bool:
    method = str(message["method"])
    if method == "notifications/resources/updated":
        return message["params"]["uri"] in wanted.get("resourceSubscriptions", ())
    kind = method.removeprefix("notifications/").removesuffix("/list_changed")
    return bool(wanted.get(f"{kind}ListChanged"))


def _refusal(request: web.Request, body: Message) -> web.Response | None:
    """How the revision refuses a request that is not written as it demands; None for a good one."""
    stated = request.headers.get("MCP-Protocol-Version")
    if stated != STATELESS:
        data = {"supported": [STATELESS]} | ({"requested": stated} if stated else {})
        return _error(400, body, -32022, "Unsupported protocol version", data)
    params = body.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    if not isinstance(params, dict) or not isinstance(meta, dict):
        return _error(400, body, -32602, "no _meta")
    if meta.get(f"{META}protocolVersion") != STATELESS or not isinstance(meta.get(f"{META}clientCapabilities"), dict):
        return _error(400, body, -32602, "no protocolVersion or clientCapabilities in _meta")
    method = body["method"]
    named = params.get(NAMED[method]) if method in NAMED else None
    for header, value in (("Mcp-Method", method), ("Mcp-Name", named)):
        if request.headers.get(header) != value:
            return _error(400, body, -32020, f"{header} is {request.headers.get(header)!r}")
    if "Mcp-Session-Id" in request.headers:
        return _error(400, body, -32600, "there are no sessions")
    return None


def _error(status: int, body: Message, code: int, message: str, data: Any = None) -> web.Response:
    error: Message = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return web.json_response({"jsonrpc": "2.0", "id": body.get("id"), "error": error}, status=status)


def catalogue() -> list[Message]:
    """The tools, and one in a shape that strict clients reject."""
    tools: list[Message] = [
        {"name": name, "title": f"Tool {name}", "description": name, "inputSchema": {"type": "object"}} for name in ACTS
    ]
    tools.append({"name": "numbers", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}})
    return [*tools, {key: value for key, value in newest.ODD_TOOL.items() if value is not None}]
