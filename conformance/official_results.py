"""Reads what the published suite left: its list of scored scenarios and the checks of each that ran.

The suite writes `[server-]SCENARIO-TIMESTAMP/checks.json`; a scenario that broke leaves its folder empty.
Invariant: a scenario passes with no FAILURE and at least one SUCCESS; warnings and skips alone are no pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOLDER: Final = re.compile(r"^(?:server-)?(?P<name>.+?)-\d{4}-\d\d-\d\dT[\d-]+Z$")


@dataclass(frozen=True)
class Scenario:
    """One scenario's counts; `failures` are the texts of its failed checks."""

    name: str
    succeeded: int
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.succeeded > 0 and not self.failures


def read(folder: Path) -> dict[str, Scenario]:
    """The scenarios of an output folder by name; the last run of a name counts."""
    found: dict[str, Scenario] = {}
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        matched = _FOLDER.match(each.name)
        if matched is not None:
            found[matched["name"]] = _scenario(matched["name"], each / "checks.json")
    return found


def _scenario(name: str, checks: Path) -> Scenario:
    try:
        values = json.loads(checks.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Scenario(name, 0, (f"no readable checks.json: {error}",))
    rows = [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
    succeeded = sum(row.get("status") == "SUCCESS" for row in rows)
    failures = tuple(
        f"{row.get('id')}: {row.get('errorMessage') or row.get('description')}"
        for row in rows
        if row.get("status") == "FAILURE"
    )
    return Scenario(name, succeeded, failures)


def server_scenarios(listing: str) -> tuple[str, ...]:
    """The server scenarios of the suite's `list` output, in its order."""
    names: list[str] = []
    inside = False
    for line in listing.splitlines():
        if line and not line.startswith(" "):
            inside = line.startswith("Server scenarios")
        elif inside and line.strip().startswith("- "):
            names.append(line.strip().removeprefix("- ").split(" ")[0])
    return tuple(names)


def score(scenarios: dict[str, Scenario], wanted: Iterable[str]) -> tuple[int, list[str]]:
    """How many of the wanted scenarios passed, and the names of the others (those that never ran too)."""
    names = list(wanted)
    missed = [name for name in names if name not in scenarios or not scenarios[name].passed]
    return len(names) - len(missed), missed


def lost(direct: dict[str, Scenario], through: dict[str, Scenario]) -> list[str]:
    """The scenarios that pass directly and do not pass through the broker."""
    return [
        name
        for name, scenario in direct.items()
        if scenario.passed and (name not in through or not through[name].passed)
    ]


def best(runs: Iterable[dict[str, Scenario]]) -> dict[str, Scenario]:
    """Of several runs, each scenario as it passed; as it ran last, if it passed in none."""
    found: dict[str, Scenario] = {}
    for run in runs:
        found.update({name: each for name, each in run.items() if name not in found or not found[name].passed})
    return found


def why(scenarios: dict[str, Scenario], name: str) -> str:
    """A line on a scenario that did not pass."""
    scenario = scenarios.get(name)
    if scenario is None:
        return f"{name}: did not run"
    return f"{name}: {'; '.join(scenario.failures) or 'no check succeeded'}"[:400]


@dataclass(frozen=True)
class Pushed:
    """Runs of one requirement set before a server that asks by requests: without a key on its questions, and with one;
    and what the same server passes with a client of its own revision."""

    names: tuple[str, ...]
    plain: dict[str, Scenario]
    keyed: dict[str, Scenario]
    own: dict[str, Scenario]

    @property
    def lost(self) -> list[str]:
        """What passes with a client of the server's own revision, is wanted here too, and does not pass."""
        return [name for name in lost(self.own, self.plain) if name in self.names]

    @property
    def text(self) -> str:
        """Both counts, and how many were lost."""
        (plain, _), (keyed, _) = score(self.plain, self.names), score(self.keyed, self.names)
        total = len(self.names)
        return f"{plain}/{total}, with keys {keyed}/{total}, lost {len(self.lost)} of its own"

    def bad(self, wants_a_key: Iterable[str]) -> tuple[str, ...]:
        """What counts against the broker: `wants_a_key` may fail without keys, unless it is lost."""
        excused = set(wants_a_key) - set(self.lost)
        _, without = score(self.plain, self.names)
        _, with_keys = score(self.keyed, self.names)
        found = [why(self.plain, name) for name in without if name not in excused]
        if not any(scenario.passed for scenario in self.own.values()):
            found.append("nothing passes with a client of its own: there is nothing to lose")
        return (*found, *(f"with keys: {why(self.keyed, name)}" for name in with_keys))
