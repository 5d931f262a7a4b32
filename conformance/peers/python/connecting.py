"""Where a client finds its server: at a URL over one of two transports, or in a command that it starts.

`--sign-in SCOPES`: at a URL that wants it, a person signs in (see `signing_in`).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

BOUND = 60.0  # seconds, beyond any feature's bound, so that the SDK's own never decides


@dataclass
class Place:
    """`transport()` opens the SDK's own transport; `get_stream`: the SDK then opens a stream for what is unasked."""

    transport: Callable[[], Any]
    get_stream: bool = False


def add_place(parser: argparse.ArgumentParser) -> None:
    """The options that name a server."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url")
    where.add_argument("--command", type=json.loads, metavar="JSON", help="argv of a server on a pipe")
    parser.add_argument("--sign-in", metavar="SCOPES", help="sign in when asked to")
    parser.add_argument("--transport", choices=("streamable-http", "sse"), default="streamable-http", help="of the URL")


def place(options: argparse.Namespace) -> Place:
    """Where the command line says that the server is."""
    if options.command:
        return Place(lambda: _pipe(options.command))
    if options.transport == "sse":
        return Place(lambda: _pair(options.url))
    return Place(lambda: _streamable(options.url, options.sign_in), get_stream=True)


def _pipe(command: list[str]) -> Any:
    from mcp.client.stdio import StdioServerParameters, stdio_client

    # The whole environment: package runners find their caches there.
    return stdio_client(StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ)))


def _pair(url: str) -> Any:
    from mcp.client.sse import sse_client

    return sse_client(url, timeout=BOUND, sse_read_timeout=BOUND)


def _streamable(url: str, scopes: str | None) -> Any:
    from mcp.client.streamable_http import streamablehttp_client

    more: dict[str, Any] = {}
    if scopes is not None:
        from signing_in import sign_in

        more["auth"] = sign_in(url, scopes)
    bound = timedelta(seconds=BOUND)
    return streamablehttp_client(url, timeout=bound, sse_read_timeout=bound, **more)
