"""Mutants of the machines that stand session clients before a stateless server, and the suite that must kill them.

The suite is everything written for `translators/session_client`, then `machine_walks`: a slice of the random walk.
Statements that only assign are mutated here too, because a machine is made of what it remembers.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.mutation import adopt
from tests.mutation.edits import edits
from tests.mutation.mutant import Mutant, numbered
from translators import session_client

TESTS = Path(__file__).parents[1] / "translators"
SUITE = ("test_session_client_[!s]*.py", "test_session_client_subscriptions.py", "../mutation/machine_walks.py")
"""Patterns under `tests/translators`; all but the stateful test, which `machine_walks` plays with fewer examples."""
SURVIVORS = Path(__file__).with_name("machine_survivors.yaml")

_HOME = "session_client"
_PACKAGE = session_client.__name__.removesuffix(f".{_HOME}")
MODULES = (
    *("asking", "envelope", "facts", "handshake", "legs", "listening", "lists", "machine", "renewing", "rounds"),
    *("subscribing", "urls"),
)


def machined() -> list[Mutant]:
    """Every mutant of the machines' functions and constants; names are unique."""
    return numbered(
        Mutant(
            f"{module}:{edit.scope} | {edit.what}", edit.kind, _HOME, functools.partial(_apply, module, edit.applied)
        )
        for module in MODULES
        for edit in edits(_tree(module), assignments=True)
    )


def controls() -> dict[str, Callable[[], None]]:
    """The machines executed anew but unchanged, which must pass, and without any answer, which must not."""
    return {"unmutated": execute_again, "emptied": _deaf}


def files() -> list[str]:
    """The suite, unit tests first."""
    return [str(path.resolve()) for pattern in SUITE for path in sorted(TESTS.glob(pattern))]


def execute_again() -> None:
    """Every machine, unchanged: whatever fails afterwards is the fault of this file."""
    for module in MODULES:
        _apply(module, lambda tree: tree)


def _deaf() -> None:
    def handle(_self: Any, _event: Any, _now: float) -> list[Any]:
        return []

    machine: Any = sys.modules[f"{_PACKAGE}.{_HOME}.machine"]
    machine.SessionClient.handle.__code__ = handle.__code__


def _apply(module: str, changed: Callable[[ast.Module], ast.Module]) -> None:
    name = f"{_PACKAGE}.{_HOME}.{module}"
    before = dict(vars(sys.modules[name]))
    adopt.adopt(f"{_HOME}.{module}", changed(_tree(module)))
    after = vars(sys.modules[name])
    for other in MODULES:
        _import_again(sys.modules[f"{_PACKAGE}.{_HOME}.{other}"], module, before, after)


def _import_again(other: ModuleType, module: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Constants are values: whoever imported one before has to get the new one."""
    for statement in ast.walk(_tree(other.__name__.rpartition(".")[2])):
        if isinstance(statement, ast.ImportFrom) and statement.module == f"{_PACKAGE}.{_HOME}.{module}":
            for alias in statement.names:
                bound = alias.asname or alias.name
                if vars(other).get(bound) is before.get(alias.name) is not None:
                    vars(other)[bound] = after[alias.name]


@functools.cache
def _tree(module: str) -> ast.Module:
    path = sys.modules[f"{_PACKAGE}.{_HOME}.{module}"].__file__
    assert path is not None
    return ast.parse(Path(path).read_text(encoding="utf-8"))
