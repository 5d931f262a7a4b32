"""Serve one everything server over Streamable HTTP on the loopback: `--port N [--host H] [--input-keys]`.

Prints `READY http://HOST:PORT/mcp` once the socket accepts; port 0 takes a free one. Ends on SIGTERM.
"""

from __future__ import annotations

import lean  # noqa: F401 - before anything of the SDK

# isort: split

import argparse
import logging
import socket
from typing import Any

import sdk
import uvicorn
from everything import Everything
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

# Open event streams never end by themselves: they are cut this long after SIGTERM, in seconds.
SHUTDOWN_GRACE = 1


class Announcing(uvicorn.Server):
    """A uvicorn server that says when it accepts."""

    url: str

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the READY line."""
        await super().startup(sockets)
        print(f"READY {self.url}", flush=True)


def _manager(server: Everything, host: str, port: int) -> StreamableHTTPSessionManager:
    if not sdk.accepts(StreamableHTTPSessionManager.__init__, "security_settings"):
        return StreamableHTTPSessionManager(server)
    from mcp.server.transport_security import TransportSecuritySettings

    names = [f"{name}:{port}" for name in (host, "localhost", "127.0.0.1")]
    settings = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=names,
        allowed_origins=[f"http://{name}" for name in names],
    )
    return StreamableHTTPSessionManager(server, security_settings=settings)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", choices=("127.0.0.1", "localhost", "::1"))
    parser.add_argument("--input-keys", action="store_true", help="name every question in its `_meta`")
    options = parser.parse_args(argv)

    # The SDK logs a traceback for every event stream that a session's end cuts short.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    listener = socket.create_server((options.host, options.port))
    port = listener.getsockname()[1]
    manager = _manager(Everything(input_keys=options.input_keys), options.host, port)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(manager, receive, send)
        elif scope["path"] == "/mcp":
            await manager.handle_request(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="on",
        loop="asyncio",
        http="h11",
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_GRACE,
    )
    server = Announcing(config)
    server.url = f"http://{options.host}:{port}/mcp"
    server.run(sockets=[listener])


async def _lifespan(manager: StreamableHTTPSessionManager, receive: Any, send: Any) -> None:
    await receive()
    async with manager.run():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
