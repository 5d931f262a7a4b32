"""The diff of two files: it is one, and it is there at once however large they are."""

from __future__ import annotations

import difflib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.hosts.differences import unified

LINES = st.lists(st.sampled_from([*"abcdefgh", "x", "x", "{", "}"]), max_size=30)
HEAD = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def patched(old: list[str], diff: list[str]) -> list[str]:
    """The lines that a diff makes of `old`; every line of it must be true of them."""
    new: list[str] = []
    at = 0
    for line in diff[2:]:
        head = HEAD.fullmatch(line)
        if head:
            start = int(head[1]) - (0 if head[2] == "0" else 1)
            new += old[at:start]
            at = start
            assert len(new) == int(head[3]) - (0 if head[4] == "0" else 1)
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            at += 1
            new += [line[1:]] if line.startswith(" ") else []
    return new + old[at:]


@given(LINES, LINES)
def test_a_diff_turns_the_old_lines_into_the_new_ones(old: list[str], new: list[str]) -> None:
    diff = unified(old, new, "old", "new")
    assert patched(old, diff) == new
    assert (diff == []) is (old == new)
    assert not diff or diff[:2] == ["--- old", "+++ new"]


@given(st.lists(st.sampled_from("abcdefgh"), max_size=12, unique=True), st.integers(0, 12), st.integers(0, 12))
def test_one_change_among_different_lines_is_shown_as_everybody_shows_it(old: list[str], at: int, length: int) -> None:
    new = [*old[:at], "new", *old[at + length :]]
    assert unified(old, new, "a", "b") == list(difflib.unified_diff(old, new, "a", "b", lineterm=""))


@pytest.mark.parametrize("unique", [True, False])
def test_a_hundred_thousand_lines_that_are_much_alike_take_no_time(unique: bool) -> None:
    old = [line for n in range(10_000) for line in ("{", f'"{n if unique else 1}"', *["same"] * 7, "}")]
    new = [f"{line}!" if index % 5_000 == 1 else line for index, line in enumerate(old)]
    diff = unified(old, new, "a", "b")
    assert patched(old, diff) == new
    assert sum(line.startswith("+") for line in diff[2:]) < 100 or not unique
