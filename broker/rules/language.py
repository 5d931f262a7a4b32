"""CEL as the rules speak it: the variables there are, compiling and checking an expression, and its value.

The engine is Google's own (`cel-expr-python`): it checks types, matches patterns in linear time and ends loops. It is
loaded with the first rule. Invariants: an expression that compiled yields true, false or an error, never anything else;
no message makes one slow (`broker.rules.shape`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final

import msgspec

from broker.rules.shape import TooCostly, shape_of

MAX_CHARS: Final = 4_096
"""Characters of one expression; the longest in published policies have about 1,000."""

VARIABLES: Final = {
    "principal": "string",
    "credential": "string",
    "claims": "map",
    "scopes": "list",
    "client.name": "string",
    "client.version": "string",
    "client.revision": "string",
    "backend.name": "string",
    "backend.revision": "string",
    "method": "string",
    "kind": "string",
    "name": "string",
    "arguments": "map",
    "annotations": "map",
}
"""Every variable with its type: text, a map from text to anything, or a list of texts."""

_PLACE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_FIXES: Final = (
    ("undeclared reference to", "use one of " + ", ".join(VARIABLES)),
    ("found no matching overload", "compare values of one type"),
    ("token recognition error", "write `==` to compare, and close every quote"),
    ("Syntax error", "see the language definition of CEL"),
)
_ENGINE_MISSING = "rules need the package cel-expr-python — install dragoman with the extra `policy`"


class WrongRule(ValueError):  # noqa: N818 (what is wrong with a rule)
    """An expression that cannot be a rule: where in it, what is wrong, and what to write instead."""


class Expression(msgspec.Struct, frozen=True):
    """A checked expression: its text, the variables it mentions, and the engine's program."""

    text: str
    variables: frozenset[str]
    program: Any

    def value(self, activation: Any) -> bool | str:
        """True, false, or the text of an error."""
        try:
            found = self.program.eval(activation).value()
        except Exception as error:
            return str(error) or type(error).__name__
        return found if found is True or found is False else str(found)


@cache
def _environment() -> Any:
    try:
        from cel_expr_python import cel
    except ImportError as error:
        raise WrongRule(_ENGINE_MISSING) from error
    types = {
        "string": cel.Type.STRING,
        "map": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        "list": cel.Type.List(cel.Type.STRING),
    }
    return cel.NewEnv(variables={name: types[kind] for name, kind in VARIABLES.items()})


def activation(values: Mapping[str, Any]) -> Any:
    """What expressions are evaluated with; what is missing is an error to those that need it."""
    return _environment().Activation(values)


@lru_cache(maxsize=1_024)
def compiled(text: str) -> Expression:
    """A checked expression.

    Raises:
        WrongRule: it cannot be a rule.
    """
    if len(text) > MAX_CHARS:
        raise WrongRule(f"longer than {MAX_CHARS} characters — split the rule")
    environment = _environment()
    try:
        program = environment.compile(text)
    except Exception as error:
        raise WrongRule(_explained(str(error), text)) from None
    kind = program.return_type().name()
    if kind != "BOOL":
        raise WrongRule(f"is {kind.lower()}, expected true or false — compare it with something")
    try:
        shape = shape_of(program.serialize())
    except TooCostly as error:
        raise WrongRule(str(error)) from None
    for pattern in shape.patterns:
        _matchable(environment, pattern)
    return Expression(text, shape.variables & VARIABLES.keys(), program)


def _matchable(environment: Any, pattern: str) -> None:
    """Refuse a pattern that the engine would only find wrong at the first call."""
    found = environment.compile("name.matches(principal)").eval(data={"name": "", "principal": pattern}).value()
    if found is not True and found is not False:
        what = str(found).partition("invalid regular expression: ")[2] or "it is none"
        raise WrongRule(f"the pattern {pattern!r} cannot be used: {what} — patterns are those of RE2")


def _explained(message: str, text: str) -> str:
    """The first problem the engine found, with line, column and what to do."""
    found = _PLACE.search(message)
    if found is None:
        return f"{message.partition(' [')[0]} — write a shorter or flatter expression"
    line, column, what = int(found[1]), int(found[2]), found[3]
    what = what.replace(" (in container '')", "").removesuffix(" [INVALID_ARGUMENT]")
    fix = next((fix for sign, fix in _FIXES if sign in what), "")
    lines = text.splitlines() or [""]
    near = ""
    if 0 < line <= len(lines):
        near = f", near `{lines[line - 1][max(column - 1, 0) : column + 23].strip() or lines[line - 1][-24:]}`"
    place = f"line {line}, column {column}{near}: " if line > 0 else ""
    return f"{place}{what[:1].lower()}{what[1:]}" + (f" — {fix}" if fix else "")
