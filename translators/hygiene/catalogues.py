"""Lists of tools, resources and prompts: one odd item must not cost the reader the whole list."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from translators import tree
from translators.change import Change, params, result
from translators.context import Context
from translators.listed import usual_tools
from translators.ops import KEEP, REMOVE, Loss, Op, each, fill
from translators.tree import Body

_BOOLEANS = (b"true", b"false")
_OBJECT = b'"object"'
_USUAL = b'{"type":"object"'
TASK_SUPPORT = ("forbidden", "optional", "required")


def _input_schema(tool: Body, _ctx: Context) -> Any:
    """An object schema whose properties are objects, as MCP types it in every revision."""
    raw = tool.get("inputSchema")
    if type(raw) is Raw and _surely_fine(bytes(raw)):
        return KEEP
    schema = tree.member(tool, "inputSchema")
    if not isinstance(schema, dict):
        return {"type": "object"}
    return _object_schema(schema)


def _surely_fine(schema: bytes) -> bool:
    """True for what nearly every server writes: the type comes first, booleans only say that nothing is added."""
    if not schema.startswith(_USUAL):
        return False
    return schema.count(b"true") + schema.count(b"false") == schema.count(b'"additionalProperties":false')


def _output_schema(tool: Body, _ctx: Context) -> Any:
    schema = tree.member(tool, "outputSchema")
    if not isinstance(schema, dict):
        return REMOVE
    if "type" in schema and tree.member(schema, "type") != "object":
        return REMOVE
    return _object_schema(schema)


def _object_schema(schema: Body) -> Any:
    kind = schema.get("type")
    typed = kind == "object" or (type(kind) is Raw and bytes(kind) == _OBJECT)
    properties = _objects_only(schema)
    if typed and properties is KEEP:
        return KEEP
    changed = {**schema, "type": "object"}
    if properties is not KEEP:
        changed["properties"] = properties
    return changed


def _objects_only(schema: Body) -> Any:
    """`true` means anything and `false` nothing; as objects they mean the same."""
    raw = schema.get("properties")
    if type(raw) is Raw and not any(word in bytes(raw) for word in _BOOLEANS):
        return KEEP
    properties = tree.member(schema, "properties")
    if not isinstance(properties, dict):
        return KEEP
    odd = {name: value for name in properties if isinstance(value := _flag(properties[name]), bool)}
    if not odd:
        return KEEP
    return {**properties, **{name: {} if value else {"not": {}} for name, value in odd.items()}}


def _flag(value: Any) -> Any:
    if type(value) is Raw:
        text = bytes(value)
        return text == b"true" if text in _BOOLEANS else None
    return value


def _whole_size(value: Any, _ctx: Context) -> Any:
    if not isinstance(value, float):
        return KEEP
    return int(value) if value.is_integer() else REMOVE


def _several_sizes(value: Any, _ctx: Context) -> Any:
    """Before the release of 2025-11-25 `sizes` was one string."""
    return value.split() if isinstance(value, str) else KEEP


def _known_theme(value: Any, _ctx: Context) -> Any:
    return KEEP if value in ("light", "dark") else REMOVE


def _known_support(value: Any, _ctx: Context) -> Any:
    return KEEP if value in TASK_SUPPORT else REMOVE


def _in_tools(*ops: Op) -> tuple[Op, ...]:
    return tuple(msgspec.structs.replace(op, content=usual_tools, tokens=()) for op in ops)


def _icons(*paths: str) -> tuple[Op, ...]:
    return tuple(
        op
        for path in paths
        for op in (
            each(f"{path}.icons[].sizes", _several_sizes, Loss.NONE),
            each(f"{path}.icons[].theme", _known_theme, Loss.COSMETIC),
        )
    )


CATALOGUES = (
    Change(
        name="whole sizes",
        spec="pypi 1.6.0 to 1.26.0 reject a fractional size",
        rows=("T30",),
        down={
            result("resources/list"): (each("resources[].size", _whole_size, Loss.COSMETIC),),
            result("tools/call"): (each("content[].size", _whole_size, Loss.COSMETIC),),
            result("prompts/get"): (each("messages[].content.size", _whole_size, Loss.COSMETIC),),
        },
    ),
    Change(
        name="icon members",
        spec="pypi 1.26.0 and npm 1.25.1 reject sizes as a string, npm 1.25.1 an unknown theme",
        rows=("T27",),
        down={
            result("tools/list"): _in_tools(
                *_icons("tools[]"),
                each("tools[].execution.taskSupport", _known_support, Loss.DEGRADED),
            ),
            result("resources/list"): _icons("resources[]"),
            result("resources/templates/list"): _icons("resourceTemplates[]"),
            result("prompts/list"): _icons("prompts[]"),
            result("tools/call"): _icons("content[]"),
            result("prompts/get"): _icons("messages[].content"),
            result("initialize"): _icons("serverInfo"),
            params("initialize"): _icons("clientInfo"),
        },
    ),
)

OBJECT_SCHEMAS = (
    Change(
        name="object schemas",
        spec="npm 1.0.4 to 1.25.1 reject inputSchema without type, npm 1.25.1 a boolean as a property's schema",
        rows=("T19", "C14"),
        down={
            result("tools/list"): _in_tools(
                fill("tools[].inputSchema", _input_schema),
                fill("tools[].outputSchema", _output_schema, Loss.COSMETIC, given=("outputSchema",)),
            )
        },
    ),
)
"""For readers whose revision types tools' schemas as those of objects."""
