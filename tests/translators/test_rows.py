"""Every known difference has somebody who answers for it, and every Change says which it covers."""

from __future__ import annotations

from tests.translators.golden import NEWEST_WITH_SESSIONS
from translators import STEPS
from translators.hygiene import changes, preparations
from translators.rows import ROWS

STEP_CHANGES = [change for step in STEPS for change in step.changes]
REPAIRS = [*preparations(NEWEST_WITH_SESSIONS), *changes(NEWEST_WITH_SESSIONS)]


def test_the_list_is_complete_and_in_order() -> None:
    counts = {"A": 18, "B": 25, "C": 50, "N": 86, "T": 34}
    assert [row.id for row in ROWS] == [f"{part}{n}" for part, last in counts.items() for n in range(1, last + 1)]


def test_what_a_step_answers_for_is_named_by_a_change_and_the_other_way_round() -> None:
    named = {row for change in STEP_CHANGES for row in change.rows}
    by_step = {row.id for row in ROWS if row.by == "step"}
    # A gate states what is left of a difference when no conversation keeps its state.
    assert by_step <= named <= by_step | {row.id for row in ROWS if row.by == "machine"}


def test_only_tasks_are_left_for_later() -> None:
    assert {row.id for row in ROWS if row.by == "later"} == {"C11", "T14"}


def test_what_hygiene_answers_for_is_named_by_a_repair() -> None:
    named = {row for change in REPAIRS for row in change.rows}
    # Two differences of a step have a side that every reader needs.
    assert named == {row.id for row in ROWS if row.by == "hygiene"} | {"B12", "C14"}


def test_every_change_cites_a_page_a_schema_or_a_measured_peer() -> None:
    assert all(
        change.spec.endswith(".ts") or ".mdx" in change.spec or "schema.ts" in change.spec for change in STEP_CHANGES
    )
    assert all("pypi" in change.spec or "npm" in change.spec for change in REPAIRS)


def test_every_change_of_a_step_names_its_rows() -> None:
    assert [change.name for change in STEP_CHANGES if not change.rows] == []
