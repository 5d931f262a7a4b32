"""Every bullet of the official changelogs is a Change or answered for elsewhere; no member has a gap in its life."""

from __future__ import annotations

from itertools import combinations
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from protocol_versions import REVISIONS
from protocol_versions.base import Revision, Slot
from protocol_versions.shapes import variants_of
from translators import STEPS

STEP = "a Change"
BULLETS = {
    "2025-03-26": {
        "major 1": "authorization",
        "major 2": "transport",
        "major 3": "framing",
        "major 4": STEP,
        "other schema changes 1": STEP,
        "other schema changes 2": STEP,
        "other schema changes 3": STEP,
    },
    "2025-06-18": {
        "major 1": "framing",
        "major 2": STEP,
        "major 3": "authorization",
        "major 4": "authorization",
        "major 5": "authorization",
        "major 6": STEP,
        "major 7": STEP,
        "major 8": "transport",
        "major 9": "capabilities are enforced by the conversation",
        "other schema changes 1": STEP,
        "other schema changes 2": STEP,
        "other schema changes 3": STEP,
    },
    "2025-11-25": {
        "major 1": "authorization",
        "major 2": STEP,
        "major 3": "authorization",
        "major 4": "guidance on names; odd names pass",
        "major 5": STEP,
        "major 6": STEP,
        "major 7": STEP,
        "major 8": "authorization",
        "major 9": STEP,
        "minor 1": "transport",
        "minor 2": STEP,
        "minor 3": "transport",
        "minor 4": "guidance",
        "minor 5": "guidance; both spellings of an error pass",
        "minor 6": "transport",
        "minor 7": "transport",
        "minor 8": "authorization",
        "minor 9": STEP,
        "minor 10": STEP,
        "other schema changes 1": "names of types",
    },
    "2026-07-28": {
        "major 1": "transport",
        "major 2": STEP,
        "major 3": STEP,
        "major 4": STEP,
        "major 5": STEP,
        "major 6": STEP,
        "major 7": STEP,
        "major 8": STEP,
        "major 9": "transport",
        "minor 1": "capabilities are mapped by functions, extensions as they are",
        "minor 2": "keys without prefix pass",
        "minor 3": "guidance; no list is reordered",
        "minor 4": STEP,
        "minor 5": STEP,
        "minor 6": STEP,
        "minor 7": "authorization",
        "minor 8": "authorization",
        "minor 9": "authorization",
        "minor 10": STEP,
        "minor 11": STEP,
        "minor 12": STEP,
        "deprecated 1": "still functional",
        "deprecated 2": "transport",
        "deprecated 3": "still functional",
        "deprecated 4": "authorization",
        "other schema changes 1": "numbers were never read as integers",
    },
}


def test_every_bullet_that_shows_in_bodies_is_cited_by_a_change_and_no_other_is() -> None:
    for step in STEPS:
        page = f"{step.newer.id}/changelog.mdx "
        cited = {change.spec.removeprefix(page) for change in step.changes if change.spec.startswith(page)}
        assert cited == {bullet for bullet, answered in BULLETS[step.newer.id].items() if answered == STEP}


def test_a_change_of_no_bullet_cites_a_page_or_schema_of_its_revision() -> None:
    for step in STEPS:
        for change in step.changes:
            assert change.spec.startswith((f"{step.newer.id}/", f"schema/{step.newer.id}/"))


def _members(revision: Revision, slot: Slot) -> set[tuple[str, ...]]:
    return {path for shape in revision.shapes(slot) for path in _paths(shape, ())}


def _paths(annotation: Any, at: tuple[str, ...]) -> set[tuple[str, ...]]:
    if len(at) > 12:  # content blocks may hold content blocks
        return set()
    variants = variants_of(annotation)
    if variants:
        return {path for variant in variants for path in _paths(variant, at)}
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        hints = get_type_hints(annotation, include_extras=True)
        tag = annotation.__struct_config__.tag
        inside = (*at, f"<{tag}>") if tag is not None else at
        found = set()
        for info in msgspec.structs.fields(annotation):
            path = (*inside, info.encode_name)
            found |= {path} | _paths(hints[info.name], path)
        return found
    if get_origin(annotation) in (Union, UnionType, list, dict, Annotated):
        return {path for inner in get_args(annotation) for path in _paths(inner, at)}
    return set()


def test_no_member_vanishes_in_a_revision_between_two_that_have_it() -> None:
    valleys = []
    for older, between, newer in combinations(REVISIONS, 3):
        for slot in set(older.types) & set(between.types) & set(newer.types):
            both = _members(older, slot) & _members(newer, slot)
            valleys += [(between.id, slot, path) for path in both - _members(between, slot)]
    assert valleys == []
