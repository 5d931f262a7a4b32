"""Where the processes of a cell find each other: a URL, or a command that whoever wants it starts itself.

A server over stdio is started by its client, and so is the broker in front of a client over stdio; only the others
are started here. Invariant: every place is told to a peer in its own options, and nothing else differs.
"""

from __future__ import annotations

import json
import sys

from conformance.cells import STREAMABLE, Peer
from conformance.launch import Children

Place = str | tuple[str, ...]
"""A URL, or the argv of a server on a pipe."""


def server(children: Children, peer: Peer, *options: str) -> Place:
    """A place where that peer serves."""
    command = [*peer.command("server"), *options]
    if peer.transport == "stdio":
        return tuple(command)
    _, url = children.server("server", command)
    return url


def broker(children: Children, backend: Place, client: Peer, *options: str) -> Place:
    """A place where the broker serves that client, before a backend."""
    if client.transport == "stdio":
        target = (backend,) if isinstance(backend, str) else ("--", *backend)
        return (sys.executable, "-m", "broker", "stdio", *options, *target)
    _, url = children.broker(backend, *options)
    return f"{url.removesuffix('/mcp')}/sse" if client.transport == "sse" else url


def told(place: Place, client: Peer) -> list[str]:
    """The options that tell a scripted client where its server is."""
    if not isinstance(place, str):
        return ["--command", json.dumps(place)]
    return ["--url", place, *([] if client.transport == STREAMABLE else ["--transport", client.transport])]
