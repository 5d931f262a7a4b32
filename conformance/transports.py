"""The table of transports: every pair of revisions over every pair of transports that the revisions allow.

    python -m conformance --transports all        every pair, families laid over them
    python -m conformance --transports pairwise   the least that still meets every pair of values

A session revision has all three: Streamable HTTP came with 2025-03-26 and the HTTP+SSE pair left with it, but a
server of one is commonly asked to serve clients of the other, and the SDKs do. 2026-07-28 has no HTTP+SSE pair. The
broker is told nothing of the server but where it is.
Invariant: a pair that is left out has a typed reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from typing import Final

from conformance.cells import FAMILIES, STREAMABLE, TRANSPORTS, Cell, Peer
from conformance.matrix import Row
from conformance.revisions import CLIENTS, SERVERS, STATELESS

FEATURES: Final = (
    "initialize",
    "tools.list",
    "tools.call.text",
    "tools.call.big",
    "tools.call.error",
    "tools.call.unknown",
    "tools.progress",
    "tools.logging",
    "tools.cancel",
    "resources.subscribe",
    "list_changed.tools",
    "sampling",
    "roots",
    "elicitation.form",
    "inputs.three",
    "whoami",
    "stray",
)
"""What a transport can break: order, size, who may speak first, several questions at once, the end of a call."""

Side = tuple[str, str]
"""A revision and a transport."""


def reason(revision: str, transport: str) -> str | None:
    """The typed reason why a revision has no such transport; None if it has."""
    return f"revision:{STATELESS} has no {transport}" if revision == STATELESS and transport == "sse" else None


def sides(revisions: Iterable[str]) -> tuple[Side, ...]:
    """Every revision over every transport that it has."""
    return tuple(side for side in product(revisions, TRANSPORTS) if reason(*side) is None)


def every() -> tuple[Cell, ...]:
    """Every pair of sides once. The families are laid over them so that every side meets all four pairs of them."""
    return tuple(
        _cell(client, server, FAMILIES[(row + column) % 2], FAMILIES[(row // 2 + column // 2) % 2])
        for row, client in enumerate(sides(CLIENTS))
        for column, server in enumerate(sides(SERVERS))
    )


def left_out() -> Mapping[tuple[Side, Side], str]:
    """The pairs of sides that no cell can have, with the reason."""
    pairs = product(product(CLIENTS, TRANSPORTS), product(SERVERS, TRANSPORTS))
    found = {(client, server): reason(*client) or reason(*server) for client, server in pairs}
    return {pair: why for pair, why in found.items() if why is not None}


def pairwise() -> tuple[Cell, ...]:
    """Cells that meet every pair of values of any two parameters, chosen one by one: always whichever meets most."""
    offered = [
        _cell(client, server, *families)
        for client, server, families in product(sides(CLIENTS), sides(SERVERS), product(FAMILIES, FAMILIES))
    ]
    missing = {pair for cell in offered for pair in _pairs(cell)}
    chosen = []
    while missing:
        best = max(offered, key=lambda cell: len(_pairs(cell) & missing))
        chosen.append(best)
        missing -= _pairs(best)
    return tuple(chosen)


def values(cell: Cell) -> tuple[str, ...]:
    """The parameters of a cell: what each side is, over which transport, on whose SDK."""
    return tuple(value for peer in (cell.client, cell.server) for value in (peer.revision, peer.transport, peer.family))


def grid(rows: Iterable[Row]) -> list[str]:
    """A letter for each pair of sides: `.` as promised, `e` with an SDK's excuse, `F` failed, `-` no such pair."""
    letters = {(_side(row.cell.client), _side(row.cell.server)): _letter(row) for row in rows}
    columns = tuple(product(SERVERS, TRANSPORTS))
    short = {STREAMABLE: "h", "sse": "s", "stdio": "p"}
    lines = [f"{'client / server':<27}" + "  ".join(f"{revision:<10}" for revision in SERVERS)]
    lines.append(f"{'':<27}" + "  ".join(f"{' '.join(short[each] for each in TRANSPORTS):<10}" for _ in SERVERS))
    for client in product(CLIENTS, TRANSPORTS):
        marks = [letters.get((client, server), "-" if _no_such(client, server) else " ") for server in columns]
        groups = [" ".join(marks[at : at + len(TRANSPORTS)]) for at in range(0, len(marks), len(TRANSPORTS))]
        lines.append(f"{client[0]} {client[1]:<15} " + "  ".join(f"{group:<10}" for group in groups).rstrip())
    lines.append("h streamable-http, s sse, p stdio; . as promised, e with an SDK's excuse, F failed, - no such pair")
    return lines


def excluded() -> list[str]:
    """The pairs left out, counted by reason."""
    reasons = list(left_out().values())
    return [f"  {why}: {reasons.count(why)} pairs" for why in sorted(set(reasons))]


def _cell(client: Side, server: Side, client_family: str, server_family: str) -> Cell:
    return Cell(Peer(client_family, *client), Peer(server_family, *server))


def _pairs(cell: Cell) -> set[tuple[tuple[int, str], tuple[int, str]]]:
    return set(combinations(enumerate(values(cell)), 2))


def _side(peer: Peer) -> Side:
    return peer.revision, peer.transport


def _no_such(client: Side, server: Side) -> bool:
    return (reason(*client) or reason(*server)) is not None


def _letter(row: Row) -> str:
    if row.failed:
        return "F"
    return "e" if row.counts["excused"] else "."
