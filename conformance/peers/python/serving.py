"""Serve one everything server: `--port N [--host H]` on the loopback, or `--transport stdio`; `[--input-keys]`.

`--transport streamable-http` (the default) prints `READY http://HOST:PORT/mcp` once the socket accepts, `sse` (the
HTTP+SSE pair) `READY http://HOST:PORT/sse`; port 0 takes a free one. Ends on SIGTERM, over stdio with its input.
"""

from __future__ import annotations

import lean  # noqa: F401 - before anything of the SDK

# isort: split

import argparse
import logging
import socket
from typing import Any

import anyio
import sdk
import uvicorn
from everything import Everything
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

# Open event streams never end by themselves: they are cut this long after SIGTERM, in seconds.
SHUTDOWN_GRACE = 1
PATHS = {"streamable-http": "/mcp", "sse": "/sse"}
MESSAGES = "/messages/"  # where the pair's clients post to


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
    """Parse the command line and serve until SIGTERM, or the end of input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=(*PATHS, "stdio"), default="streamable-http")
    parser.add_argument("--port", type=int, help="needed unless over stdio")
    parser.add_argument("--host", default="127.0.0.1", choices=("127.0.0.1", "localhost", "::1"))
    parser.add_argument("--input-keys", action="store_true", help="name every question in its `_meta`")
    options = parser.parse_args(argv)

    # The SDK logs a traceback for every event stream that a session's end cuts short.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    everything = Everything(input_keys=options.input_keys)
    if options.transport == "stdio":
        anyio.run(_pipe, everything)
        return
    if options.port is None:
        parser.error("--port is needed")
    listener = socket.create_server((options.host, options.port))
    port = listener.getsockname()[1]
    app = _pair(everything) if options.transport == "sse" else _streamable(_manager(everything, options.host, port))
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="on" if options.transport == "streamable-http" else "off",
        loop="asyncio",
        http="h11",
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_GRACE,
    )
    server = Announcing(config)
    server.url = f"http://{options.host}:{port}{PATHS[options.transport]}"
    server.run(sockets=[listener])


async def _pipe(everything: Everything) -> None:
    async with stdio_server() as (read, write):
        await everything.run(read, write, everything.create_initialization_options())


def _pair(everything: Everything) -> Any:
    """The HTTP+SSE pair of 2024-11-05: a stream for each session, and the address its messages are posted to."""
    transport = SseServerTransport(MESSAGES)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == PATHS["sse"] and scope["method"] == "GET":
            async with transport.connect_sse(scope, receive, send) as (read, write):
                await everything.run(read, write, everything.create_initialization_options())
        elif scope["path"] == MESSAGES and scope["method"] == "POST":
            await transport.handle_post_message(scope, receive, send)
        else:
            status = 405 if scope["path"] in (PATHS["sse"], MESSAGES) else 404
            await _refuse(send, status)

    return app


def _streamable(manager: StreamableHTTPSessionManager) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(manager, receive, send)
        elif scope["path"] == PATHS["streamable-http"]:
            await manager.handle_request(scope, receive, send)
        else:
            await _refuse(send, 404)

    return app


async def _refuse(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _lifespan(manager: StreamableHTTPSessionManager, receive: Any, send: Any) -> None:
    await receive()
    async with manager.run():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
