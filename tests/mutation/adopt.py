"""A module executed anew, changed, takes the place of the one that everybody has imported.

Others hold its functions, Changes and tables, so those stay the same objects and get the new contents: functions
their code, Changes their actions, dicts their items. Plain constants are replaced in the module itself.
"""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import msgspec

from tests.mutation.edits import edits
from tests.mutation.mutant import Mutant, numbered
from translators import ops
from translators.change import Change, Step

_PACKAGE = "translators"
SOURCES = (
    "structured",
    "v2024_11_05__v2025_03_26",
    "v2025_03_26__v2025_06_18",
    "v2025_06_18__v2025_11_25.choices",
    "v2025_06_18__v2025_11_25.dialect",
    "v2025_06_18__v2025_11_25.elicitation",
    "v2025_06_18__v2025_11_25.sampling",
    "v2025_06_18__v2025_11_25.tasks",
    "hygiene",
    "hygiene.blocks",
    "hygiene.catalogues",
    "hygiene.members",
    "hygiene.nulls",
    "hygiene.results",
)
"""The modules with functions of their own; the others only declare."""
DEPENDENTS = {"hygiene.blocks": ("hygiene.members",)}
"""Modules that compute something of their own from another's constants while they are imported."""


def coded() -> list[Mutant]:
    """Every mutant of the functions and constants of the sources; names are unique."""
    return numbered(
        Mutant(
            f"{source}:{edit.scope} | {edit.what}",
            edit.kind,
            source.split(".")[0],
            functools.partial(_apply, source, edit.applied),
        )
        for source in SOURCES
        for edit in edits(_tree(source))
    )


def execute_again() -> None:
    """Every source, unchanged: whatever fails afterwards is the fault of this file."""
    for source in SOURCES:
        adopt(source, _tree(source))


def _apply(source: str, changed: Any) -> None:
    adopt(source, changed(_tree(source)))
    for dependent in DEPENDENTS.get(source, ()):
        adopt(dependent, _tree(dependent))


@functools.cache
def _tree(source: str) -> ast.Module:
    path = sys.modules[f"{_PACKAGE}.{source}"].__file__
    assert path is not None
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def adopt(source: str, tree: ast.Module) -> None:
    """Execute the tree as this module and put what it made in place. Raises whatever the execution raises."""
    forget()
    old = sys.modules[f"{_PACKAGE}.{source}"]
    new = ModuleType(old.__name__)
    new.__dict__.update({name: old.__dict__[name] for name in ("__package__", "__file__", "__spec__")})
    for outcome in ("KEEP", "REMOVE"):  # one may stand for the other where only the other is imported
        new.__dict__[outcome] = getattr(ops, outcome)
        old.__dict__.setdefault(outcome, getattr(ops, outcome))
    exec(compile(tree, str(old.__file__), "exec"), new.__dict__)
    imported = {
        alias.asname or alias.name
        for statement in tree.body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for alias in statement.names
    }
    for name, value in new.__dict__.items():
        if not name.startswith("__") and name not in imported:
            old.__dict__[name] = _settled(old.__dict__.get(name), value)


def _settled(old: Any, new: Any) -> Any:
    """The old object with the contents of the new, or the new one if it is a plain value."""
    if isinstance(old, Step):
        return old  # its Changes are settled one by one
    if isinstance(old, Change):
        for field in old.__struct_fields__:
            msgspec.structs.force_setattr(old, field, getattr(new, field))
        old.__dict__.clear()
        return old
    if isinstance(old, tuple) and old and all(isinstance(item, Change) for item in old):
        for one, other in zip(old, new, strict=True):
            _settled(one, other)
        return old
    if isinstance(old, dict):
        items = dict(new)
        old.clear()
        old.update(items)
        return old
    if isinstance(old, type):
        for name, member in vars(new).items():
            for part in ("fget", "fset"):
                function, changed = (getattr(found, part, found) for found in (vars(old).get(name), member))
                if isinstance(function, FunctionType) and isinstance(changed, FunctionType):
                    _settled(function, changed)
        return old
    function, changed = (getattr(found, "__wrapped__", found) for found in (old, new))
    if isinstance(function, FunctionType) and isinstance(changed, FunctionType):
        function.__code__ = changed.__code__
        function.__defaults__, function.__kwdefaults__ = changed.__defaults__, changed.__kwdefaults__
        return old
    return new


def forget(leaving: str = "-") -> None:
    """Clear every cache of the translators and of their tests, save those made in modules of this name or below."""
    for name, module in list(sys.modules.items()):
        if name.startswith((_PACKAGE, f"tests.{_PACKAGE}")):
            for value in list(vars(module).values()):
                if type(value) is functools._lru_cache_wrapper:  # other values may not like to be looked at
                    made = getattr(value.__wrapped__, "__module__", None)
                    if made is not None and not made.startswith(leaving):
                        value.cache_clear()
