"""The cells of the matrix: which client stands before which server, written `py:2024-11-05/ts:2025-11-25`.

A peer on another transport than Streamable HTTP says so: `py:2024-11-05@stdio/ts:2025-11-25@sse`.
Invariant: the pairwise subset covers every pair of values of any two of the four parameters
(client revision, server revision, client family, server family); a test proves it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final, Literal

from conformance.revisions import CLIENTS, SERVERS

FAMILIES: Final = ("py", "ts")
FAMILY_NAMES: Final = {"py": "Python SDK", "ts": "TypeScript SDK"}
STREAMABLE: Final = "streamable-http"
TRANSPORTS: Final = (STREAMABLE, "sse", "stdio")
_PYTHON_PEERS: Final = Path(__file__).parent / "peers" / "python"


@dataclass(frozen=True, order=True)
class Peer:
    """One pinned SDK: a family, the revision it is pinned to, and the transport it is reached over."""

    family: str
    revision: str
    transport: str = STREAMABLE

    def __str__(self) -> str:
        place = "" if self.transport == STREAMABLE else f"@{self.transport}"
        return f"{self.family}:{self.revision}{place}"

    @classmethod
    def parse(cls, text: str) -> Peer:
        name, _, transport = text.strip().partition("@")
        family, _, revision = name.partition(":")
        if family not in FAMILIES or revision not in SERVERS or transport not in ("", *TRANSPORTS):
            raise ValueError(f"{text!r} is no peer; write one like py:2025-06-18 or ts:2025-06-18@stdio")
        return cls(family, revision, transport or STREAMABLE)

    def command(self, role: Literal["server", "client"]) -> list[str]:
        """The argv that starts this peer as "server" or "client", without its options but a server's transport."""
        extra = ["--transport", self.transport] if role == "server" and self.transport != STREAMABLE else []
        return [*self._program(role), *extra]

    def _program(self, role: Literal["server", "client"]) -> list[str]:
        if self.family == "ts":
            from conformance.peers import node  # a Node runtime is only needed where TypeScript peers run

            return list(node.command(role, self.revision))
        script = _PYTHON_PEERS / f"{role}_{self.revision.replace('-', '_')}.py"
        return [shutil.which("uv") or "uv", "run", "--quiet", "--script", str(script)]


@dataclass(frozen=True, order=True)
class Cell:
    """One client before one server, with the broker between them."""

    client: Peer
    server: Peer

    def __str__(self) -> str:
        return f"{self.client}/{self.server}"

    @property
    def slug(self) -> str:
        return f"{self.client}--{self.server}".replace(":", "-").replace("@", "-")

    @property
    def reference(self) -> Cell:
        """This server with a client of its own revision and this client's family: what the server shows."""
        return Cell(Peer(self.client.family, self.server.revision, self.server.transport), self.server)

    @property
    def own(self) -> Cell:
        """This client with a server of its own SDK release: what the client can do."""
        return Cell(self.client, self.client)

    @classmethod
    def parse(cls, text: str) -> Cell:
        client, _, server = text.partition("/")
        return cls(Peer.parse(client), Peer.parse(server))


def parse_cells(text: str) -> tuple[Cell, ...]:
    """The cells of a comma-separated list."""
    return tuple(Cell.parse(each) for each in text.split(",") if each.strip())


def peers() -> tuple[Peer, ...]:
    return tuple(Peer(family, revision) for revision, family in product(SERVERS, FAMILIES))


def every_cell() -> tuple[Cell, ...]:
    """Every client before every server, oldest client first."""
    return tuple(
        Cell(Peer(client_family, client), Peer(server_family, server))
        for client, server, client_family, server_family in product(CLIENTS, SERVERS, FAMILIES, FAMILIES)
    )


def pairwise() -> tuple[Cell, ...]:
    """One cell per revision pair, the families laid over them like a Latin square.

    Twenty-five rows are the least that can cover all pairs of revisions. Along a row of the grid the family of the
    client changes with every column, that of the server with every second one, and down a column likewise: so all four
    pairs of families stand behind every client revision and before every server revision.
    """
    return tuple(
        Cell(
            Peer(FAMILIES[(row + column) % 2], client),
            Peer(FAMILIES[(row // 2 + column // 2) % 2], server),
        )
        for row, client in enumerate(CLIENTS)
        for column, server in enumerate(SERVERS)
    )
