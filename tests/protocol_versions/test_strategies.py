"""What the strategies generate is legal, and covers what a Struct may hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol_versions import REVISIONS
from protocol_versions.base import Revision, Slot
from protocol_versions.shapes import fits
from tests.strategies import body, wire

SLOTS = [(revision, slot) for revision in REVISIONS for slot in sorted(revision.types)]


@pytest.mark.parametrize(("revision", "slot"), SLOTS, ids=[f"{r.id}-{s.part}-{s.method}-{s.toward}" for r, s in SLOTS])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_generated_body_converts_to_its_slot(revision: Revision, slot: Slot, data: Any) -> None:
    tree = data.draw(body(revision, slot))
    fits(tree, revision.shapes(slot))
    assert msgspec.json.decode(msgspec.json.encode(tree)) == tree


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda revision: revision.id)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_error_objects_with_defined_data_convert(revision: Revision, data: Any) -> None:
    for shape in revision.errors.values():
        msgspec.convert(data.draw(wire(shape)), shape)
