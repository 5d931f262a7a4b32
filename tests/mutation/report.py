"""What a run says: the table, the survivors with their reasons, and whether that is good enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec
import yaml

from tests.mutation.runner import Outcome

SURVIVORS = Path(__file__).with_name("survivors.yaml")
LEAST_KILLED = 0.95
"""Of all mutants that could be executed, those with an explained survival included."""


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why mutants that differ in nothing a test could see may survive."""

    reason: str
    mutants: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """`unexplained` survived without a reason, `stale` have one but were killed or do not exist."""

    outcomes: tuple[Outcome, ...]
    unexplained: tuple[Outcome, ...]
    explained: tuple[Outcome, ...]
    stale: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Killed by a failing test, of all that could be executed; 1 if there were none."""
        counted = [outcome for outcome in self.outcomes if outcome.status != "broken"]
        return sum(outcome.status == "killed" for outcome in counted) / len(counted) if counted else 1.0

    @property
    def good(self) -> bool:
        """True if the run may pass."""
        return self.rate >= LEAST_KILLED and not self.unexplained and not self.stale


def reasons(path: Path = SURVIVORS) -> dict[str, str]:
    """Reason by mutant. Raises ValueError for a mutant with two reasons, or with none worth the name."""
    found: dict[str, str] = {}
    groups = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")) or [], list[Survivor])
    for group in groups:
        if not group.reason.strip():
            raise ValueError(f"no reason: {group.mutants}")
        for name in group.mutants:
            if name in found:
                raise ValueError(f"two reasons: {name}")
            found[name] = group.reason
    return found


def judged(outcomes: Sequence[Outcome], known: Collection[str], accepted: dict[str, str]) -> Report:
    """The report of a run; `known` are the names of all mutants there are, `accepted` the reasons."""
    survived = [outcome for outcome in outcomes if outcome.status != "killed" and outcome.status != "broken"]
    gone = {outcome.name for outcome in outcomes if outcome.status == "killed"}
    return Report(
        outcomes=tuple(outcomes),
        unexplained=tuple(outcome for outcome in survived if outcome.name not in accepted),
        explained=tuple(outcome for outcome in survived if outcome.name in accepted),
        stale=tuple(name for name in accepted if name not in known or name in gone),
    )


def lines(report: Report) -> Iterator[str]:
    """The table and everything somebody has to look at."""
    statuses = ("killed", "survived", "timeout", "broken")
    yield f"{'kind':<20}{'total':>7}" + "".join(f"{status:>10}" for status in statuses)
    kinds = list(dict.fromkeys(outcome.kind for outcome in report.outcomes))
    for kind in [*kinds, "all"]:
        counts = Counter(outcome.status for outcome in report.outcomes if kind in (outcome.kind, "all"))
        yield f"{kind:<20}{counts.total():>7}" + "".join(f"{counts[status]:>10}" for status in statuses)
    for title, found in (
        ("could not be executed", [outcome for outcome in report.outcomes if outcome.status == "broken"]),
        ("survived without a reason", report.unexplained),
    ):
        for outcome in found:
            yield f"{title}: {outcome.name} ({outcome.kind}{', ' + outcome.by if outcome.by else ''})"
    for name in report.stale:
        yield f"reason without a survivor: {name}"
    yield (
        f"{len(report.outcomes)} mutants, {len(report.explained)} survived with a reason, "
        f"{len(report.unexplained)} without; {report.rate:.1%} killed"
    )
