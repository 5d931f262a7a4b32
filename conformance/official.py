"""Drives the published conformance suite through the broker, before both families of servers.

    python -m conformance.official [--family py,ts] [--legs 2025-11-25,2025-06-18,lost,stdio,2026-07-28,pushed,client]

`2025-11-25`: that frozen requirement set before servers of that revision and of 2026-07-28; all must pass.
`2025-06-18`: every scenario of that revision, its client seeing that revision alone, before servers of
2025-06-18, 2025-11-25 and 2026-07-28; all must pass. `lost`: before each older server, scenarios that pass
directly, with a client negotiated to the server's own revision, and fail through the broker; there must be none.
`stdio`: servers of every revision as commands, whose revision the broker has to find, for clients of 2025-11-25 and
2026-07-28; nothing may be lost that the same server passes directly, over HTTP, with a client of its own revision.
`2026-07-28`: that frozen requirement set before servers of that revision; all must pass. `pushed`: the same set before
servers of 2025-11-25 and 2025-06-18 that ask by requests; all must pass but the one that wants a key of its own, and
that one too where the server says its keys; nothing is lost that passes directly with a client of the server's own
revision. `client`: the suite's own server of one era behind the broker, a client pinned to the other in front, the
server's revision once told and once found; all must pass.
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
from conformance.official_results import Pushed, Scenario, best, lost, read, score, server_scenarios, why
from conformance.revisions import SERVERS
from conformance.revisions import STATELESS as STATELESS_REVISION

SUITE_DEADLINE_S: Final = 300.0
"""A healthy leg takes 2-10 s; a server that answers nothing makes each scenario wait for its own time-out."""
LEGS: Final = ("2025-11-25", "2025-06-18", "lost", "stdio", "2026-07-28", "pushed", "client")
OLDER: Final = ("2025-06-18", "2025-03-26", "2024-11-05")
NEWEST: Final = ("--requirements", "2025-11-25")
STATELESS: Final = ("--requirements", "2026-07-28")
MIDDLE: Final = ("--suite", "all", "--spec-version", "2025-06-18")
PUSHING: Final = ("2025-11-25", "2025-06-18")
"""Revisions whose servers can ask for all that the requirement set of 2026-07-28 wants asked."""
WANTS_A_KEY: Final = ("input-required-result-basic-elicitation",)
"""Looks for its question under a key that it knows beforehand, which a request cannot carry by itself."""


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
        """The suite's own servers for clients of the other era; the clients are of one family."""
        if family != "py":
            return []
        rows = []
        for leg in official_client.LEGS:
            names = official_client.scenarios(self.listing("--requirements", leg.suite))
            ran = leg.run(self.command, names, self.folder / leg.folder)
            passed, missed = score(ran, names)
            bad = tuple(why(ran, name) for name in missed)
            rows.append(
                Result(f"client {leg.client}", f"suite {leg.suite} ({leg.told})", f"{passed}/{len(names)}", bad)
            )
        return rows

    def pushed(self, family: str) -> list[Result]:
        """The 2026-07-28 requirement set through the broker, before session servers that ask by requests."""
        return [self._pushed(Peer(family, revision)) for revision in PUSHING]

    def _pushed(self, peer: Peer) -> Result:
        with Children(self.folder / f"pushed-{peer}".replace(":", "-")) as children:
            try:
                plain = self._before(children, peer, "broker", STATELESS)
                keyed = self._before(children, peer, "broker-keys", STATELESS, "--input-keys")
                _, backend = children.server("server", peer.command("server"))
                own = self.run(children, backend, "direct", *_own(peer.revision))
            except LaunchError as error:
                return Result("pushed", str(peer), "did not start", (str(error),))
        runs = Pushed(self.names(*STATELESS), plain, keyed, own)
        return Result("pushed", str(peer), runs.text, runs.bad(WANTS_A_KEY))

    def _before(
        self, children: Children, peer: Peer, name: str, selection: Sequence[str], *options: str
    ) -> dict[str, Scenario]:
        """Run a selection through a broker before a server of its own."""
        _, backend = children.server("server", [*peer.command("server"), *options])
        _, url = children.broker(backend, "--backend-revision", peer.revision)
        return self.run(children, url, name, *selection)

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
        return Result(leg, str(peer), f"{passed}/{len(names)}", tuple(why(scenarios, name) for name in missed))

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
        return Result("lost", str(peer), text, tuple(why(through, name) for name in names))

    def stdio(self, family: str) -> list[Result]:
        """Before each server as a command: what passes directly and fails through the broker."""
        return [row for revision in reversed(SERVERS) for row in self._piped(Peer(family, revision))]

    def _piped(self, peer: Peer) -> list[Result]:
        piped = Peer(peer.family, peer.revision, "stdio")
        with Children(self.folder / f"stdio-{peer}".replace(":", "-")) as children:
            try:
                _, backend = children.server("server", peer.command("server"))
                # Servers with sessions take both clients; what either passes is not to be lost.
                selections = (STATELESS,) if peer.revision == STATELESS_REVISION else (MIDDLE, NEWEST)
                direct = best(self.run(children, backend, f"direct-{each[-1]}", *each) for each in selections)
                _, url = children.broker(piped.command("server"), "--backend-revision", "auto")
                newest = self.run(children, url, "broker", *NEWEST)
                stateless = self.run(children, url, "broker-stateless", *STATELESS)
            except LaunchError as error:
                return [Result("stdio", str(piped), "did not start", (str(error),))]
        rows = []
        for selection, through in ((NEWEST, newest), (STATELESS, stateless)):
            wanted = self.names(*selection)
            own = {name: scenario for name, scenario in direct.items() if name in wanted}
            names = lost(own, through)
            (had, _), (won, _) = score(own, wanted), score(through, wanted)
            text = f"direct {had}, through the broker {won}/{len(wanted)}, lost {len(names)}"
            bad = tuple(why(through, name) for name in names)
            rows.append(
                Result(
                    f"stdio {selection[1]}",
                    str(piped),
                    text,
                    bad if had else ("nothing passes directly: there is nothing to lose",),
                )
            )
        return rows


def _own(revision: str) -> tuple[str, ...]:
    """The selection that a client of the server's own revision runs."""
    return NEWEST if revision == "2025-11-25" else ("--suite", "all", "--spec-version", revision)


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
    print(f"logs: {folder}\n{'leg':<18} {'server':<26} {'family':<16} result", flush=True)
    official = Official(folder)
    run = {
        "2025-11-25": official.newest,
        "2025-06-18": official.middle,
        "lost": official.lost,
        "stdio": official.stdio,
        "2026-07-28": official.stateless,
        "pushed": official.pushed,
        "client": official.client,
    }
    bad = 0
    for family in families:
        for leg in legs:
            for result in run[leg](family):
                bad += len(result.bad)
                name = FAMILY_NAMES[family]
                print(f"{result.leg:<18} {result.server:<26} {name:<16} {result.text}", flush=True)
                for line in result.bad:
                    print(f"    {line}", flush=True)
    print(f"\n{bad} scenarios count against the broker")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
