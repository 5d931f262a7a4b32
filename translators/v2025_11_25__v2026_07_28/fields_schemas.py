"""Schemas of tools are full JSON Schema 2020-12 now, and structured content is any JSON value.

Follows changelog minor 10 (SEP-2106); server/tools.mdx output schema. A session client reads objects only, and loses
its whole list of tools to one other schema (npm 1.25.1). So an output schema that is no object schema is wrapped as the
member `result` of one, and so is every structured result of that tool: both sides of the decision are made from the
definition the server wrote (`Context.facts["tools"]`), never from a value. Without a schema there is nothing to keep in
step with, and a value that is no object is said as text.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from translators import tree
from translators.change import Change, answer, ask, result
from translators.context import Context
from translators.listed import remembered, usual_tools
from translators.op import ESCAPED_ASCII
from translators.ops import KEEP, REMOVE, Loss, Op, each, fill
from translators.structured import content_with_structured
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_walk import UNWRAPPABLE, walked

LOG = "2026-07-28/changelog.mdx"
RESULT = "result"
"""The member that holds what is wrapped, as the Python SDK names it (pypi 1.12.4 and later)."""

_HOISTED = ("$schema", "$defs", "definitions")
_OBJECTS_ONLY = frozenset(("properties", "required", "additionalProperties", "patternProperties", "propertyNames"))
_COMPOSED = frozenset(("$ref", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const"))
_USUAL = b'{"type":"object"'
_BOOLEANS = (b"true", b"false")


class _Unwrappable(Exception):  # noqa: N818 - how a walk ends early, not an error
    """The schema refers to itself in a way that moving it would break."""


def wraps(schema: Any) -> bool:
    """True if structured results of a tool with this output schema are wrapped for session clients."""
    return _wrapped(schema) is not None


def tools_to_wrap(page: Body) -> dict[str, Body]:
    """What `Context.facts["tools"]` must hold for the calls of the tools on one page of `tools/list`.

    `page` is the result as the server wrote it, before any lane; it stays unopened where nothing is wrapped. The
    definitions are cut to the schema that decides, and tools whose results pass as they are are left out.
    """
    found: dict[str, Body] = {}
    if type(page.get("tools")) is Raw and _only_objects(bytes(page["tools"])):
        return found
    for tool in tree.items(page, "tools"):
        if not isinstance(tool, dict) or "outputSchema" not in tool or _surely_fine(tool["outputSchema"]):
            continue
        name, schema = tree.whole(tool, "name"), tree.whole(tool, "outputSchema")
        if isinstance(name, str) and wraps(schema):
            found[name] = {"name": name, "outputSchema": schema}
    return found


@remembered
def _only_objects(text: bytes) -> bool:
    """True if the bytes prove that every output schema says first that it is an object's (False proves nothing)."""
    if ESCAPED_ASCII in text:
        return False
    return text.count(b'"outputSchema"') == text.count(b'"outputSchema":{"type":"object"')


def output_schema_for_sessions(schema: Any) -> Body | None:
    """The output schema as a session client may read it; None if it must not see any."""
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        return _objects_inside(schema)
    if _means_object(schema):
        return _objects_inside({**schema, "type": "object"})
    return _wrapped(schema)


def _means_object(schema: Body) -> bool:
    """Servers of session revisions forget `type` beside `properties`; such a schema is not wrapped."""
    return "type" not in schema and not _OBJECTS_ONLY.isdisjoint(schema) and _COMPOSED.isdisjoint(schema)


def _wrapped(schema: Any) -> Body | None:
    """An object schema that holds the given one as `result`; None if it needs none, or moving it would break it."""
    if not isinstance(schema, dict) or schema.get("type") == "object" or _means_object(schema):
        return None
    try:
        moved = walked(schema, _with_moved_reference)
    except _Unwrappable:
        return None
    inner = {name: value for name, value in moved.items() if name not in _HOISTED}
    hoisted = {name: moved[name] for name in _HOISTED if name in moved}
    return {**hoisted, "type": "object", "properties": {RESULT: inner}, "required": [RESULT]}


def _with_moved_reference(schema: Body) -> Body:
    if not UNWRAPPABLE.isdisjoint(schema):
        raise _Unwrappable
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#"):
        return schema
    if reference.startswith(("#/$defs/", "#/definitions/")):
        return schema
    if reference not in ("#", "") and not reference.startswith("#/"):
        raise _Unwrappable
    return {**schema, "$ref": f"#/properties/{RESULT}{reference[1:]}"}


def _objects_inside(schema: Body) -> Body:
    """The same schema (opened no deeper than its properties), their schemas objects; itself if they are already.

    `true` allows anything and `false` nothing; as objects they say the same.
    """
    properties = tree.member(schema, "properties")
    if not isinstance(properties, dict):
        return schema
    odd = {name: allowed for name, value in properties.items() if (allowed := _flag(value)) is not None}
    if not odd:
        return schema
    return {**schema, "properties": {**properties, **{name: {} if odd[name] else {"not": {}} for name in odd}}}


