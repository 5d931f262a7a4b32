"""How a server is named, and where the grant for it is kept. Loads nothing that a start on a pipe would notice."""

from __future__ import annotations

import hashlib
from pathlib import Path

from broker.backends.http1_head import Origin, parse_url
from broker.hosts.machine import Machine


def canonical(url: str) -> str:
    """How a server is named: scheme and host in lower case, no default port, no query, no slash alone.

    Raises:
        ValueError: no plain http or https URL.
    """
    return canonical_of(parse_url(url))


def canonical_of(origin: Origin) -> str:
    """As `canonical`."""
    path = origin.target.partition("?")[0]
    return f"{origin.scheme}://{origin.authority}{'' if path == '/' else path}"


def folder(machine: Machine | None = None) -> Path:
    """Where programs keep such things: `~/.local/state/dragoman/signin` on Linux."""
    base = (machine or Machine.here()).base("state")
    assert base is not None
    return Path(str(base)) / "dragoman" / "signin"


def file_of(server: str) -> str:
    """The name of a server's file, which says nothing about it."""
    return f"{hashlib.sha256(server.encode()).hexdigest()[:32]}.json"
