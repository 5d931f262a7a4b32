"""Whether structured content still is what its tool's `outputSchema` says, once something was taken out of it.

Follows server/tools (output schema) of 2025-06-18 to 2026-07-28: a client that validates refuses a result that does not
fit, and shows its model the reason instead, with the schema and the value in it. Only what was changed is looked at:
the server answers for the rest. Words whose meaning would take a validator (patterns, formats, conditions) count as not
met. Invariants: references are followed within the schema alone; the work is bounded by `DEPTH` and `MAX_LOOKS`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

MAX_SCHEMAS: Final = 1_024
MAX_SCHEMA: Final = 64 * 1024
"""Tools whose schemas are remembered, and bytes of one with its tool's name; those of servers of both SDKs have below
10 KB."""

DEPTH: Final = 32
"""Schemas within schemas that are followed, references included; beyond, a value counts as not fitting."""

MAX_LOOKS: Final = 50_000
"""Schemas that are held against the changed values of one result, in 0.1 s: alternatives that refer to alternatives
multiply. Beyond, a value counts as not fitting."""

_UNDECIDED: Final = frozenset(
    (
        "contains", "dependencies", "dependentRequired", "dependentSchemas", "else", "if", "not", "patternProperties",
        "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    )
)  # fmt: skip
_OF_TEXT: Final = frozenset(("contentEncoding", "contentMediaType", "format", "pattern"))
_TYPES: Final = {str: ("string",), bool: ("boolean",), int: ("integer", "number"), float: ("number",),
                 dict: ("object",), list: ("array",), type(None): ("null",)}  # fmt: skip


class Schemas:
    """The output schemas of one server's tools, as last listed."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def learn(self, tools: Any) -> None:
        """Remember those of a list."""
        for tool in tools if isinstance(tools, list) else ():
            name, schema = (tool.get("name"), tool.get("outputSchema")) if isinstance(tool, dict) else (None, None)
            if not isinstance(name, str):
                continue
            self._known.pop(name, None)
            if isinstance(schema, dict) and len(name) + len(msgspec.json.encode(schema)) <= MAX_SCHEMA:
                if len(self._known) >= MAX_SCHEMAS:
                    del self._known[next(iter(self._known))]
                self._known[name] = schema

    def fits(self, tool: str | None, before: Any, after: Any) -> bool:
        """True if a value that was changed is still as this tool's schema says, as far as the schema is known."""
        schema = self._known.get(tool or "")
        return schema is None or _fits(schema, before, after, _Root(schema), DEPTH)


class _Root:
    """A whole schema, to which its references refer, and how many looks it has left."""

    __slots__ = ("looks", "schema")

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.looks = MAX_LOOKS


def _fits(schema: Any, before: Any, after: Any, root: _Root, left: int) -> bool:
    if after is before or schema is True or schema == {}:
        return True
    root.looks -= 1
    if root.looks < 0:
        return False
    if not isinstance(schema, dict) or left == 0 or not _UNDECIDED.isdisjoint(schema):
        return False
    if "$ref" in schema:
        target = _local(schema["$ref"], root.schema)
        if target is None or not _fits(target, before, after, root, left - 1):
            return False
    if not all(_fits(each, before, after, root, left - 1) for each in _list(schema.get("allOf"))):
        return False
    for word in ("anyOf", "oneOf"):
        if word in schema and not any(_fits(each, before, after, root, left - 1) for each in _list(schema[word])):
            return False
    if "type" in schema and not _is(after, schema["type"]):
        return False
    if ("enum" in schema and after not in _list(schema["enum"])) or ("const" in schema and after != schema["const"]):
        return False
    if isinstance(after, str):
        return _OF_TEXT.isdisjoint(schema) and _within(len(after), schema, "Length")
    if isinstance(after, dict):
        return _object(schema, before if isinstance(before, dict) else {}, after, root, left)
    return not isinstance(after, list) or _array(schema, before if isinstance(before, list) else [], after, root, left)


def _object(schema: dict[str, Any], before: dict[str, Any], after: dict[str, Any], root: _Root, left: int) -> bool:
    if not all(name in after for name in _list(schema.get("required"))) or not _within(
        len(after), schema, "Properties"
    ):
        return False
    own, others = schema.get("properties"), schema.get("additionalProperties", True)
    named = own if isinstance(own, dict) else {}
    return all(
        _fits(named.get(name, others), before.get(name, ...), value, root, left - 1) for name, value in after.items()
    )


def _array(schema: dict[str, Any], before: list[Any], after: list[Any], root: _Root, left: int) -> bool:
    if not _within(len(after), schema, "Items") or ("prefixItems" in schema and len(after) != len(before)):
        return False
    if schema.get("uniqueItems") is True and len({msgspec.json.encode(each) for each in after}) != len(after):
        return False
    first, rest = _list(schema.get("prefixItems")), schema.get("items", True)
    kept = {id(each) for each in before}
    return all(
        id(item) in kept or _fits(first[at] if at < len(first) else rest, ..., item, root, left - 1)
        for at, item in enumerate(after)
    )


def _is(value: Any, types: Any) -> bool:
    return any(each in _TYPES[type(value)] for each in (types if isinstance(types, list) else [types]))


def _within(size: int, schema: dict[str, Any], what: str) -> bool:
    low, high = schema.get(f"min{what}", 0), schema.get(f"max{what}", size)
    return isinstance(low, int | float) and isinstance(high, int | float) and low <= size <= high


def _local(reference: Any, root: Any) -> Any:
    """What a reference within the schema means; None for any other."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:] if reference != "#" else ():
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict | bool) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
