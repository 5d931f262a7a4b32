"""`python -m benchmarks.guarded`: what guarding a call costs in CPU time, each part by itself and all of them at once.

Every round visits every load, and within it the pass-through, a broker that guards nothing and one for each guard, in
turn and in reversed order every second round. What a guard costs is its broker's CPU a call less that of the broker
without guards, as a share of the bare pass-through's in the same round. The invariant: the answers are the same, and
right, whatever guards them; callers show real signed tokens of an issuer that runs here. Exit status: 0 every gate
holds, 1 one does not, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.client import HarnessError
from benchmarks.facts import STATELESS
from benchmarks.gated import ended
from benchmarks.load import Control, Target, Window, window
from benchmarks.processes import BACKEND_COMMAND, PASSTHROUGH_COMMAND, Child
from benchmarks.rows import ECHO, NEWEST, OLDEST, Load
from benchmarks.runner import BASE, say
from benchmarks.tokens import Issuer, issuing

OFF, ALL = "off", "all"
PATH: Final = "/servers/bench/mcp"
COMMAND: Final = "{{bin}}/dragoman serve {config} --port {{port}}"
CALLERS: Final = 16

RULES: Final = (
    {"name": "no-deletes", "deny": "kind == 'tool' && name.startsWith('delete_') && !('admin' in scopes)"},
    {"name": "acme", "allow": "!has(claims.tenant) || claims.tenant == 'acme'"},
    {"name": "globex", "allow": "has(claims.tenant) && claims.tenant == 'globex' && name == 'echo'"},
    {"name": "old", "deny": "method == 'logging/setLevel' && client.revision == '2024-11-05'"},
)
"""Rules by tool, scope, claim and client, which are decided once for calls that are alike."""

LONG: Final = {"name": "long", "deny": "name == 'echo' && size(arguments.text) > 10000"}
"""A rule that has every call's arguments opened and is asked anew."""

FILTER: Final = {"tools": {"deny": ["delete_*", "admin_*"]}, "resources": {"deny": ["file:///etc/*"]}}
SANITISE: Final = {"rules": [{"find": ["secrets", "private-keys", "email", "card"], "action": "redact"}]}

GUARDS: Final = ("token", "policy", "filter", "audit", "metrics")
"""What makes up `all`."""

PARTS: Final = (OFF, *GUARDS, "arguments", "sanitise", ALL)
LOADS: Final = (
    Load("equal", ECHO, NEWEST, NEWEST, CALLERS),
    Load("older", ECHO, OLDEST, NEWEST, CALLERS),
    Load("bridged", ECHO, STATELESS, NEWEST, CALLERS),
)
GATE: Final = 0.35
"""Most that all guards together may add to a small call, in calls of the bare pass-through."""

WATCHED: Final = frozenset(("bridged",))
"""Loads that no pass-through carries: a call passes two guarded edges there, and what that adds is printed alone."""


class Row(msgspec.Struct, frozen=True):
    """One load: microseconds of CPU a call by target, and what each part added, in calls of the pass-through."""

    load: str
    us: dict[str, float]
    added: dict[str, list[float]]


def configured(part: str, url: str, folder: Path, issuer: Issuer) -> Path:
    """The configuration of a broker with this part alone, none, or all."""
    on = GUARDS if part == ALL else (part,)
    server: dict[str, Any] = {"url": url, "revision": NEWEST}
    document: dict[str, Any] = {"servers": {"bench": server}}
    if "token" in on:
        document["issuers"] = [issuer.section]
    if "policy" in on or "arguments" in on:
        rules = (*RULES, LONG) if "arguments" in on else RULES
        document["policy"] = {"default": "deny", "rules": rules}
    if "filter" in on:
        server["filter"] = FILTER
    if "audit" in on:
        document["audit"] = {"file": {"path": str(folder / f"{part}.jsonl")}}
    if "metrics" in on:
        document["status"] = {"port": 0}
    if "sanitise" in on:
        document["sanitise"] = SANITISE
    file = folder / f"{part}.json"
    file.write_bytes(msgspec.json.encode(document))
    return file


