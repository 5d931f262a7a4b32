"""The verdict on one feature of one cell: what was expected, what was seen, and the typed reason.

Statuses: `ok` (same or rewritten as promised), `refused` (refused as specified), `absent` (one side's
revision has no such thing, and nothing pretends otherwise), `excused` (an SDK fails at it directly too),
`failed`.
Invariant: `excused` is given only to what fails without the broker as well, and always says whose SDK it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from conformance.cells import Cell, Peer
from conformance.comparisons import Reference, nothing_there
from conformance.expectations import ABSENT, REFUSED, Expectation, expect, negotiated
from conformance.features import NAMES, named
from conformance.lines import Line
from conformance.revisions import has, oldest_with

NO_REFERENCE: Final = Reference(None, None, "")
STATUSES: Final = ("ok", "refused", "absent", "excused", "failed")


@dataclass(frozen=True)
class Verdict:
    """One feature of one cell: `reason` is typed (`rule:…`, `sdk:…`, `revision:…`), `detail` is prose."""

    feature: str
    status: str
    outcome: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Direct:
    """The direct runs that a cell is judged against, each by feature.

    `server`: this server with a client of its own revision and of the cell's client family; `client`: this
    client with a server of its own SDK release. `pinned`: whether the broker was told the server's revision.
    """

    server: Mapping[str, Line]
    client: Mapping[str, Line]
    pinned: bool = True


def judge(cell: Cell, lines: Mapping[str, Line], direct: Direct, wanted: tuple[str, ...] = NAMES) -> list[Verdict]:
    """The verdicts on the wanted features, in their natural order."""
    return [_verdict(cell, name, lines.get(name), direct) for name in NAMES if name in wanted]


def _verdict(cell: Cell, name: str, line: Line | None, direct: Direct) -> Verdict:
    mine = direct.client.get(name)
    server = direct.server.get(name)
    expectation = _expectation(cell, name, server, pinned=direct.pinned)
    if line is None:
        if name == "stray":
            line = Line("stray", "ok", {"errors": []})
        else:
            return _excused(cell, name, expectation, None, mine, server) or Verdict(
                name,
                "failed",
                expectation.outcome,
                f"rule:{expectation.rule}",
                "the client printed no line for it",
            )
    if line.status == "unsupported":
        return _unsupported(cell, name, expectation, line, mine)
    difference = expectation.compare(line, Reference(server, mine, cell.client.revision))
    if difference is None:
        status = {REFUSED: "refused", ABSENT: "absent"}.get(expectation.outcome, "ok")
        return Verdict(name, status, expectation.outcome, f"rule:{expectation.rule}", expectation.how)
    return _excused(cell, name, expectation, line, mine, server) or Verdict(
        name, "failed", expectation.outcome, f"rule:{expectation.rule}", difference
    )


def _expectation(cell: Cell, name: str, server: Line | None, *, pinned: bool) -> Expectation:
    """The table's, unless the server's SDK goes beyond its revision: then as if it had the revision of the thing."""
    if name == "whoami" and not pinned:
        return negotiated(cell.client.revision, cell.server.revision)
    expectation = expect(name, cell.client.revision, cell.server.revision)
    if expectation.outcome != ABSENT or server is None or server.status != "ok":
        return expectation
    if nothing_there(server, NO_REFERENCE) is None:
        return expectation
    return expect(name, cell.client.revision, oldest_with(named(name).word))


def _unsupported(cell: Cell, name: str, expectation: Expectation, line: Line, mine: Line | None) -> Verdict:
    word = named(name).client_word
    if not has(cell.client.revision, word):
        return Verdict(
            name, "absent", expectation.outcome, f"revision:client has no {word}", "its SDK has no API for it"
        )
    if mine is not None and mine.status == "unsupported":
        return Verdict(name, "excused", expectation.outcome, _sdk("client", cell.client, mine), line.message)
    return Verdict(name, "failed", expectation.outcome, f"rule:{expectation.rule}", "unsupported, yet not directly")


def _excused(
    cell: Cell, name: str, expectation: Expectation, line: Line | None, mine: Line | None, server: Line | None
) -> Verdict | None:
    """An excuse, when the same thing fails without the broker for a reason of an SDK."""
    if expectation.outcome == ABSENT:
        return None
    for side, peer, run in (("server", cell.server, server), ("client", cell.client, mine)):
        if has(peer.revision, named(name).word) and _fails_directly(run):
            assert run is not None
            detail = run.brief if line is None else f"here {line.brief}; direct {run.brief}"
            return Verdict(name, "excused", expectation.outcome, _sdk(side, peer, run), detail)
    return None


def _fails_directly(run: Line | None) -> bool:
    return run is not None and run.status in ("failed", "unsupported")


def _sdk(side: str, peer: Peer, run: Line) -> str:
    return f"sdk:{side} {peer} {run.status} directly"
