"""The request headers of 2026-07-28 that repeat what the body says: Mcp-Method, Mcp-Name and Mcp-Param-*.

Follows basic/transports/streamable-http (request metadata, custom headers, value encoding) and server/tools
(x-mcp-header). Invariants: headers are made from the parameters that are really sent; every value that is written
holds visible ASCII and inner spaces alone, so none can end its line; one annotation that breaks the rules makes the
whole tool unusable, and no other.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from translators import tree
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND, Refused

Path = tuple[str, ...]
"""The names of the properties that lead from the arguments to a value."""

Annotations = dict[Path, str]
"""What a tool wants mirrored: path -> the name after `Mcp-Param-`, as the tool spells it."""

ANNOTATION: Final = "x-mcp-header"

MAX_VALUE_BYTES: Final = 8 * 1024
"""Longest encoded value: nginx and Apache refuse a header line above 8 KiB."""

SHORT_NAME: Final = 128
"""Bytes up to which the headers of a name are remembered: SEP-986 allows tools' names 64 characters."""

SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer every reader of JSON holds exactly (IEEE 754 doubles)."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PLAIN: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_LEGIBLE: Final = re.compile(r"[\t -~]*")
_METHOD: Final = re.compile(r"[!-~]+")
_NUMBER: Final = re.compile(r"-?[0-9]{1,32}(?:\.0{1,32})?")
_BEGIN, _END = "=?base64?", "?="

