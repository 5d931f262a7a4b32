"""Generated wire bodies: JSON trees that are legal for a Struct or a slot, as a peer would spell them.

One draw decides all optional members of an object, strings come from pools of the kind their member's name
suggests, and lists stay short: hundreds of bodies a second, shrinking towards the smallest legal one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st
from msgspec import UnsetType

from protocol_versions.base import Revision, Slot
from protocol_versions.shapes import variants_of

Draw = Callable[[st.SearchStrategy[Any]], Any]
Build = Callable[[Draw, str], Any]  # draws one value; the text is the id of the revision spoken

_MOST_ITEMS = 2

_TEXTS = (
    "",
    "a",
    "some words",
    "Grüße, 世界 🌍",
    'quote " and \\ slash',
    "line\nbreak\u2028",
    "</script>",
    "null",
)
_NAMES = ("a", "get_weather", "name with space", "größe", "x.y/z", "_meta", "type")
_POOLS: dict[str, tuple[str, ...]] = {
    "uri": ("file:///a.txt", "test://static-text", "https://EXAMPLE.com/a b?q=1#f", "urn:x:y"),
    "url": ("https://example.com/authorise?state=1", "http://localhost:1/"),
    "src": ("https://example.com/icon.png", "data:image/png;base64,iVBORw0KGgo="),
    "uriTemplate": ("test://{id}/data", "file:///{+path}"),
    "websiteUrl": ("https://example.com/",),
    "data": ("", "aGVsbG8=", "iVBORw0KGgo="),
    "blob": ("", "AAEC", "aGVsbG8="),
    "mimeType": ("text/plain", "image/png", "audio/wav", "application/json"),
    "lastModified": ("2025-01-12T15:00:58Z",),
    "createdAt": ("2025-11-25T10:30:00Z",),
    "lastUpdatedAt": ("2025-11-25T10:40:00Z",),
    "version": ("1.0.0", "0.1.0-rc.1+build"),
    "$schema": ("https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"),
    "stopReason": ("endTurn", "stopSequence", "maxTokens", "toolUse", "vendor-reason"),
    "resultType": ("complete",),
    "supportedVersions": ("2026-07-28", "2025-11-25"),
    "resourceSubscriptions": ("test://watched-resource",),
}
# Texts of JSON, decoded anew for each body: bodies are changed in place by those who translate them.
_TREES = (
    *("null", "true", "false", "0", "-1", "1.5", "9007199254740992", "100000000000000000000", '""', '"é"'),
    *("{}", "[]", '{"a":1}', '[1,"b",null]', '{"nested":{"list":[{"deep":[true]}]}}', '{"type":"object"}'),
)
_OBJECTS = ("{}", '{"a":1}', '{"n":null,"list":[1,{}]}', '{"x-vendor":{"deep":[1.5,"é"]}}')

_text = st.one_of(st.sampled_from(_TEXTS), st.text(max_size=8))
_name = st.sampled_from(_NAMES)
_any = st.sampled_from(_TREES).map(msgspec.json.decode)
_object = st.sampled_from(_OBJECTS).map(msgspec.json.decode)
_int = st.sampled_from((0, 1, 2, 100, 2**31, 2**53 - 1))
_float = st.sampled_from((0, 1, 0.5, 2.25, 100, 1e21))
_fraction = st.sampled_from((0, 1, 0.5, 0.25))
_count = st.integers(0, _MOST_ITEMS)


@st.composite
def wire(draw: Draw, shape: type[msgspec.Struct], revision_id: str = "2025-11-25", unknown: bool = True) -> Any:
    """A JSON tree legal for `shape`; with `unknown`, objects sometimes hold members no revision declares."""
    return _struct(shape, unknown)(draw, revision_id)


@st.composite
def body(draw: Draw, revision: Revision, slot: Slot, unknown: bool = True) -> Any:
    """A legal body of `slot` in `revision`, in any of the shapes the slot may have."""
    shapes = revision.shapes(slot)
    shape = shapes[draw(st.integers(0, len(shapes) - 1))] if len(shapes) > 1 else shapes[0]
    return _struct(shape, unknown)(draw, revision.id)


@cache
def _struct(shape: type[msgspec.Struct], unknown: bool) -> Build:
    hints = get_type_hints(shape, include_extras=True)
    required: list[tuple[str, Build]] = []
    optional: list[tuple[str, Build]] = []
    for member in msgspec.structs.fields(shape):
        name = member.encode_name
        (required if member.required else optional).append((name, _value(hints[member.name], name, unknown)))
    config = shape.__struct_config__
    if unknown:
        optional.append(("x-vendor", lambda draw, _: draw(_any)))
    masks = st.integers(0, 2 ** len(optional) - 1)

    def build(draw: Draw, revision_id: str) -> Any:
        tree: dict[str, Any] = {}
        if config.tag_field is not None and config.tag is not None:
            tree[config.tag_field] = config.tag
        for name, value in required:
            tree[name] = value(draw, revision_id)
        mask = draw(masks) if optional else 0
        for name, value in optional:
            if mask & 1:
                tree[name] = value(draw, revision_id)
            mask >>= 1
        return tree

    return build


def _value(annotation: Any, name: str, unknown: bool) -> Build:
    """How a value of this type, under this member name, is drawn."""
    variants = variants_of(annotation)
    if variants:
        return _choice([_struct(variant, unknown) for variant in variants])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        note = arguments[1]
        if note.ge == 0 and note.le == 1:
            return lambda draw, _: draw(_fraction)
        return _value(arguments[0], name, unknown)
    if origin is Union or origin is UnionType:
        kinds = [_value(kind, name, unknown) for kind in arguments if kind is not UnsetType]
        return kinds[0] if len(kinds) == 1 else _choice(kinds)
    if origin is Literal:
        literals = st.sampled_from(arguments)
        return lambda draw, _: draw(literals)
    if origin is list:
        item = _value(arguments[0], name, unknown)
        return lambda draw, revision_id: [item(draw, revision_id) for _ in range(draw(_count))]
    if origin is dict:
        if arguments[1] is Any:
            return lambda draw, _: draw(_object)
        entry = _value(arguments[1], "", unknown)
        return lambda draw, revision_id: {draw(_name): entry(draw, revision_id) for _ in range(draw(_count))}
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _struct(annotation, unknown)
    return _scalar(annotation, name)


def _scalar(annotation: Any, name: str) -> Build:
    if annotation is str:
        if name in ("protocolVersion", "io.modelcontextprotocol/protocolVersion"):
            return lambda _, revision_id: revision_id
        if name in _POOLS:
            texts: st.SearchStrategy[str] = st.sampled_from(_POOLS[name])
        else:
            texts = _name if name == "name" else _text
        return lambda draw, _: draw(texts)
    drawn: dict[Any, st.SearchStrategy[Any]] = {
        Any: _any,
        bool: st.booleans(),
        float: _float,
        int: _int,
        type(None): st.none(),
    }
    chosen = drawn[annotation]
    return lambda draw, _: draw(chosen)


def _choice(kinds: list[Build]) -> Build:
    indices = st.integers(0, len(kinds) - 1)
    return lambda draw, revision_id: kinds[draw(indices)](draw, revision_id)
