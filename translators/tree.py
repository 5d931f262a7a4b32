"""JSON trees that are opened no deeper than an operation's path asks for.

A body is a dict whose values may still be `msgspec.Raw`. Walking a path opens one level at a time and stores the
opened level back, so that values nobody judged keep their bytes and the encoder copies them. Opening an object keeps
the last of two equal members, and what was opened is what is encoded.

Paths: `tools[].icons` (every item of a list), `requestedSchema.properties.{}` (every member of an object),
``_meta.`io.example/key` `` (a name that holds dots).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

Body = dict[str, Any]
Route = tuple[str, ...]

_object = msgspec.json.Decoder(dict[str, Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_any = msgspec.json.Decoder().decode

LIST = "[]"
MAP = "{}"
_SEGMENT = re.compile(r"`([^`]*)`|(\[\])|([^.\[\]`]+)")


def segments(path: str) -> Route:
    """`tools[].icons` -> `("tools", "[]", "icons")`."""
    return tuple(quoted or items or name for quoted, items, name in _SEGMENT.findall(path))


def shallow(value: Any) -> Any:
    """One level of a value: an object as dict, an array as list, members still bytes; scalars decoded."""
    if type(value) is not Raw:
        return value
    head = bytes(memoryview(value)[:1])
    if head == b"{":
        return _object(value)
    if head == b"[":
        try:
            return _objects(value)
        except msgspec.ValidationError:
            return _items(value)
    return _any(value)


def deep(value: Any) -> Any:
    """The whole value as builtins; containers that were already opened are opened to the bottom in place."""
    kind = type(value)
    if kind is Raw:
        return _any(value)
    if kind is dict:
        for key, child in value.items():
            if type(child) in _OPENABLE:
                value[key] = deep(child)
    elif kind is list:
        for index, child in enumerate(value):
            if type(child) in _OPENABLE:
                value[index] = deep(child)
    return value


_OPENABLE = frozenset((Raw, dict, list))


def unopened(body: Any) -> bool:
    """True for an object whose members are all bytes still."""
    if type(body) is not dict:
        return False
    for value in body.values():  # noqa: SIM110 - a generator costs more than the look
        if type(value) is not Raw:
            return False
    return True


def member(parent: Body, key: str) -> Any:
    """`parent[key]` opened one level (None if absent), stored back."""
    value = parent.get(key)
    if type(value) is Raw:
        value = parent[key] = shallow(value)
    return value


def whole(parent: Body, key: str) -> Any:
    """`parent[key]` opened to the bottom (None if absent), stored back."""
    value = parent.get(key)
    if type(value) in _OPENABLE:
        value = parent[key] = deep(value)
    return value


def items(parent: Body, key: str) -> list[Any]:
    """The items of the list `parent[key]`, each opened one level; empty if it is no list."""
    value = member(parent, key)
    if type(value) is not list:
        return []
    for index, item in enumerate(value):
        if type(item) is Raw:
            value[index] = shallow(item)
    return value


def parents(body: Body, route: Route) -> list[Body]:
    """Every object reached by `route`; anything of another kind on the way is passed over."""
    nodes: list[Any] = [body]
    for segment in route:
        reached: list[Any] = []
        if segment == LIST:
            for node in nodes:
                if type(node) is list:
                    reached += [_opened(node, at) if type(item) is Raw else item for at, item in enumerate(node)]
        elif segment == MAP:
            for node in nodes:
                if type(node) is dict:
                    for name in tuple(node):
                        reached.append(member(node, name))
        else:
            for node in nodes:
                if type(node) is dict:
                    child = node.get(segment)
                    if child is not None:
                        reached.append(_opened(node, segment) if type(child) is Raw else child)
        if not reached:
            return []
        nodes = reached
    return [node for node in nodes if type(node) is dict]


def _opened(container: Any, key: Any) -> Any:
    value = container[key] = shallow(container[key])
    return value
