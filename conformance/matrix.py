"""Runs cells: a fresh server, a broker before it, one client session, every line judged.

Clients and servers of one revision are first run directly: what fails there is an SDK's, and what is seen
there is what the server shows.
A server process serves one cell only: some SDK releases end their session manager at the first exception.
Invariant: a cell always ends with one verdict per wanted feature, also when a process does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from conformance import reach
from conformance.cells import STREAMABLE, Cell
from conformance.expectations import expect
from conformance.features import NAMES, REPORTED, of
from conformance.judge import STATUSES, Direct, Verdict, judge
from conformance.launch import Children, LaunchError
from conformance.lines import Line, parse
from conformance.raw import undeclared
from conformance.reach import Place
from conformance.revisions import CLIENTS, SERVERS

FEATURE_TIMEOUT_S: Final = 15.0
"""One feature's bound inside the client; the longest (a cancelled slow call) takes about three seconds."""
RUN_DEADLINE_S: Final = 150.0
"""All features of one session, a cold interpreter included; a healthy run takes five to fifteen seconds."""


@dataclass(frozen=True)
class Run:
    """One client session: its lines by feature, and what went wrong around it ("" when nothing did)."""

    lines: Mapping[str, Line]
    trouble: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Row:
    """One cell's verdicts; `trouble` says what broke around the client, "" when nothing did."""

    cell: Cell
    verdicts: tuple[Verdict, ...]
    trouble: str = ""
    seconds: float = 0.0
    logs: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How many verdicts have each status."""
        return {status: sum(verdict.status == status for verdict in self.verdicts) for status in STATUSES}

    @property
    def failed(self) -> bool:
        return bool(self.trouble) or any(verdict.status == "failed" for verdict in self.verdicts)


@dataclass
class Matrix:
    """A run of the matrix; `say` gets each finished row, `folder` holds the logs."""

    folder: Path
    features: tuple[str, ...] = NAMES
    say: Callable[[Row], None] = lambda _row: None
    pinned: bool = True
    """Whether the broker is told the server's revision; otherwise it has to find it."""
    _direct: dict[Cell, Run] = field(default_factory=dict)

    def run(self, cells: Iterable[Cell], jobs: int) -> list[Row]:
        """The rows of the cells in their order; direct runs of every peer concerned come first."""
        wanted = tuple(cells)
        concerned = sorted({direct for cell in wanted for direct in (cell.reference, cell.own)})
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            self._direct.update(zip(concerned, pool.map(self.direct, concerned), strict=True))
            return list(pool.map(self._cell, wanted))

    def direct_runs(self) -> Mapping[Cell, Run]:
        """The direct runs made so far."""
        return self._direct

    def direct(self, cell: Cell) -> Run:
        """A client before a server of its own revision, nothing between them."""
        folder = self.folder / f"direct-{cell.slug}"
        try:
            with Children(folder) as children:
                return self._session(children, cell, reach.server(children, cell.server))
        except LaunchError as error:
            return Run({}, str(error))

    def _cell(self, cell: Cell) -> Row:
        folder = self.folder / cell.slug
        started = monotonic()
        tried: Mapping[str, Line] = {}
        try:
            with Children(folder) as children:
                backend = reach.server(children, cell.server)
                revision = cell.server.revision if self.pinned else "auto"
                place = reach.broker(children, backend, cell.client, "--backend-revision", revision)
                run = self._session(children, cell, place)
                if cell.client.transport == STREAMABLE and isinstance(place, str):
                    tried = undeclared.run(place, cell, run.lines)
        except LaunchError as error:
            run = Run({}, str(error))
        direct = Direct(self._direct[cell.reference].lines, self._direct[cell.own].lines, self.pinned)
        row = Row(
            cell,
            tuple(judge(cell, {**run.lines, **tried}, direct, of(cell.server.revision, self.features))),
            run.trouble,
            monotonic() - started,
            str(folder),
        )
        self.say(row)
        return row

    def _session(self, children: Children, cell: Cell, place: Place) -> Run:
        asked = [name for name in of(cell.server.revision, self.features) if name not in REPORTED]
        started = monotonic()
        command = [*cell.client.command("client"), *reach.told(place, cell.client)]
        command += ["--features", ",".join(asked) or "initialize"]
        command += ["--timeout", f"{FEATURE_TIMEOUT_S:g}"]
        child, code = children.run("client", command, RUN_DEADLINE_S)
        lines = parse(child.output())
        if code is None:
            trouble = f"the client was not done within {RUN_DEADLINE_S:g} s"
        elif code != 0:
            trouble = f"the client ended with status {code}: {child.tail(4)}"
        else:
            trouble = ""
        return Run(lines, trouble, monotonic() - started)


def rules() -> set[str]:
    """The requirement ids that some expectation of some cell stands for."""
    return {expect(name, client, server).rule for client in CLIENTS for server in SERVERS for name in of(server)}
