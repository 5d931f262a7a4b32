"""JSON trees that are opened no deeper than an operation's path asks for.

A body is a dict whose values may still be `msgspec.Raw`. Walking a path opens one level at a time and stores the
opened level back, so that values nobody judged keep their bytes and the encoder copies them. Opening an object keeps
the last of two equal members, and what was opened is what is encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

Body = dict[str, Any]

_object = msgspec.json.Decoder(dict[str, Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_any = msgspec.json.Decoder().decode

LIST = "[]"


def segments(path: str) -> tuple[str, ...]:
    """`tools[].icons` -> `("tools", "[]", "icons")`."""
    parts: list[str] = []
    for name in path.split("."):
        lists = name.count(LIST)
        bare = name[: len(name) - len(LIST) * lists] if lists else name
        if bare:
            parts.append(bare)
        parts.extend([LIST] * lists)
    return tuple(parts)


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
        for key, member in value.items():
            if type(member) in _OPENABLE:
                value[key] = deep(member)
    elif kind is list:
        for index, member in enumerate(value):
            if type(member) in _OPENABLE:
                value[index] = deep(member)
    return value


_OPENABLE = frozenset((Raw, dict, list))


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


def parents(body: Body, path: tuple[str, ...]) -> list[Body]:
    """Every object reached by `path`; anything of another kind on the way is passed over."""
    nodes: list[Any] = [body]
    for segment in path:
        reached: list[Any] = []
        if segment is LIST or segment == LIST:
            for node in nodes:
                if type(node) is list:
                    for index, item in enumerate(node):
                        opened = item
                        if type(item) is Raw:
                            opened = node[index] = shallow(item)
                        reached.append(opened)
        else:
            for node in nodes:
                if type(node) is dict:
                    child = node.get(segment)
                    if child is not None:
                        if type(child) is Raw:
                            child = node[segment] = shallow(child)
                        reached.append(child)
        if not reached:
            return []
        nodes = reached
    return [node for node in nodes if type(node) is dict]


def places(body: Body, path: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
    """(container, key or index) of every existing value at `path`, whose last segment may be a name or `[]`."""
    if path[-1] != LIST:
        name = path[-1]
        for node in parents(body, path[:-1]):
            if name in node:
                yield node, name
        return
    inner = path[:-1]
    for container, key in places(body, inner):
        value = container[key]
        if type(value) is Raw:
            value = container[key] = shallow(value)
        if type(value) is list:
            yield from ((value, index) for index in range(len(value)))