def _flag(value: Any) -> bool | None:
    if type(value) is Raw:
        text = bytes(value)
        return text == b"true" if text in _BOOLEANS else None
    return value if isinstance(value, bool) else None


def _surely_fine(raw: Any) -> bool:
    """True for what nearly every server writes: the type first, booleans only to add nothing; it stays unopened."""
    if type(raw) is not Raw:
        return False
    text = bytes(raw)
    if not text.startswith(_USUAL):
        return False
    return text.count(b"true") + text.count(b"false") == text.count(b'"additionalProperties":false')


def _object_properties(tool: Body, _ctx: Context) -> Any:
    if _surely_fine(tool["inputSchema"]):
        return KEEP
    schema = tree.member(tool, "inputSchema")
    read = _objects_inside(schema) if isinstance(schema, dict) else schema
    return KEEP if read is schema else read


def _said_to_be_object(tool: Body) -> bool:
    schema = tree.member(tool, "outputSchema")
    return isinstance(schema, dict) and tree.member(schema, "type") == "object"


def _readable(tool: Body, _ctx: Context) -> Any:
    if _surely_fine(tool["outputSchema"]):
        return KEEP
    schema = tree.member(tool, "outputSchema") if _said_to_be_object(tool) else tree.whole(tool, "outputSchema")
    read = output_schema_for_sessions(schema)
    return KEEP if read is None or read is schema else read


def _if_readable(tool: Body, _ctx: Context) -> Any:
    if _surely_fine(tool["outputSchema"]) or _said_to_be_object(tool):
        return KEEP
    return KEEP if output_schema_for_sessions(tree.whole(tool, "outputSchema")) is not None else REMOVE


def _in_tools(op: Op) -> Op:
    return msgspec.structs.replace(op, content=usual_tools, tokens=())


_LISTED = (
    _in_tools(fill("tools[].inputSchema", _object_properties, Loss.CARRIED, given=("inputSchema",))),
    _in_tools(fill("tools[].outputSchema", _readable, Loss.CARRIED, given=("outputSchema",))),
)


def _output_schema(ctx: Context) -> Any:
    """What the server listed for the tool that was called; None if it is not known."""
    tools = ctx.facts.get("tools")
    if not isinstance(tools, dict):
        return None
    name = tree.whole(ctx.request, "name") if ctx.request else None
    definition = tools.get(name) if isinstance(name, str) else None
    return tree.whole(definition, "outputSchema") if isinstance(definition, dict) else None


def _in_step(body: Body, ctx: Context) -> Any:
    """Every value of a tool whose schema was wrapped, objects and null among them."""
    if not wraps(_output_schema(ctx)):
        return KEEP
    return {RESULT: tree.whole(body, "structuredContent")}


def _said(body: Body, ctx: Context) -> Any:
    return KEEP if isinstance(tree.member(body, "structuredContent"), dict) else content_with_structured(body, ctx)


def _object_only(value: Any, _ctx: Context) -> Any:
    return KEEP if isinstance(value, dict) else REMOVE


def _wrapped_if_odd(value: Any, _ctx: Context) -> Any:
    """What a client's tool answered has no schema that anybody checks; null says nothing."""
    if isinstance(value, dict):
        return KEEP
    return REMOVE if value is None else {RESULT: value}


ANY_SCHEMA = Change(
    name="any JSON schema and structured content",
    spec=f"{LOG} minor 10",
    rows=("N30", "N31", "N32", "N33"),
    down={
        result("tools/list"): _LISTED,
        result("tools/call"): (
            fill("structuredContent", _in_step, Loss.CARRIED, given=("structuredContent",)),
            fill("content", _said, Loss.CARRIED, given=("structuredContent",)),
            each("structuredContent", _object_only, Loss.CARRIED),
        ),
        ask("sampling/createMessage"): (
            *_LISTED,
            each("messages[].content.structuredContent", _wrapped_if_odd, Loss.CARRIED),
            each("messages[].content[].structuredContent", _wrapped_if_odd, Loss.CARRIED),
        ),
        answer("sampling/createMessage"): (
            each("content.structuredContent", _wrapped_if_odd, Loss.CARRIED),
            each("content[].structuredContent", _wrapped_if_odd, Loss.CARRIED),
        ),
    },
)

_UNREADABLE = (_in_tools(fill("tools[].outputSchema", _if_readable, Loss.DEGRADED, given=("outputSchema",))),)

UNMOVABLE_SCHEMA = Change(
    name="output schemas that cannot be wrapped",
    spec=f"{LOG} minor 10",
    rows=("N31",),
    down={result("tools/list"): _UNREADABLE, ask("sampling/createMessage"): _UNREADABLE},
)