class Run:
    """The brokers of a run, the pass-through, and what they cost, by load and target in round order."""

    def __init__(self, folder: Path, issuer: Issuer, parts: tuple[str, ...]) -> None:
        self.folder = folder
        self.issuer = issuer
        self.targets = (BASE, *parts)
        self.backend = Child(BACKEND_COMMAND)
        self.children: dict[str, Child] = {}
        self.found: dict[str, dict[str, list[float]]] = {}

    async def rounds(self, rounds: int, seconds: float, loads: tuple[Load, ...]) -> list[Row]:
        """All rounds; every child is ended on the way out."""
        try:
            await self.backend.ready()
            control = Control(self.backend.port)
            for number in range(rounds):
                say(f"round {number + 1} of {rounds}")
                for load in loads:
                    for name in self.targets if number % 2 == 0 else reversed(self.targets):
                        await self._visit(load, name, control, seconds)
        finally:
            self.backend.end()
            for child in self.children.values():
                child.end()
        return [_row(load.name, self.found[load.name]) for load in loads]

    async def _visit(self, load: Load, name: str, control: Control, seconds: float) -> None:
        gc.collect()
        target = await self._target(name)
        client = load.client_beside if name == BASE else load.client
        seen = await window(target, control, load.workload, client, load.concurrency, seconds)
        self._check(load, name, seen)
        self.found.setdefault(load.name, {}).setdefault(name, []).append(seen.cpu_ns / seen.calls / 1e3)

    def _check(self, load: Load, name: str, seen: Window) -> None:
        if seen.wrong or seen.failed or not seen.calls:
            raise HarnessError(f"{load.name}, {name}: {seen.wrong} wrong, {seen.failed} unanswered calls")
        if seen.requests != seen.sent or seen.connections:
            raise HarnessError(f"{load.name}, {name}: {seen.requests} requests for {seen.sent} calls")

    async def _target(self, name: str) -> Target:
        if name not in self.children:
            url = f"http://127.0.0.1:{self.backend.port}/{NEWEST}/mcp"
            if name == BASE:
                child = Child(PASSTHROUGH_COMMAND, url=url)
            else:
                child = Child(COMMAND.format(config=configured(name, url, self.folder, self.issuer)), PATH)
            self.children[name] = child
            await child.ready()
        child = self.children[name]
        keys = self.issuer.tokens(CALLERS) if name in ("token", ALL) else ()
        return Target(name, child.port, child.path, child.meter, keys)


def _row(load: str, seen: dict[str, list[float]]) -> Row:
    off, base = seen[OFF], seen[BASE]
    return Row(
        load,
        {name: statistics.median(values) for name, values in seen.items()},
        {
            name: sorted((mine - without) / most for mine, without, most in zip(values, off, base, strict=True))
            for name, values in seen.items()
            if name not in (OFF, BASE)
        },
    )


def text(rows: list[Row]) -> str:
    """The table: microseconds of CPU a call, and what each part adds in calls of the pass-through, with its range."""
    lines = [f"{'load':<10}{'part':<14}{'CPU a call':>12}   added [range]"]
    for row in rows:
        for name, us in row.us.items():
            values = row.added.get(name)
            added = f"   {statistics.median(values):+.3f} [{values[0]:+.3f} {values[-1]:+.3f}]" if values else ""
            lines.append(f"{row.load:<10}{name:<14}{us:>9.1f} us{added}")
    return "\n".join(lines)


def beyond(rows: list[Row]) -> list[str]:
    """The loads beyond the gate."""
    gated = [row for row in rows if ALL in row.added and row.load not in WATCHED]
    return [row.load for row in gated if statistics.median(row.added[ALL]) > GATE]


async def measured(given: argparse.Namespace, folder: Path) -> list[Row]:
    """The rows that the command line asks for."""
    wanted = given.loads.split(",")
    parts = (OFF, *(part for part in given.parts.split(",") if part != OFF))
    async with issuing() as issuer:
        run = Run(folder, issuer, parts)
        return await run.rounds(given.rounds, given.seconds, tuple(load for load in LOADS if load.name in wanted))


def main(argv: list[str] | None = None) -> int:
    """Run, print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guarded", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one window")
    parser.add_argument("--loads", default=",".join(load.name for load in LOADS), help="comma-separated (%(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated (%(default)s)")
    given = parser.parse_args(argv)
    if set(given.loads.split(",")) - {load.name for load in LOADS} or set(given.parts.split(",")) - set(PARTS):
        parser.error("no such load or part")
    return ended(lambda folder: measured(given, folder), text, beyond, GATE)


if __name__ == "__main__":
    sys.exit(main())
