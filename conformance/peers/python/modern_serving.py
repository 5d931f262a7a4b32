"""Serve one modern everything server: `--port N [--host 127.0.0.1]` on the loopback, or `--transport stdio`.

Over Streamable HTTP it prints `READY http://HOST:PORT/mcp` once the socket accepts; port 0 takes a free one. Ends on
SIGTERM, after every listen stream got its result; over stdio with its input.
"""

from __future__ import annotations

import lean  # noqa: F401 - before anything of the SDK

# isort: split

import argparse
import logging
import socket
import warnings
from typing import Any

import anyio
import uvicorn
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from modern_everything import Everything
from modern_gate import Gate
from modern_pipe import serve

SHUTDOWN_GRACE = 1  # seconds that calls under way have after SIGTERM
BODY_LIMIT = 4 * 1024 * 1024  # bytes; the SDK's own default


class Announcing(uvicorn.Server):
    """A uvicorn server that says when it accepts and closes the listen streams when it ends."""

    url: str
    everything: Everything

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the READY line."""
        await super().startup(sockets)
        print(f"READY {self.url}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listen streams, then whatever is left."""
        self.everything.listening.close()
        await super().shutdown(sockets)


def main() -> None:
    """Parse the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=("streamable-http", "stdio"), default="streamable-http")
    parser.add_argument("--port", type=int, help="needed unless over stdio")
    parser.add_argument("--host", default="127.0.0.1", choices=("127.0.0.1", "localhost", "::1"))
    options = parser.parse_args()

    # The SDK logs a traceback for every stream that its client leaves, and warns of what the revision deprecates.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    if options.transport == "stdio":
        anyio.run(serve, Everything())
        return
    if options.port is None:
        parser.error("--port is needed")
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.create_server((options.host, options.port), family=family)
    host = f"[{options.host}]" if ":" in options.host else options.host
    port = listener.getsockname()[1]
    names = [f"{name}:{port}" for name in (host, "localhost", "127.0.0.1")]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=names,
        allowed_origins=[f"http://{name}" for name in names],
    )
    everything = Everything()
    gate = Gate(everything, security)
    limited = RequestBodyLimitMiddleware(gate, BODY_LIMIT)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(gate, receive, send)
        elif scope["path"] == "/mcp":
            await limited(scope, receive, send)
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
    server.url = f"http://{host}:{port}/mcp"
    server.everything = everything
    server.run(sockets=[listener])


async def _lifespan(gate: Gate, receive: Any, send: Any) -> None:
    await receive()
    async with gate.server.lifespan(gate.server) as gate.lifespan_state:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