_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PRIMITIVE: Final = frozenset(("string", "integer", "boolean"))
# Where JSON Schema 2020-12 (and draft 7's `definitions`) has schemas; values of other keywords are data.
_ONE: Final = (
    "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_LISTS: Final = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_MAPS: Final = ("$defs", "definitions", "dependentSchemas", "patternProperties")

_members = msgspec.json.Decoder(dict[str, Raw]).decode

Fault = Literal["not-a-string", "empty", "not-a-token", "not-primitive", "not-reachable", "duplicate", "unsafe-integer"]


class BadAnnotation(msgspec.Struct, frozen=True):
    """Why a tool must be left out: the first annotation found that breaks a rule. `path` is () off the properties."""

    fault: Fault
    path: Path = ()


class Unreadable(ValueError):  # noqa: N818
    """A header's value that is no value: characters no header may hold, or a broken base64 form."""


def mirrored(input_schema: Any) -> Annotations | BadAnnotation:
    """The valid annotations of a tool's `inputSchema` (builtins), {} for none, or why the tool is refused."""
    found: Annotations = {}
    taken: set[str] = set()
    for path, schema in _schemas(input_schema):
        if ANNOTATION not in schema:
            continue
        name = schema[ANNOTATION]
        fault = _fault(path, schema, name)
        if fault is None and name.lower() in taken:
            fault = "duplicate"
        if fault is not None:
            return BadAnnotation(fault, path or ())
        taken.add(name.lower())
        found[path or ()] = name
    return found


def annotations_of(input_schema: Any) -> Annotations | None:
    """As `mirrored`, None for a tool that must be left out."""
    found = mirrored(input_schema)
    return None if isinstance(found, BadAnnotation) else found


def _fault(path: Path | None, schema: Mapping[str, Any], name: Any) -> Fault | None:
    if not path:
        return "not-reachable"
    if not isinstance(name, str):
        return "not-a-string"
    if not name:
        return "empty"
    if not _TOKEN.fullmatch(name):
        return "not-a-token"
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _PRIMITIVE:
        return "not-primitive"
    if kind == "integer":
        choices = schema.get("enum")
        values = [schema.get("const"), *(choices if isinstance(choices, list) else ())]
        if any(type(value) is int and abs(value) > SAFE_INTEGER for value in values):
            return "unsafe-integer"
    return None


def _schemas(root: Any) -> Iterator[tuple[Path | None, dict[str, Any]]]:
    """Every schema within a schema, with its path of properties or None; without recursion, references not followed."""
    todo: list[tuple[Path | None, Any]] = [((), root)]
    while todo:
        path, schema = todo.pop()
        if not isinstance(schema, dict):
            continue
        yield path, schema
        properties = schema.get("properties")
        if isinstance(properties, dict):
            todo += [(None if path is None else (*path, name), value) for name, value in properties.items()]
        todo += [(None, schema[word]) for word in _ONE if word in schema]
        for word in _LISTS:
            several = schema.get(word)
            if isinstance(several, list):
                todo += [(None, value) for value in several]
        for word in _MAPS:
            named = schema.get(word)
            if isinstance(named, dict):
                todo += [(None, value) for value in named.values()]


def encode_value(value: str | int | bool) -> str:
    """The one spelling of a value in a header: itself where that is safe, else `=?base64?...?=` of its UTF-8.

    Raises:
        ValueError: an integer no double holds exactly, text that is no Unicode, or more than `MAX_VALUE_BYTES`.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise ValueError("integer outside the safe range")
        return str(value)
    if not _PLAIN.fullmatch(value) or (value.startswith(_BEGIN) and value.endswith(_END)):
        value = f"{_BEGIN}{base64.b64encode(value.encode()).decode()}{_END}"
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError("too long for a header")
    return value


def decode_value(text: str) -> str:
    """What a header's value stands for. The markers count only as spelt here; any other text stands for itself.

    Raises:
        Unreadable: control or non-ASCII characters, or a base64 form that is not the canonical one of UTF-8 text.
    """
    if not _LEGIBLE.fullmatch(text):
        raise Unreadable("characters that no header may hold")
    if len(text) < len(_BEGIN) + len(_END) or not (text.startswith(_BEGIN) and text.endswith(_END)):
        return text
    inner = text[len(_BEGIN) : -len(_END)]
    try:
        value = base64.b64decode(inner, validate=True)
        if base64.b64encode(value).decode() != inner:  # two spellings of one value would pass two different filters
            raise Unreadable("not canonical base64")
        return value.decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Unreadable("not base64 of UTF-8") from None


def agrees(text: str, value: Any) -> bool:
    """Whether a header's text stands for a value of the body; integers are compared as numbers (`42.0` is 42).

    Raises:
        Unreadable: as `decode_value`.
    """
    said = decode_value(text)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        return said == ("true" if value else "false")
    if not isinstance(value, int):
        return isinstance(value, str) and said == value
    return _NUMBER.fullmatch(said) is not None and int(said.partition(".")[0]) == value


def name_of(method: str, params: Mapping[str, Any]) -> str | None:
    """What Mcp-Name mirrors for this request, undecorated; None if it mirrors nothing, or the member is no string.

    `tools/call` and `prompts/get` are named by `name`, `resources/read` by `uri`, the tasks extension by `taskId`.
    """
    member = "taskId" if method.startswith("tasks/") else _NAMED.get(method)
    if member is None:
        return None
    value = params.get(member)
    if type(value) is Raw:
        value = tree.shallow(value)
    return value if isinstance(value, str) else None


def headers_of(
    method: str, params: Mapping[str, Any], annotations: Mapping[Path, str] | None = None
) -> list[tuple[str, str]]:
    """The mirrored headers of a request, from the params that are sent; their members may still be bytes.

    `annotations` are those of the called tool. A value that is absent or null has no header.

    Raises:
        Refused: a method or value that no header can carry; nothing must be sent.
    """
    member = _NAMED.get(method)
    if member is not None and not annotations:
        value = params.get(member)
        if type(value) is Raw and len(value) <= SHORT_NAME:
            return list(_plain(method, member, bytes(value)))
    return _headers_of(method, params, annotations)


@functools.lru_cache(maxsize=1024)
def _plain(method: str, member: str, value: bytes) -> list[tuple[str, str]]:
    return _headers_of(method, {member: Raw(value)}, None)


def _headers_of(
    method: str, params: Mapping[str, Any], annotations: Mapping[Path, str] | None
) -> list[tuple[str, str]]:
    if not _METHOD.fullmatch(method) or len(method) > MAX_VALUE_BYTES:
        raise Refused(METHOD_NOT_FOUND, "Method not found", reason="method-unknown")
    headers = [("Mcp-Method", method)]
    name = name_of(method, params)
    if name is not None:
        headers.append(("Mcp-Name", _carried(name)))
    if annotations and method == "tools/call":
        arguments = params.get("arguments")
        for path, header in annotations.items():
            value = _at(arguments, path)
            if value is not None:
                headers.append((f"Mcp-Param-{header}", _carried(value)))
    return headers


def _at(value: Any, path: Path) -> Any:
    """The value at a path, None where there is none; what it passes is not changed."""
    for name in path:
        if type(value) is Raw:
            if bytes(memoryview(value)[:1]) != b"{":
                return None
            value = _members(value)
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return tree.shallow(value)


def _carried(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 42.0 is the integer 42 to JSON Schema
    if isinstance(value, str | int):
        try:
            return encode_value(value)
        except ValueError:  # the cause may quote the value
            pass
    raise Refused(
        INVALID_PARAMS, "Invalid params: a value that must be repeated in a header cannot be", reason="unmirrorable"
    ) from None
