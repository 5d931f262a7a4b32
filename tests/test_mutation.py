"""The mutation runner works: a slice of what `python -m tests.mutation` does, which is how the whole is run.

The slice draws from every mutant there is. Removing operations one by one, and hundreds of others, takes minutes; see
the docstring of `tests.mutation`.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.edits import edits
from tests.mutation.machines import MACHINES
from tests.mutation.mutant import REMOVED, Mutant, numbered
from tests.mutation.report import Report, judged, reasons
from tests.mutation.runner import Outcome, chosen, population

ROOT = Path(__file__).parents[1]
SECONDS = 120
"""Enough for a machine that does other things; alone it takes a few."""


def _edited(source: str) -> list[str]:
    """What becomes of a module, one text per mutant."""
    tree = ast.parse(source)
    return [ast.unparse(edit.applied(tree)) for edit in edits(tree)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants run in forked children")
def test_mutants_drawn_by_seed_are_killed_by_failing_tests(tmp_path: Path) -> None:
    told = tmp_path / "outcomes.json"
    command = [sys.executable, "-m", "tests.mutation", "--sample-only", "--seed", "2025", "--count", "12"]
    done = subprocess.run(
        [*command, "--json", str(told)], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    outcomes = json.loads(told.read_text(encoding="utf-8"))
    accepted = reasons()
    assert (done.returncode, len(outcomes)) == (0, 12), done.stdout + done.stderr
    killed = [outcome["by"] for outcome in outcomes if outcome["name"] not in accepted]
    assert all(test.startswith("tests/translators/test_") for test in killed)
    assert len({outcome["kind"] for outcome in outcomes}) > 3


def test_every_operation_has_a_mutant_without_it_and_names_are_unique() -> None:
    mutants = population()
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    removals = [mutant for mutant in mutants if mutant.kind == REMOVED]
    assert chosen(mutants, seed=1, count=0) == removals
    assert len(chosen(mutants, seed=1, count=400)) == len(removals) + 400


@pytest.mark.parametrize("home", MACHINES)
def test_mutants_of_machines_have_names_and_only_they_have_reasons(home: str) -> None:
    names = [mutant.name for mutant in MACHINES[home].mutants()]
    assert len(set(names)) == len(names)
    assert reasons(MACHINES[home].survivors).keys() <= set(names)


def test_a_seed_draws_the_same_mutants_again() -> None:
    mutants = [Mutant(str(number), "kind", "home", lambda: None) for number in range(50)]
    drawn = chosen(mutants, seed=3, count=10)
    assert drawn == chosen(mutants, seed=3, count=10)
    assert drawn != chosen(mutants, seed=4, count=10)


def test_equal_names_are_told_apart() -> None:
    mutants = [Mutant(name, "kind", "home", lambda: None) for name in ("a", "b", "a")]
    assert [mutant.name for mutant in numbered(mutants)] == ["a", "b", "a #2"]


def test_what_does_not_run_is_not_changed() -> None:
    source = (
        'LOG = "page"\n__all__ = ["f"]\ndef f(a: "int") -> "str":\n    """Words."""\n    raise Refused(a, "No way")\n'
    )
    (only,) = _edited(source)
    assert "pass" in only
    assert "No way" not in only


def test_one_node_changes_at_a_time() -> None:
    assert _edited("def f(a):\n    return a == 1\n") == [
        "def f(a):\n    return None",
        "def f(a):\n    return a != 1",
        "def f(a):\n    return a == 2",
    ]


def test_an_outcome_is_confused_with_the_other() -> None:
    assert _edited("def f(a):\n    return KEEP\n") == ["def f(a):\n    return REMOVE"]


def _report(*statuses: str, accepted: dict[str, str] | None = None) -> Report:
    outcomes = [Outcome(str(at), "kind", status, "") for at, status in enumerate(statuses)]
    return judged(outcomes, {outcome.name for outcome in outcomes}, accepted or {})


def test_a_survivor_needs_a_reason() -> None:
    assert _report(*["killed"] * 20).good
    assert not _report(*["killed"] * 20, "survived").good
    assert _report(*["killed"] * 20, "survived", accepted={"20": "the same"}).good


def test_a_reason_needs_a_survivor() -> None:
    assert _report("killed", accepted={"0": "the same"}).stale == ("0",)
    assert _report("killed", accepted={"gone": "the same"}).stale == ("gone",)
    assert not _report("killed", accepted={"gone": "the same"}).good


def test_reasons_do_not_make_up_for_kills() -> None:
    assert not _report("killed", "survived", accepted={"1": "the same"}).good


def test_what_could_not_be_executed_or_never_ended_is_no_kill() -> None:
    assert _report("killed", "broken").rate == 1.0
    assert _report("killed", "timeout").rate == 0.5
    assert [outcome.status for outcome in _report("killed", "timeout").unexplained] == ["timeout"]
