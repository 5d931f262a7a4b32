"""One notation for what an official schema says and for what a Struct takes, so that the two can be compared.

    "string" | "integer" | "number" | "boolean" | "null" | "any"     a scalar, or anything
    {"enum": [...]}                                                   one of these values
    {"range": [low, high], "of": scalar}                              a bounded number
    {"list": form} or {"list": form, "most": n}                       an array
    {"map": form}                                                     an object with members of any name
    {"object": {name: form}, "required": [name]}                      an open object
    {"either": [form]}                                                a union, sorted
    {"ref": name}                                                     another definition, by name
Formats are left out: they are annotations, and URIs are opaque to the broker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UnsetType

from protocol_versions.shapes import variants_of

Form = Any


def either(forms: list[Form]) -> Form:
    """The union of forms, flattened, sorted, without repetition."""
    flat: dict[str, Form] = {}
    for form in forms:
        for part in form["either"] if isinstance(form, dict) and "either" in form else [form]:
            flat[json.dumps(part, sort_keys=True)] = part
    parts = [flat[key] for key in sorted(flat)]
    return parts[0] if len(parts) == 1 else {"either": parts}


# The official side


def of_schema(schema: dict[str, Any]) -> Form:
    """The form of one JSON Schema; references stay references."""
    if "$ref" in schema:
        return {"ref": schema["$ref"].rsplit("/", 1)[1]}
    if "const" in schema:
        return {"enum": [schema["const"]]}
    if "enum" in schema:
        return {"enum": sorted(schema["enum"])}
    if "anyOf" in schema:
        return either([of_schema(part) for part in schema["anyOf"]])
    if "allOf" in schema:
        return {"all": [of_schema(part) for part in schema["allOf"]]}
    kind = schema.get("type")
    if isinstance(kind, list):
        return either([of_schema({**schema, "type": one}) for one in kind])
    if kind == "array":
        items: Form = {"list": of_schema(schema["items"])}
        return {**items, "most": schema["maxItems"]} if "maxItems" in schema else items
    if kind == "object":
        return _object_form(schema)
    if kind in ("number", "integer") and ("minimum" in schema or "maximum" in schema):
        return {"range": [schema.get("minimum"), schema.get("maximum")], "of": kind}
    return kind or "any"


def _object_form(schema: dict[str, Any]) -> Form:
    members = {name: of_schema(member) for name, member in sorted(schema.get("properties", {}).items())}
    if members:
        return {"object": members, "required": sorted(schema.get("required", ()))}
    others = schema.get("additionalProperties", True)
    return {"map": of_schema(others) if isinstance(others, dict) else "any"}


def resolved(form: Form, definitions: dict[str, Form], seen: dict[str, Form]) -> Form:
    """The form with every reference replaced; `seen` keeps the definitions that were used."""
    if not isinstance(form, dict):
        return form
    if "ref" in form:
        name = form["ref"]
        if name not in seen:
            seen[name] = resolved(definitions[name], definitions, seen)
        return seen[name]
    if "all" in form:
        return _merged([resolved(part, definitions, seen) for part in form["all"]])
    if "either" in form:
        return either([resolved(part, definitions, seen) for part in form["either"]])
    if "object" in form:
        members = {name: resolved(member, definitions, seen) for name, member in form["object"].items()}
        return {**form, "object": members}
    inner = "list" if "list" in form else "map" if "map" in form else None
    return {**form, inner: resolved(form[inner], definitions, seen)} if inner else form


def _merged(parts: list[Form]) -> Form:
    members: dict[str, Form] = {}
    required: set[str] = set()
    for part in parts:
        members |= part.get("object", {})
        required |= set(part.get("required", ()))
    return {"object": dict(sorted(members.items())), "required": sorted(required)}


# Our side


@cache
def of_shapes(shapes: tuple[type[msgspec.Struct], ...]) -> Form:
    """The form of what any of these shapes takes."""
    return either([of_struct(shape) for shape in shapes])


@cache
def of_struct(shape: type[msgspec.Struct]) -> Form:
    """The form of what a Struct takes."""
    hints = get_type_hints(shape, include_extras=True)
    fields = msgspec.structs.fields(shape)
    members = {field.encode_name: _of_type(hints[field.name]) for field in fields}
    required = {field.encode_name for field in fields if field.required}
    config = shape.__struct_config__
    if config.tag_field is not None and config.tag is not None:
        members[config.tag_field] = {"enum": [config.tag]}
        required.add(config.tag_field)
    if not members:
        return {"map": "any"}
    return {"object": dict(sorted(members.items())), "required": sorted(required)}


_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null", Any: "any"}


def _of_type(annotation: Any) -> Form:
    variants = variants_of(annotation)
    if variants:
        return of_shapes(variants)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        note, inner = arguments[1], _of_type(arguments[0])
        if note.max_length is not None:
            return {**inner, "most": note.max_length}
        return {"range": [note.ge, note.le], "of": inner}
    if origin is Union or origin is UnionType:
        return either([_of_type(part) for part in arguments if part is not UnsetType])
    if origin is Literal:
        return {"enum": sorted(arguments)}
    if origin is list:
        return {"list": _of_type(arguments[0])}
    if origin is dict:
        return {"map": _of_type(arguments[1])}
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    return of_struct(annotation)


# The comparison


def differences(path: str, official: Form, ours: Form) -> Iterator[str]:
    """One line per place where the two forms differ."""
    if official == ours:
        return
    both = (official, ours)
    if all(isinstance(form, dict) and "object" in form for form in both):
        for name in sorted(official["object"].keys() | ours["object"].keys()):
            if name not in ours["object"]:
                yield f"{path}.{name}: missing here"
            elif name not in official["object"]:
                yield f"{path}.{name}: not in the schema"
            else:
                yield from differences(f"{path}.{name}", official["object"][name], ours["object"][name])
        for name in sorted(set(official["required"]) ^ set(ours["required"])):
            side = "the schema" if name in official["required"] else "here"
            yield f"{path}.{name}: required only in {side}"
    elif all(isinstance(form, dict) and "list" in form for form in both) and official.get("most") == ours.get("most"):
        yield from differences(f"{path}[]", official["list"], ours["list"])
    elif all(isinstance(form, dict) and "map" in form for form in both):
        yield from differences(f"{path}.*", official["map"], ours["map"])
    elif all(isinstance(form, dict) and "either" in form for form in both):
        yield from _of_unions(path, official["either"], ours["either"])
    else:
        yield f"{path}: {json.dumps(official)} in the schema, {json.dumps(ours)} here"


def _of_unions(path: str, official: list[Form], ours: list[Form]) -> Iterator[str]:
    """Alternatives that both have cancel out; what is left is paired in order, or reported."""
    missing = [form for form in official if form not in ours]
    extra = [form for form in ours if form not in official]
    for one, other in zip(missing, extra, strict=False):
        yield from differences(f"{path}|", one, other)
    for form in missing[len(extra) :]:
        yield f"{path}|: {json.dumps(form)} missing here"
    for form in extra[len(missing) :]:
        yield f"{path}|: {json.dumps(form)} not in the schema"
