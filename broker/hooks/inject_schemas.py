"""A tool's `inputSchema` without an argument that its clients do not send.

Follows JSON Schema 2020-12 (and draft 7's `definitions`, `dependencies`): an argument is named where schemas of the
same object are, which is under its combinators and behind local references, and not where those of its parts are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

MAX_DEPTH: Final = 32
"""Combinators within combinators; messages are nested 64 deep at most."""

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_ONE: Final = ("if", "then", "else", "not")
_LOCAL: Final = ("#/$defs/", "#/definitions/")

Named = Callable[[str], bool]


def without_property(schema: Any, named: Named) -> Any:
    """The schema of an object without the properties that are `named`; the same object if it has none of them."""
    behind: dict[tuple[str, str], None] = {}
    found = _without(schema, named, behind, 0)
    done: set[tuple[str, str]] = set()
    while todo := [each for each in behind if each not in done]:
        for word, name in todo:
            done.add((word, name))
            definitions = found.get(word) if isinstance(found, dict) else None
            if isinstance(definitions, dict) and name in definitions:
                new = _without(definitions[name], named, behind, 0)
                if new is not definitions[name]:
                    found = {**found, word: {**definitions, name: new}}
    return found


def _without(schema: Any, named: Named, behind: dict[tuple[str, str], None], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return schema
    changed: dict[str, Any] = {}
    for word, value in schema.items():
        new = _word(word, value, named, behind, depth)
        if new is not value:
            changed[word] = new
    return {**schema, **changed} if changed else schema


def _word(word: str, value: Any, named: Named, behind: dict[tuple[str, str], None], depth: int) -> Any:
    if word == "properties" and isinstance(value, dict):
        return _members(value, named)
    if word == "required" and isinstance(value, list):
        return _names(value, named)
    if word in ("dependentRequired", "dependentSchemas", "dependencies") and isinstance(value, dict):
        kept = _members(value, named)
        inner = {
            name: _names(each, named) if isinstance(each, list) else _without(each, named, behind, depth + 1)
            for name, each in kept.items()
        }
        return kept if all(inner[name] is kept[name] for name in kept) else inner
    if word in _LISTS and isinstance(value, list):
        several = [_without(each, named, behind, depth + 1) for each in value]
        return value if all(new is old for new, old in zip(several, value, strict=True)) else several
    if word in _ONE:
        return _without(value, named, behind, depth + 1)
    if word == "$ref" and isinstance(value, str):
        for start in _LOCAL:
            if value.startswith(start):
                behind[start[2:-1], value[len(start) :].replace("~1", "/").replace("~0", "~")] = None
    return value


def _members(value: dict[str, Any], named: Named) -> dict[str, Any]:
    return {name: each for name, each in value.items() if not named(name)} if any(map(named, value)) else value


def _names(value: list[Any], named: Named) -> list[Any]:
    kept = [name for name in value if not (isinstance(name, str) and named(name))]
    return value if len(kept) == len(value) else kept
