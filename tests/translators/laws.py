"""What the laws are stated in: differences between trees, paths with a declared loss, members a revision declares."""

from __future__ import annotations

from copy import deepcopy
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from protocol_versions.base import Revision, Slot
from protocol_versions.shapes import variants_of
from translators.change import Gate, Step
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.loss import Loss
from translators.tree import LIST, MAP, segments

Path = tuple[Any, ...]

LAW = settings(max_examples=80, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


class Stopped(Exception):  # noqa: N818
    """The message goes no further, which is a legal outcome for what only the newer revision has."""


def shared_slots(step: Step) -> list[Slot]:
    """The slots both revisions define."""
    return sorted(set(step.older.types) & set(step.newer.types))


def acted_on(step: Step) -> list[Slot]:
    """The shared slots that some Change touches."""
    return [slot for slot in shared_slots(step) if step.actions("down", slot) or step.actions("up", slot)]


def run(step: Step, way: str, slot: Slot, body: Any, ctx: Context | None = None) -> Any:
    """The rewritten body; the one given stays as it is. Raises Stopped if the message goes no further."""
    context = ctx if ctx is not None else Context(method=slot.method)
    try:
        fresh = deepcopy(body)
        return step.down(slot, fresh, context) if way == "down" else step.up(slot, fresh, context)
    except (Refused, Swallowed, Answered) as outcome:
        raise Stopped(type(outcome).__name__) from outcome


def contexts() -> st.SearchStrategy[Context]:
    """What operations may know besides the body."""
    return st.builds(
        Context,
        facts=st.sampled_from(
            [
                {},
                {"client_capabilities": {}},
                {"client_capabilities": {"sampling": {"context": {}}}},
                {"tools": {"list_all": {"name": "list_all", "outputSchema": {"type": "array"}}}},
            ]
        ),
        request=st.sampled_from([None, {}, {"tools": []}, {"name": "list_all"}]),
    )


def differences(before: Any, after: Any, at: Path = ()) -> list[Path]:
    """The paths at which two trees differ; a list of another length differs as a whole."""
    if type(before) is dict and type(after) is dict:
        found = [(*at, name) for name in before.keys() ^ after.keys()]
        for name in before.keys() & after.keys():
            found += differences(before[name], after[name], (*at, name))
        return found
    if type(before) is list and type(after) is list and len(before) == len(after):
        return [path for i, pair in enumerate(zip(before, after, strict=True)) for path in differences(*pair, (*at, i))]
    return [] if type(before) is type(after) and before == after else [at]


def lossy_paths(step: Step, slot: Slot, *ways: str) -> list[tuple[str, ...]]:
    """The paths whose operations declare a loss."""
    found = []
    for way in ways:
        for action in step.actions(way, slot):
            if isinstance(action, Gate):
                continue
            for op in (action, *action.inner):
                if op.loss is not Loss.NONE:
                    outer = segments(action.path) if op is not action else ()
                    found += [outer + segments(path) for path in (op.path, *op.also)]
    return found


def covered(path: Path, patterns: list[tuple[str, ...]]) -> bool:
    """True if a difference lies at or under one of the patterns."""
    return any(len(pattern) <= len(path) and all(map(_fits, pattern, path)) for pattern in patterns)


def _fits(segment: str, step: Any) -> bool:
    if segment == LIST:
        return isinstance(step, int)
    return segment in (MAP, step)


def valid(revision: Revision, slot: Slot, body: Any) -> bool:
    """True if the body converts to one of the slot's shapes."""
    for shape in revision.shapes(slot):
        try:
            msgspec.convert(body, shape)
        except (msgspec.ValidationError, ValueError):
            continue
        return True
    return False


def undeclared(revision: Revision, slot: Slot, body: Any) -> list[Path]:
    """Members of a body that no shape of the slot declares (members of open objects are not judged)."""
    return _undeclared(body, list(revision.shapes(slot)), ())


def _undeclared(value: Any, kinds: list[Any], at: Path) -> list[Path]:
    kinds = [kind for annotation in kinds for kind in _kinds(annotation)]
    found: list[Path] = []
    if Any in kinds:
        return found
    if isinstance(value, list):
        inner = [get_args(kind)[0] for kind in kinds if get_origin(kind) is list]
        for index, item in enumerate(value):
            found += _undeclared(item, inner, (*at, index))
    if isinstance(value, dict):
        if any(get_origin(kind) is dict and get_args(kind)[1] is Any and not variants_of(kind) for kind in kinds):
            return []
        maps = [get_args(kind)[1] for kind in kinds if get_origin(kind) is dict]
        if maps:
            return [path for name, item in value.items() for path in _undeclared(item, maps, (*at, name))]
        shapes = [kind for kind in kinds if _is_struct(kind) and _tag_fits(kind, value)]
        for name, item in value.items():
            inner = [hint for shape in shapes if (hint := _members(shape).get(name)) is not None]
            tagged = any(name == shape.__struct_config__.tag_field for shape in shapes)
            found += _undeclared(item, inner, (*at, name)) if inner or tagged else [(*at, name)]
    return found


def _kinds(annotation: Any) -> list[Any]:
    variants = variants_of(annotation)
    if variants:
        return list(variants)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [kind for inner in get_args(annotation) for kind in _kinds(inner)]
    return [annotation]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _tag_fits(shape: type[msgspec.Struct], value: dict[str, Any]) -> bool:
    config = shape.__struct_config__
    return config.tag_field is None or value.get(config.tag_field) == config.tag


def _members(shape: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(shape, include_extras=True)
    return {info.encode_name: hints[info.name] for info in msgspec.structs.fields(shape)}
