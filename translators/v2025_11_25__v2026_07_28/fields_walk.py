"""Walking a JSON Schema: every object that is a schema, and none that is only data.

Follows JSON Schema 2020-12 core and validation; unknown keywords that hold objects are taken for schemas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from translators.tree import Body

MAPS = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
"""Keywords whose members are named by the author."""
DATA = frozenset(("enum", "const", "default", "examples"))
"""Keywords whose values are data, whatever they look like."""
UNWRAPPABLE = frozenset(("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"))
"""Keywords that give a place in the document a name, or refer to one."""


def walked(schema: Any, edit: Callable[[Body], Body]) -> Any:
    """A copy in which every schema, innermost first, is what `edit(schema)` made of it."""
    if isinstance(schema, list):
        return [walked(item, edit) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return edit({name: inside(name, value, edit) for name, value in schema.items()})


def inside(name: str, value: Any, edit: Callable[[Body], Body]) -> Any:
    """The value of one keyword, every schema in it edited."""
    if name in DATA:
        return value
    if name in MAPS and isinstance(value, dict):
        return {key: walked(inner, edit) for key, inner in value.items()}
    return walked(value, edit)
