"""Mutants of the machines on both sides of the newest step, and for each the suite that must kill them.

The suite is everything written for a machine, then a slice of its random walk. Statements that only assign are mutated
here too, because a machine is made of what it remembers.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from tests.mutation import adopt
from tests.mutation.edits import edits
from tests.mutation.mutant import Mutant, numbered
from translators import session_client, stateless_client

TESTS = Path(__file__).parents[1] / "translators"
_PACKAGE = session_client.__name__.rpartition(".")[0]


class Machines(msgspec.Struct, frozen=True):
    """One package of machines. `suite` are patterns under `tests/translators`, `entry` is the class that is told all.

    The suite leaves out the stateful test, which its last file plays with fewer examples.
    """

    home: str
    entry: str
    modules: tuple[str, ...]
    suite: tuple[str, ...]
    survivors: Path

    def mutants(self) -> list[Mutant]:
        """Every mutant of the machines' functions and constants; names are unique."""
        return numbered(
            Mutant(
                f"{module}:{edit.scope} | {edit.what}",
                edit.kind,
                self.home,
                functools.partial(self._apply, module, edit.applied),
            )
            for module in self.modules
            for edit in edits(_tree(self.home, module), assignments=True)
        )

    def controls(self) -> dict[str, Callable[[], None]]:
        """The machines executed anew but unchanged, which must pass, and without any answer, which must not."""
        return {"unmutated": self.execute_again, "emptied": self._deaf}

    def files(self) -> list[str]:
        """The suite, unit tests first."""
        return [str(path.resolve()) for pattern in self.suite for path in sorted(TESTS.glob(pattern))]

    def execute_again(self) -> None:
        """Every machine, unchanged: whatever fails afterwards is the fault of this file."""
        for module in self.modules:
            self._apply(module, lambda tree: tree)

    def _deaf(self) -> None:
        def handle(_self: Any, _event: Any, _now: float) -> list[Any]:
            return []

        machine: Any = _module(self.home, "machine")
        getattr(machine, self.entry).handle.__code__ = handle.__code__

    def _apply(self, module: str, changed: Callable[[ast.Module], ast.Module]) -> None:
        found = _module(self.home, module)
        before = dict(vars(found))
        adopt.adopt(f"{self.home}.{module}", changed(_tree(self.home, module)))
        for other in self.modules:
            self._import_again(other, found, before)

    def _import_again(self, importer: str, module: ModuleType, before: dict[str, Any]) -> None:
        """Constants are values: whoever imported one before has to get the new one."""
        names = vars(_module(self.home, importer))
        for statement in ast.walk(_tree(self.home, importer)):
            if isinstance(statement, ast.ImportFrom) and statement.module == module.__name__:
                for alias in statement.names:
                    bound = alias.asname or alias.name
                    if names.get(bound) is before.get(alias.name) is not None:
                        names[bound] = vars(module)[alias.name]


MACHINES = {
    machines.home: machines
    for machines in (
        Machines(
            home=session_client.__name__.rpartition(".")[2],
            entry="SessionClient",
            modules=(
                *("asking", "envelope", "facts", "handshake", "legs", "listening", "lists", "machine", "renewing"),
                *("rounds", "subscribing", "urls"),
            ),
            suite=(
                *("test_session_client_[!s]*.py", "test_session_client_subscriptions.py"),
                "../mutation/machine_walks.py",
            ),
            survivors=Path(__file__).with_name("machine_survivors.yaml"),
        ),
        Machines(
            home=stateless_client.__name__.rpartition(".")[2],
            entry="StatelessClient",
            modules=(
                *("answers", "calls", "greeting", "listening", "machine", "notices", "pages", "questions", "requests"),
                *("resuming", "rounds", "setup", "state", "urls"),
            ),
            suite=(
                *("test_stateless_client_[!s]*.py", "test_stateless_client_setup.py"),
                "../mutation/stateless_walks.py",
            ),
            survivors=Path(__file__).with_name("stateless_survivors.yaml"),
        ),
    )
}
"""By the name of their package."""


def _module(home: str, module: str) -> ModuleType:
    return sys.modules[f"{_PACKAGE}.{home}.{module}"]


@functools.cache
def _tree(home: str, module: str) -> ast.Module:
    path = _module(home, module).__file__
    assert path is not None
    return ast.parse(Path(path).read_text(encoding="utf-8"))
