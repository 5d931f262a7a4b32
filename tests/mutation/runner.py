"""Which mutants run against which tests, and the controls that show that a kill means something."""

from __future__ import annotations

import contextlib
import fnmatch
import importlib
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, settings

from tests.mutation import adopt, declared
from tests.mutation.forks import Forks, Verdict
from tests.mutation.mutant import REMOVED, Mutant
from translators import STEPS

TESTS = Path(__file__).parents[1] / "translators"
SUITE = (
    *("test_golden.py", "test_mutants_[!g]*.py", "test_hygiene.py", "test_compat.py"),
    *("test_mutants_garbage.py", "test_laws.py"),
)
"""Patterns of files under `tests/translators`, fastest first."""
PROFILE = "mutation"
EXAMPLES = 25
"""Of each law: pairs and tests kill nearly everything, and what only a rare body shows wants a test of its own."""


class ControlFailed(Exception):  # noqa: N818
    """The harness itself is not to be trusted: the text says which control came out wrong."""


class Outcome(msgspec.Struct, frozen=True):
    """One mutant and what became of it."""

    name: str
    kind: str
    status: str
    by: str


def population() -> list[Mutant]:
    """Every mutant there is, always in the same order."""
    return [*declared.declared(), *adopt.coded()]


def chosen(mutants: Sequence[Mutant], *, seed: int, count: int, only: str = "*", removals: bool = True) -> list[Mutant]:
    """Those that fit the pattern: every removal of an operation (unless told not to), and `count` others by seed."""
    fitting = [mutant for mutant in mutants if fnmatch.fnmatchcase(mutant.name, only)]
    always = [mutant for mutant in fitting if removals and mutant.kind == REMOVED]
    others = [mutant for mutant in fitting if not removals or mutant.kind != REMOVED]
    drawn = random.Random(seed).sample(range(len(others)), min(count, len(others)))
    return [*always, *(others[index] for index in sorted(drawn))]


def run(
    mutants: Sequence[Mutant],
    *,
    jobs: int,
    heard: Callable[[Outcome], None],
    breaking: dict[str, Callable[[], None]] | None = None,
    files: Sequence[str] | None = None,
) -> list[Outcome]:
    """The outcome of each mutant, in the order given; `heard` is told each as it comes.

    `breaking` are the controls "unmutated" and "emptied", `files` the suite; by default those of the steps.

    Raises:
        ControlFailed: the suite fails unmutated, or passes with a step emptied.
    """
    breaking = breaking or {"unmutated": adopt.execute_again, "emptied": _empty_oldest}
    controls = {name: Mutant(name, "control", "", apply) for name, apply in breaking.items()}
    verdicts: dict[str, Verdict] = {}
    wrong: list[str] = []

    def done(mutant: Mutant, verdict: Verdict) -> bool:
        verdicts[mutant.name] = verdict
        if mutant.kind != "control":
            heard(_outcome(mutant, verdict))
        elif verdict.status != ("killed" if mutant.name == "emptied" else "survived"):
            wrong.append(f"{mutant.name}: {verdict.status} {verdict.by}")
        return not wrong

    _pytest(Forks([*controls.values(), *mutants], jobs, done), files or suite())
    if wrong:
        raise ControlFailed("; ".join(wrong))
    return [_outcome(mutant, verdicts[mutant.name]) for mutant in mutants]


def _outcome(mutant: Mutant, verdict: Verdict) -> Outcome:
    return Outcome(mutant.name, mutant.kind, verdict.status, verdict.by)


def _empty_oldest() -> None:
    for change in STEPS[0].changes:
        declared.empty(change)


def suite() -> list[str]:
    """The files of the steps' suite."""
    return [str(path) for pattern in SUITE for path in sorted(TESTS.glob(pattern))]


def _pytest(plugin: Forks, files: Sequence[str]) -> None:
    """Collect the suite once, in this process, and give it to the plugin."""
    # Nobody reads the smallest counterexample, so none is searched for; the laws inherit what they do not set.
    settings.register_profile(PROFILE, phases=(Phase.explicit, Phase.generate), database=None, deadline=None)
    settings.load_profile(PROFILE)
    laws = importlib.import_module("tests.translators.laws")  # not before the profile is there to inherit from
    vars(laws)["LAW"] = settings(laws.LAW, max_examples=EXAMPLES)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(["-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", *files], plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise ControlFailed(said.getvalue())
