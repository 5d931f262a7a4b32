"""Every operation of every step against pairs written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.translators.golden import FILES, Case, Key, operations


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_was_written_is_read_as_the_pair_says(path: Path) -> None:
    case = Case(path)
    assert case.run() == case.expected
    assert case.context.stash == case.stashed
    noted = {loss.path: loss.loss.value for loss in case.context.losses}
    assert noted | case.losses == noted


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_pair_is_named_after_its_slot(path: Path) -> None:
    slot = Case(path).slot
    assert path.stem.split("__")[0] == f"{slot.part}_{slot.method.replace('/', '_')}"


def test_every_operation_and_gate_acts_in_some_pair() -> None:
    met: set[Key] = set()
    for path in FILES:
        case = Case(path)
        case.run()
        met |= case.met
    nulls = "nulls of optional members"  # generic: one operation for every slot, tested by its own pairs
    assert [key for key in operations() if key not in met and key[3] != nulls] == []
