"""Drives the published conformance suite through the broker, before both families of servers.

    python -m conformance.official [--family py,ts] [--legs 2025-11-25,2025-06-18,lost,2026-07-28,client]

`2025-11-25`: that frozen requirement set before servers of that revision and of 2026-07-28; all must pass.
`2025-06-18`: every scenario of that revision, its client seeing that revision alone, before servers of
2025-06-18, 2025-11-25 and 2026-07-28; all must pass. `lost`: before each older server, scenarios that pass
directly, with a client negotiated to the server's own revision, and fail through the broker; there must be none.
`2026-07-28`: that frozen requirement set before servers of that revision; all must pass. `client`: the suite's own
server of 2026-07-28 before the broker before a client of 2025-11-25, once told and once found; all must pass.
Invariant: the suite itself names its scenarios; what it does not run counts as failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance import official_client
from conformance.cells import FAMILIES, FAMILY_NAMES, Peer
from conformance.launch import Children, LaunchError
from conformance.official_results import Scenario, lost, read, score, server_scenarios

SUITE_DEADLINE_S: Final = 300.0
"""A healthy leg takes 2-10 s; a server that answers nothing makes each scenario wait for its own time-out."""
LEGS: Final = ("2025-11-25", "2025-06-18", "lost", "2026-07-28", "client")
OLDER: Final = ("2025-06-18", "2025-03-26", "2024-11-05")
NEWEST: Final = ("--requirements", "2025-11-25")
STATELESS: Final = ("--requirements", "2026-07-28")
MIDDLE: Final = ("--suite", "all", "--spec-version", "2025-06-18")


@dataclass(frozen=True)
class Result:
    """One row of the table: `bad` are the scenarios that count against the broker, with why."""

    leg: str
    server: str
    text: str
    bad: tuple[str, ...]


class Official:
    """The suite's command and the folder its runs write to."""

    def __init__(self, folder: Path) -> None:
        from conformance.peers import node  # installing the suite is only right when it is run

        self.command = node.official_suite()
        self.folder = folder

    def listing(self, *selection: str) -> str:
        """What the suite lists for a selection."""
        done = subprocess.run(  # noqa: S603 - the suite's own command
            [*self.command, "list", *selection], capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    def names(self, *selection: str) -> tuple[str, ...]:
        """The server scenarios of a selection, as the suite lists them."""
        return server_scenarios(self.listing(*selection))

    def run(self, children: Children, url: str, name: str, *selection: str) -> dict[str, Scenario]:
        """Run a selection of server scenarios at a URL."""
        out = children.folder / name
        command = [*self.command, "server", "--url", url, *selection, "-o", str(out)]
        children.run(f"suite-{name}", command, SUITE_DEADLINE_S)
        return read(out)

    def newest(self, family: str) -> list[Result]:
        """The 2025-11-25 requirement set through the broker, before its own revision and 2026-07-28."""
        peers = (Peer(family, "2025-11-25"), Peer(family, "2026-07-28"))
        return [self._scored("2025-11-25", peer, self.names(*NEWEST), NEWEST, ()) for peer in peers]

    def stateless(self, family: str) -> list[Result]:
        """The 2026-07-28 requirement set through the broker, before its own revision."""
        peer = Peer(family, "2026-07-28")
        return [self._scored("2026-07-28", peer, self.names(*STATELESS), STATELESS, ())]

    def client(self, family: str) -> list[Result]:
        """The suite's own server of 2026-07-28 for a client of 2025-11-25; the client is of one family."""
        if family != "py":
            return []
        names = official_client.scenarios(self.listing(*STATELESS))
        rows = []
        for revision in ("2026-07-28", "auto"):
            ran = official_client.leg(self.command, names, self.folder / f"client-{revision}", revision)
            passed, missed = score(ran, names)
            bad = tuple(_why(ran, name) for name in missed)
            rows.append(Result("client", f"suite ({revision})", f"{passed}/{len(names)}", bad))
        return rows

    def middle(self, family: str) -> list[Result]:
        """The 2025-06-18 scenarios through a broker that offers that revision alone."""
        names = self.names("--server", "--spec-version", "2025-06-18")
        offers = ("--client-revisions", "2025-06-18")
        servers = [Peer(family, revision) for revision in ("2025-06-18", "2025-11-25", "2026-07-28")]
        return [self._scored("2025-06-18", peer, names, MIDDLE, offers) for peer in servers]

    def _scored(
        self, leg: str, peer: Peer, names: tuple[str, ...], selection: Sequence[str], offers: Sequence[str]
    ) -> Result:
        with Children(self.folder / f"{leg}-{peer}".replace(":", "-")) as children:
            try:
                _, backend = children.server("server", peer.command("server"))
                _, url = children.broker(backend, "--backend-revision", peer.revision, *offers)
                scenarios = self.run(children, url, "broker", *selection)
            except LaunchError as error:
                return Result(leg, str(peer), "did not start", (str(error),))
        passed, missed = score(scenarios, names)
        return Result(leg, str(peer), f"{passed}/{len(names)}", tuple(_why(scenarios, name) for name in missed))

    def lost(self, family: str) -> list[Result]:
        """Before each older server: what passes directly and fails through the broker."""
        return [self._lost(Peer(family, revision)) for revision in OLDER]

    def _lost(self, peer: Peer) -> Result:
        with Children(self.folder / f"lost-{peer}".replace(":", "-")) as children:
            try:
                _, backend = children.server("server", peer.command("server"))
                direct = self.run(children, backend, "direct", *NEWEST)
                # A server of its own for the broker: the suite's last session may have ended the first one.
                _, backend = children.server("server", peer.command("server"))
                _, url = children.broker(backend, "--backend-revision", peer.revision)
                through = self.run(children, url, "broker", *NEWEST)
            except LaunchError as error:
                return Result("lost", str(peer), "did not start", (str(error),))
        names = lost(direct, through)
        ran = sum(scenario.passed for scenario in direct.values())
        won = sum(scenario.passed for scenario in through.values())
        text = f"direct {ran}, through the broker {won}, lost {len(names)}"
        if not ran:
            return Result("lost", str(peer), text, ("nothing passes directly: there is nothing to lose",))
        return Result("lost", str(peer), text, tuple(_why(through, name) for name in names))


def _why(scenarios: dict[str, Scenario], name: str) -> str:
    scenario = scenarios.get(name)
    if scenario is None:
        return f"{name}: did not run"
    return f"{name}: {'; '.join(scenario.failures) or 'no check succeeded'}"[:400]


def main(argv: Sequence[str]) -> int:
    """Run the legs and print the table; exit code 0 when nothing counts against the broker."""
    parser = argparse.ArgumentParser(prog="python -m conformance.official")
    parser.add_argument("--family", default=",".join(FAMILIES), help="py, ts or both, comma-separated")
    parser.add_argument("--legs", default=",".join(LEGS), help=f"of {', '.join(LEGS)}, comma-separated")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="where output and checks go")
    options = parser.parse_args(argv)
    families, legs = options.family.split(","), options.legs.split(",")
    if set(families) - set(FAMILIES) or set(legs) - set(LEGS):
        parser.error("unknown family or leg")
    folder = options.logs or Path(tempfile.mkdtemp(prefix="dragoman-official-"))
    print(f"logs: {folder}\n{'leg':<12} {'server':<18} {'family':<16} result", flush=True)
    official = Official(folder)
    run = {
        "2025-11-25": official.newest,
        "2025-06-18": official.middle,
        "lost": official.lost,
        "2026-07-28": official.stateless,
        "client": official.client,
    }
    bad = 0
    for family in families:
        for leg in legs:
            for result in run[leg](family):
                bad += len(result.bad)
                name = FAMILY_NAMES[family]
                print(f"{result.leg:<12} {result.server:<18} {name:<16} {result.text}", flush=True)
                for line in result.bad:
                    print(f"    {line}", flush=True)
    print(f"\n{bad} scenarios count against the broker")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
