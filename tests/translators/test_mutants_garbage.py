"""Values of any other kind, anywhere in a message: a step or a repair passes over what it does not understand.

Peers send what they like; a value that the revision does not allow there is the reader's to judge, and must not make
the translation itself fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.translators.golden import FILES, Case, actions
from translators.errors import Answered, Refused, Swallowed

ODD: tuple[Any, ...] = (None, 7, "odd", ["odd"], {"odd": 1})

Place = tuple[Any, ...]


def _places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every value inside an object, by the keys that lead to it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inside:
        yield (*at, key)
        yield from _places(child, (*at, key))


def _with(body: dict[str, Any], place: Place, odd: Any) -> dict[str, Any]:
    """A copy of the body with another value at the place."""
    changed = deepcopy(body)
    parent: Any = changed
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = odd
    return changed


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_value_of_another_kind_is_no_reason_to_fail(path: Path) -> None:
    written = Case(path).written
    failures = []
    for place in _places(written):
        for odd in ODD:
            case = Case(path)
            body = msgspec.json.decode(msgspec.json.encode(_with(written, place, odd)), type=dict[str, msgspec.Raw])
            try:
                for action in actions(case.step, case.way, case.slot):
                    action.apply(body, case.context)
                msgspec.json.encode(body)
            except (Refused, Swallowed, Answered):
                continue
            except Exception as problem:
                failures.append((place, odd, repr(problem)))
    assert failures == []
