"""What a backend says in shapes newer than its client's revision, or in shapes that strict clients reject.

SDK servers send the newest shapes whatever they negotiated; these acts do so on purpose, at every revision.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from aiohttp import web

from conformance.raw.misbehaviour import Act, Exchange, write

Message = dict[str, Any]
AUDIO: Final = base64.b64encode(bytes(range(64))).decode()
LINK: Final = {
    "type": "resource_link",
    "uri": "test://linked",
    "name": "linked",
    "title": "Linked",
    "mimeType": "text/plain",
    "icons": [{"src": "https://example.com/i.png"}],
    "annotations": {"priority": 0.5, "lastModified": "2025-01-12T15:00:58Z"},
    "_meta": {"example.com/x": 1},
}
RICH: Final[Message] = {
    "content": [{"type": "text", "text": "plain"}, {"type": "audio", "data": AUDIO, "mimeType": "audio/wav"}, LINK],
    "structuredContent": {"n": 1},
}
ODD_TOOL: Final[Message] = {
    "name": "odd",
    "title": None,
    "description": None,
    "inputSchema": {"properties": {"any": True, "never": False}},
}
VISIT: Final = {"mode": "url", "elicitationId": "e1", "url": "https://example.com/visit", "message": "Please sign in"}
CHOICES: Final[Message] = {
    "message": "Which?",
    "requestedSchema": {
        "type": "object",
        "properties": {
            "one": {
                "type": "string",
                "oneOf": [{"const": "#F00", "title": "Red"}, {"const": "#0F0", "title": "Green"}],
            },
            "some": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["a", "b", "c"]}},
        },
    },
}


async def _rich(exchange: Exchange) -> web.StreamResponse:
    return web.json_response(exchange.response(RICH))


async def _nulls(exchange: Exchange) -> web.StreamResponse:
    content = [{"type": "text", "text": "null beside me", "annotations": None}]
    return web.json_response(exchange.response({"content": content, "isError": None, "_meta": None}))


async def _needs_visit(exchange: Exchange) -> web.StreamResponse:
    error = {"code": -32042, "message": "URL elicitation required", "data": {"elicitations": [VISIT]}}
    return web.json_response({"jsonrpc": "2.0", "id": exchange.body["id"], "error": error})


async def _visited(exchange: Exchange) -> web.StreamResponse:
    stream = await exchange.stream()
    params = {"elicitationId": "e1"}
    await write(stream, {"jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": params})
    await write(stream, exchange.message("visited"))
    return stream


async def _stray_extras(exchange: Exchange) -> web.StreamResponse:
    """An answer with a member beside the envelope's own, which strict clients reject."""
    return web.json_response({**exchange.message("extra"), "trace": "x"})


ACTS: Final[dict[str, Act]] = {
    "rich": _rich,
    "nulls": _nulls,
    "needs_visit": _needs_visit,
    "visited": _visited,
    "stray_extras": _stray_extras,
}
