"""The scripted backend's tools: a few honest ones, and one for each way a backend fails.

Each act gets its HTTP exchange and answers it as its name says.
Invariant: a fault touches only the exchange of its own call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from conformance.raw.backend import Backend

Message = dict[str, Any]
BODY: Final = "internal-host-7 stack trace"
"""Text of a broken backend, which no client may ever read."""
ASK_BOUND_S: Final = 5.0
HANG_BOUND_S: Final = 60.0


@dataclass
class Exchange:
    """One tool call at the backend."""

    backend: Backend
    request: web.Request
    body: Message

    @property
    def arguments(self) -> Message:
        found = self.body["params"].get("arguments")
        return found if isinstance(found, dict) else {}

    def message(self, text: str) -> Message:
        """The call's result with one text block."""
        return self.response({"content": [{"type": "text", "text": text}]})

    def response(self, result: Message) -> Message:
        return {"jsonrpc": "2.0", "id": self.body["id"], "result": self.backend.finished(result)}

    def json(self, text: str) -> web.Response:
        return web.json_response(self.message(text))

    async def stream(self) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(self.request)
        return response

    @property
    def session(self) -> str:
        return self.request.headers.get("Mcp-Session-Id", "")

    async def ask(
        self, stream: web.StreamResponse, method: str, params: Message | None, request_id: Any = None
    ) -> Message:
        """Ask the client on a stream; gives its response, or one saying that none came."""
        chosen = f"ask-{next(self.backend.numbers)}" if request_id is None else request_id
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.backend.asks[self.session, json.dumps(chosen)] = waiting
        message: Message = {"jsonrpc": "2.0", "id": chosen, "method": method}
        await write(stream, message if params is None else {**message, "params": params})
        try:
            return await asyncio.wait_for(waiting, ASK_BOUND_S)
        except TimeoutError:
            return {"error": {"code": 0, "message": "no answer came"}}


Act = Callable[[Exchange], Awaitable[web.StreamResponse]]


async def write(stream: web.StreamResponse, message: Message, event_id: str | None = None) -> None:
    """Write one event."""
    prefix = b"" if event_id is None else b"id: " + event_id.encode() + b"\n"
    await stream.write(prefix + b"data: " + json.dumps(message).encode() + b"\n\n")


def log(text: str) -> Message:
    """A log notification."""
    return {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": text}}


async def _echo(exchange: Exchange) -> web.StreamResponse:
    return exchange.json(json.dumps(exchange.arguments, sort_keys=True))


async def _late(exchange: Exchange) -> web.StreamResponse:
    await asyncio.sleep(0.3)
    return exchange.json("late")


async def _three_logs(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    for number in range(3):
        await write(stream, log(f"log {number}"))
        await asyncio.sleep(0.15)
    await write(stream, exchange.message("logged"))
    return stream


async def _progress(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    token = exchange.body["params"].get("_meta", {}).get("progressToken")
    params = {"progressToken": token, "progress": 1, "total": 2}
    await write(stream, {"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    await write(stream, exchange.message(json.dumps({"token": token})))
    return stream


async def _asks(exchange: Exchange) -> web.StreamResponse:
    """Send the request of the arguments to the client; the result's text is the client's answer as it
    came."""
    stream = await exchange.stream()
    answer = await exchange.ask(stream, exchange.arguments["method"], exchange.arguments.get("params", {}))
    kept = {key: value for key, value in answer.items() if key in ("result", "error")}
    await write(stream, exchange.message(json.dumps(kept)))
    return stream


async def _vendor(exchange: Exchange) -> web.StreamResponse:
    return web.json_response(
        exchange.response({"content": [{"type": "text", "text": "vendor"}], "x-vendor": {"kept": True}})
    )


async def _garbage(_exchange: Exchange) -> web.StreamResponse:
    return web.Response(body=b'{"jsonrpc": "2.0", ' + BODY.encode(), content_type="application/json")


async def _html(_exchange: Exchange) -> web.StreamResponse:
    return web.Response(text=f"<html>{BODY}</html>", content_type="text/html")


async def _bad_gateway(_exchange: Exchange) -> web.StreamResponse:
    return web.Response(status=502, text=f"<html>{BODY}</html>", content_type="text/html")


async def _wrong_id(exchange: Exchange) -> web.StreamResponse:
    return web.json_response({**exchange.message("wrong"), "id": 987654321})


async def _stream_wrong_id(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    await write(stream, {**exchange.message("wrong"), "id": "nobody-asked"})
    await write(stream, exchange.message("right"))
    return stream


async def _closes(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    await write(stream, log("before the end"))
    transport = exchange.request.transport
    if transport is not None:
        transport.abort()
    return stream


async def _ends(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    await write(stream, log("before the end"))
    return stream


async def _twice(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    await write(stream, exchange.message("first"))
    await write(stream, exchange.message("second"))
    return stream


async def _hangs(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    await asyncio.sleep(HANG_BOUND_S)
    return stream


async def _polls(exchange: Exchange) -> web.StreamResponse:
    """Priming event with a retry time, then a closed connection: the answer waits for GET with
    Last-Event-ID."""
    stream = await exchange.stream()
    mark = f"call-{len(exchange.backend.seen)}"
    exchange.backend.owed[mark] = exchange.message("polled")
    await stream.write(f"id: {mark}\nretry: 50\ndata: \n\n".encode())
    return stream


async def _bad_event(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    await stream.write(b"data: {" + BODY.encode() + b"\n\n")
    return stream


async def _result_is_text(exchange: Exchange) -> web.StreamResponse:
    return web.json_response({"jsonrpc": "2.0", "id": exchange.body["id"], "result": BODY})


ACTS: Final[dict[str, Act]] = {
    "echo": _echo,
    "late": _late,
    "three_logs": _three_logs,
    "progress": _progress,
    "asks": _asks,
    "vendor": _vendor,
    "garbage": _garbage,
    "html": _html,
    "bad_gateway": _bad_gateway,
    "wrong_id": _wrong_id,
    "stream_wrong_id": _stream_wrong_id,
    "closes": _closes,
    "ends": _ends,
    "twice": _twice,
    "hangs": _hangs,
    "polls": _polls,
    "bad_event": _bad_event,
    "result_is_text": _result_is_text,
}
