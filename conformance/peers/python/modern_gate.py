"""A gate in front of the SDK's modern HTTP entry that refuses the handshake era.

The SDK serves both eras and has no option against that. Here every POST goes to its modern entry alone, and
what that entry would misread is answered as the TypeScript SDK's `legacy: 'reject'` answers it: no request of
the handshake era is served. Pages basic/versioning and basic/transports/streamable-http of 2026-07-28.
"""

from __future__ import annotations

import json
from typing import Any

from mcp.server._streamable_http_modern import handle_modern_request
from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp.types import HEADER_MISMATCH, PROTOCOL_VERSION_META_KEY, UNSUPPORTED_PROTOCOL_VERSION
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SERVER_ERROR = -32000  # the SDKs' code for what they refuse before JSON-RPC
SUPPORTED = list(MODERN_PROTOCOL_VERSIONS)


class Gate:
    """An ASGI endpoint: refuses the handshake era, hands the rest to the SDK."""

    def __init__(self, server: Server[Any], security: TransportSecuritySettings) -> None:
        self.server = server
        self.security = security
        self.lifespan_state: Any = None  # what the server's lifespan yields; set before the first request

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        refusal = await TransportSecurityMiddleware(self.security).validate_request(request, is_post=False)
        if refusal is None:
            refusal = _transport_refusal(request)
        body = b""
        if refusal is None:
            body = await request.body()
            refusal = _era_refusal(request.headers.get("mcp-protocol-version"), body)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Any:
            return unread.pop() if unread else await receive()

        await handle_modern_request(self.server, self.security, False, self.lifespan_state, scope, replay, send)


def _transport_refusal(request: Request) -> Response | None:
    if request.method != "POST":
        return _error(405, SERVER_ERROR, "Method not allowed.", headers={"Allow": "POST"})
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return _error(415, SERVER_ERROR, "Unsupported Media Type: Content-Type must be application/json")
    return None


def _era_refusal(header: str | None, body: bytes) -> Response | None:
    """The answer to a message of the handshake era; None for everything that the SDK's entry judges."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return None
    if header in SUPPORTED:
        if message["method"] != "initialize" or "id" not in message or _claims(message):
            return None
        text = "Bad Request: an initialize request was sent with a modern MCP-Protocol-Version header"
        return _error(400, HEADER_MISMATCH, text, message["id"])
    if "id" not in message:
        return Response(status_code=202)
    if _claims(message):
        return None  # header and envelope disagree: the SDK says so
    params = message.get("params")
    asked = params.get("protocolVersion") if message["method"] == "initialize" and isinstance(params, dict) else header
    data: dict[str, Any] = {"supported": SUPPORTED}
    text = "Unsupported protocol version: the request did not name a protocol version"
    if isinstance(asked, str):
        data["requested"] = asked
        text = f"Unsupported protocol version: {asked}"
    return _error(400, UNSUPPORTED_PROTOCOL_VERSION, text, message["id"], data)


def _claims(message: dict[str, Any]) -> bool:
    """Whether the request carries the per-request envelope of the modern era."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return isinstance(meta, dict) and PROTOCOL_VERSION_META_KEY in meta


def _error(
    status: int,
    code: int,
    text: str,
    request_id: Any = None,
    data: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    error: dict[str, Any] = {"code": code, "message": text}
    if data is not None:
        error["data"] = data
    echoed = request_id if isinstance(request_id, str | int | float) else None
    return JSONResponse({"jsonrpc": "2.0", "error": error, "id": echoed}, status_code=status, headers=headers)
