"""Optional members that are null where the revision wants them absent.

Python peers accept `"nextCursor": null`, npm peers (1.0.4 to 1.25.1) reject the whole message. The revision's own
Structs say where members are typed, so nulls inside arguments, structured content, log data and JSON Schemas, which
mean something, are never touched, and `Task.ttl`, which may be null, stays.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw

from protocol_versions import by_id
from protocol_versions.base import Revision, Slot
from protocol_versions.shapes import variants_of
from translators import tree
from translators.change import Change
from translators.context import Context
from translators.ops import Loss, Op
from translators.tree import Body

NULL = b"null"
MEANT = frozenset(("structuredContent",))
"""Members that older revisions do not let be null, and in which a newer peer may mean it: the step decides."""


class Plan(msgspec.Struct, frozen=True, eq=False):
    """What is known of a value: its members if an object, its items if a list, its values if a map."""

    members: dict[str, Plan] = {}
    optional: frozenset[str] = frozenset()
    items: Plan | None = None
    values: Plan | None = None

    @property
    def empty(self) -> bool:
        """True if nothing inside the value is typed."""
        return not (self.members or self.optional or self.items or self.values)


def nulls(reader: Revision) -> Change:
    """The repair for every slot of a revision that has an optional member anywhere."""
    return Change(
        name="nulls of optional members",
        spec="npm 1.0.4 to 1.25.1 reject null for an absent member",
        rows=("T15", "B23"),
        down={slot: (_prune_op(reader, slot),) for slot in reader.types},
    )


def _prune_op(reader: Revision, slot: Slot) -> Op:
    # Compiled at first use: most processes see few of the slots.
    def act(body: Body, _ctx: Context) -> bool:
        return prune(body, _plan_of_slot(reader.id, slot))

    return Op(kind="nulls", path="", loss=Loss.NONE, route=(), act=act, absent=(NULL,))


@cache
def _plan_of_slot(reader: str, slot: Slot) -> Plan:
    revision = by_id(reader)
    return _merged([plan_of(shape) for shape in (revision.types[slot], *revision.alternatives.get(slot, ()))])


def prune(node: Body, plan: Plan) -> bool:
    """Delete the nulls of an object in place, opening only members whose bytes hold one; True if any was found."""
    acted = False
    optional, members = plan.optional, plan.members
    for name in tuple(node):
        value = node[name]
        if type(value) is Raw:
            text = bytes(value)
            if NULL not in text:
                continue
            if text == NULL:
                value = None
        if value is None:
            if name in optional:
                del node[name]
                acted = True
        elif (inner := members.get(name)) is not None:
            value = node[name] = tree.shallow(value)
            acted = _inside(value, inner) or acted
    return acted


def _inside(value: Any, plan: Plan) -> bool:
    if type(value) is dict:
        if plan.values is None:
            return prune(value, plan)
        found = False
        for name in tuple(value):
            found = _inside(tree.member(value, name), plan.values) or found
        return found
    if type(value) is list and plan.items is not None:
        found = False
        for index, item in enumerate(value):
            if type(item) is Raw:
                if NULL not in bytes(item):
                    continue
                item = value[index] = tree.shallow(item)
            found = _inside(item, plan.items) or found
        return found
    return False


@cache
def plan_of(shape: type[msgspec.Struct]) -> Plan:
    """The members of a Struct that are typed themselves, and those that may be absent but not null."""
    hints = get_type_hints(shape, include_extras=True)
    members: dict[str, Plan] = {}
    optional = set()
    for info in msgspec.structs.fields(shape):
        annotation = hints[info.name]
        inner = _plan(annotation)
        if not inner.empty:
            members[info.encode_name] = inner
        if not info.required and not _nullable(annotation) and info.encode_name not in MEANT:
            optional.add(info.encode_name)
    return Plan(members, frozenset(optional))


def _plan(annotation: Any) -> Plan:
    variants = variants_of(annotation)
    if variants:
        return _merged([plan_of(variant) for variant in variants])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return plan_of(annotation) if _is_struct(annotation) else Plan()
    if origin in (Union, types.UnionType):
        return _merged([_plan(argument) for argument in arguments])
    if origin is list:
        inner = _plan(arguments[0])
        return Plan() if inner.empty else Plan(items=inner)
    if origin is dict:
        inner = _plan(arguments[1])
        return Plan() if inner.empty else Plan(values=inner)
    return _plan(arguments[0]) if hasattr(annotation, "__metadata__") else Plan()


def _merged(plans: list[Plan]) -> Plan:
    """The variants of a union as one: a member is optional if no variant that has it wants it."""
    members: dict[str, Plan] = {}
    for plan in plans:
        for name, inner in plan.members.items():
            members[name] = _merged([members[name], inner]) if name in members else inner
    return Plan(
        members,
        frozenset[str]().union(*(plan.optional for plan in plans)),
        next((plan.items for plan in plans if plan.items), None),
        next((plan.values for plan in plans if plan.values), None),
    )


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _nullable(annotation: Any) -> bool:
    return annotation is Any or annotation is None or type(None) in get_args(annotation)
