"""A pipe to the SDK's server that refuses the handshake era until the client has opened the modern one.

The SDK lets the first request decide the era. Here requests of the older one are answered as the TypeScript SDK's
`legacy: 'reject'` answers them, and its notifications are dropped; from the first modern request on, the SDK judges
itself. Page basic/transports/stdio of 2026-07-28.
"""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import PROTOCOL_VERSION_META_KEY, UNSUPPORTED_PROTOCOL_VERSION, ErrorData, JSONRPCError, JSONRPCRequest
from mcp.types.version import MODERN_PROTOCOL_VERSIONS


async def serve(server: Any) -> None:
    """Serve the client on standard input until it ends."""
    async with stdio_server() as (read, write), anyio.create_task_group() as group:
        passed, gated = anyio.create_memory_object_stream[Any]()
        group.start_soon(_gate, read, write.clone(), passed)
        await server.run(gated, write, server.create_initialization_options())
        group.cancel_scope.cancel()


async def _gate(read: Any, write: Any, passed: Any) -> None:
    modern = False
    async with read, write, passed:
        async for item in read:
            message = item.message if isinstance(item, SessionMessage) else None
            modern = modern or (message is not None and _opens(message))
            if modern:
                await passed.send(item)
            elif isinstance(message, JSONRPCRequest):
                await write.send(SessionMessage(_refusal(message)))


def _opens(message: Any) -> bool:
    meta = (message.params or {}).get("_meta") if isinstance(message, JSONRPCRequest) else None
    return isinstance(meta, dict) and message.method != "initialize" and PROTOCOL_VERSION_META_KEY in meta


def _refusal(request: JSONRPCRequest) -> JSONRPCError:
    asked = (request.params or {}).get("protocolVersion") if request.method == "initialize" else None
    named = {"requested": asked} if isinstance(asked, str) else {}
    data = {"supported": list(MODERN_PROTOCOL_VERSIONS), **named}
    error = ErrorData(code=UNSUPPORTED_PROTOCOL_VERSION, message="Unsupported protocol version", data=data)
    return JSONRPCError(jsonrpc="2.0", id=request.id, error=error)
