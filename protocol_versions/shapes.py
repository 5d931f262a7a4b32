"""What the revision modules are written with: member types, unions without a tag, tables of slots.

A union whose members msgspec cannot tell apart is spelled `Annotated[dict[str, Any], any_of(A, B)]` and
lives in a Struct derived from `Checked`: the member stays a tree, and is legal if any of the shapes takes it,
which is what `anyOf` means in the official schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from protocol_versions.base import Side, Slot, Wire

RequestId = str | int
ProgressToken = str | int
Cursor = str
Object = dict[str, Any]  # an open object whose members the revision does not name
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Role = Literal["user", "assistant"]
LoggingLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]

_ANY_OF: Final = "any_of"
_Check = Callable[[Any], None]


def any_of(*variants: type[msgspec.Struct]) -> msgspec.Meta:
    """Marks a tree that must fit at least one of the shapes."""
    return msgspec.Meta(extra={_ANY_OF: variants})


def variants_of(annotation: Any) -> tuple[type[msgspec.Struct], ...]:
    """The shapes named by `any_of` in an Annotated type, or ()."""
    for note in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        if isinstance(note, msgspec.Meta) and note.extra and _ANY_OF in note.extra:
            found: tuple[type[msgspec.Struct], ...] = note.extra[_ANY_OF]
            return found
    return ()


def fits(tree: Any, shapes: tuple[type[msgspec.Struct], ...]) -> msgspec.Struct:
    """The tree as the first of the shapes that takes it.

    Raises:
        msgspec.ValidationError: none does; the text is that of the only shape, or names all of them.
    """
    for shape in shapes:
        try:
            return msgspec.convert(tree, shape)
        except msgspec.ValidationError:
            if len(shapes) == 1:
                raise
    raise msgspec.ValidationError("Expected one of " + ", ".join(shape.__name__ for shape in shapes))


@cache
def members(shape: type[msgspec.Struct]) -> frozenset[str]:
    """The name on the wire of every member that a body of this shape may have, at any depth."""
    found: set[str] = set()
    seen: set[type] = set()
    todo: list[Any] = [shape]
    while todo:
        part = todo.pop()
        if not (isinstance(part, type) and issubclass(part, msgspec.Struct)):
            todo += variants_of(part) or get_args(part)
        elif part not in seen:
            seen.add(part)
            found.update(field.encode_name for field in msgspec.structs.fields(part))
            todo += get_type_hints(part, include_extras=True).values()
    return frozenset(found)


class Checked(Wire):
    """Base of shapes with members that are unions without a tag."""

    def __post_init__(self) -> None:
        for name, check in _checks(type(self)):
            check(getattr(self, name))


@cache
def _checks(shape: type[msgspec.Struct]) -> tuple[tuple[str, _Check], ...]:
    hints = get_type_hints(shape, include_extras=True)
    found = ((name, _check_of(hints[name])) for name in shape.__struct_fields__)
    return tuple((name, check) for name, check in found if check is not None)


def _check_of(annotation: Any) -> _Check | None:
    """How a member of this type is checked, if a union without a tag is part of it."""
    variants = variants_of(annotation)
    if variants:
        return lambda tree: None if tree is msgspec.UNSET else _fit(tree, variants)
    origin, arguments = get_origin(annotation), get_args(annotation)
    inner = next((check for check in map(_check_of, arguments) if check is not None), None)
    if inner is None:
        return None
    if origin is list:
        return lambda items: _each(inner, items)
    if origin is dict:
        return lambda items: _each(inner, items.values())
    return lambda value: None if value is msgspec.UNSET else inner(value)


def _fit(tree: Any, variants: tuple[type[msgspec.Struct], ...]) -> None:
    try:
        fits(tree, variants)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None  # msgspec adds the path to a ValueError of a hook


def _each(check: _Check, values: Any) -> None:
    for value in values:
        check(value)


Shape = type[msgspec.Struct]


def slots(
    *,
    requests: Mapping[str, tuple[Shape, Shape]] | None = None,
    asks: Mapping[str, tuple[Shape, Shape]] | None = None,
    to_server: Mapping[str, Shape] | None = None,
    to_client: Mapping[str, Shape] | None = None,
) -> dict[Slot, Shape]:
    """A table of slots: the client's requests, the server's (`asks`) and the notifications of both."""
    return {
        **dict(_exchanges(requests or {}, "server", "client")),
        **dict(_exchanges(asks or {}, "client", "server")),
        **{Slot("notification", method, "server"): shape for method, shape in (to_server or {}).items()},
        **{Slot("notification", method, "client"): shape for method, shape in (to_client or {}).items()},
    }


def _exchanges(rows: Mapping[str, tuple[Shape, Shape]], reader: Side, writer: Side) -> Iterator[tuple[Slot, Shape]]:
    for method, (params, result) in rows.items():
        yield Slot("params", method, reader), params
        yield Slot("result", method, writer), result
