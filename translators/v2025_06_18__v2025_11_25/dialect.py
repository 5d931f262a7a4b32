"""Tool schemas without `$schema`: 2025-11-25 reads them as JSON Schema 2020-12, older servers meant draft-07.

Follows changelog minor 10 and basic/index.mdx "JSON Schema Usage". Only what 2020-12 would read differently is
rewritten, and only where no `$schema` says which dialect is meant; the values in `enum`, `const`, `default` and
`examples` are never entered. Down there is nothing to do: a 2025-06-18 reader meets `$schema` as an unknown member.
"""

from __future__ import annotations

from typing import Any

from translators.change import Change, result
from translators.context import Context
from translators.ops import KEEP, Loss, each
from translators.tree import Body

LOG = "2025-11-25/changelog.mdx"
DRAFT_07_ONLY = (b'"items"', b'"dependencies"', b'"exclusiveMinimum"', b'"exclusiveMaximum"')

_MAPS = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES = (
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
)


def subschemas(schema: Body) -> list[Body]:
    """The object schemas directly inside a schema."""
    found: list[Any] = [schema.get(name) for name in _SINGLES]
    for name in _MAPS:
        inner = schema.get(name)
        found.extend(inner.values() if isinstance(inner, dict) else ())
    for name in (*_LISTS, "items"):
        several = schema.get(name)
        found.extend(several if isinstance(several, list) else ())
    return [inner for inner in found if isinstance(inner, dict)]


def _modernise(schema: Body) -> bool:
    """Rewrite one schema, and those inside it, in place; True if anything changed."""
    acted = False
    for inner in subschemas(schema):
        acted = _modernise(inner) or acted
    return _tuple_items(schema) | _dependencies(schema) | _bounds(schema) | acted


def _tuple_items(schema: Body) -> bool:
    if not isinstance(schema.get("items"), list):
        return False
    schema.setdefault("prefixItems", schema.pop("items"))
    if "additionalItems" in schema:
        schema["items"] = schema.pop("additionalItems")
    return True


def _dependencies(schema: Body) -> bool:
    dependencies = schema.get("dependencies")
    if not isinstance(dependencies, dict):
        return False
    del schema["dependencies"]
    for name, needed in dependencies.items():
        keyword = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
        schema.setdefault(keyword, {})[name] = needed
    return True


def _bounds(schema: Body) -> bool:
    """`exclusiveMinimum: true` beside `minimum` is older still, and npm servers wrote it."""
    acted = False
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        flag = schema.get(exclusive)
        if not isinstance(flag, bool):
            continue
        acted = True
        del schema[exclusive]
        if flag and inclusive in schema:
            schema[exclusive] = schema.pop(inclusive)
    return acted


def _as_2020_12(schema: Any, _ctx: Context) -> Any:
    if not isinstance(schema, dict) or "$schema" in schema:
        return KEEP
    return dict(schema) if _modernise(schema) else KEEP


DIALECT = Change(
    name="JSON Schema dialect",
    spec=f"{LOG} minor 10",
    rows=("C14",),
    up={
        result("tools/list"): (
            each("tools[].inputSchema", _as_2020_12, Loss.CARRIED, needing=DRAFT_07_ONLY),
            each("tools[].outputSchema", _as_2020_12, Loss.CARRIED, needing=DRAFT_07_ONLY),
        ),
    },
)
