"""C168, C169, C170: a secret at any leaf of any message of any revision reaches nobody without clearance."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol_versions.base import Revision, Slot
from tests.broker.sanitise_world import AWS, CANARY, READ, Json, hook, info, leaves, planted, rule, shown
from tests.strategies import body as bodies

SANITISE = hook(rule(CANARY), rule("secrets"))
IDS = [f"{revision.id} {slot.part} {slot.method}" for revision, slot in READ]


@pytest.mark.parametrize(("revision", "slot"), READ, ids=IDS)
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_secret_at_any_leaf_reaches_nobody_without_clearance(
    revision: Revision, slot: Slot, data: st.DataObject
) -> None:
    tree = data.draw(bodies(revision, slot))
    places = list(leaves(tree))
    if slot.part == "result" and tree.get("resultType") == "input_required":
        # What a server seals for itself is sealed again by the broker, and no client reads it.
        places = [place for place in places if place != ("requestState",)]
    for place in places:
        secret = data.draw(st.sampled_from((CANARY, f"a {CANARY} b", AWS)))
        body = planted(tree, place, secret)
        before = msgspec.json.encode(body)
        told = info(slot.method)
        seen = msgspec.json.encode(shown(SANITISE, body, slot, told)).decode()
        assert CANARY not in seen, place
        assert AWS not in seen, place
        assert shown(SANITISE, body, slot, info(slot.method, who="key:cleared")) is body
        assert msgspec.json.encode(body) == before


@pytest.mark.parametrize(("revision", "slot"), READ, ids=IDS)
@given(data=st.data())
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_message_without_findings_is_the_same(revision: Revision, slot: Slot, data: st.DataObject) -> None:
    tree = data.draw(bodies(revision, slot))
    assert shown(SANITISE, tree, slot, info(slot.method)) is tree


UNKNOWN: list[tuple[str, Any]] = [
    ("x-vendor", CANARY),
    ("x-vendor", {"deep": [{CANARY: 1}]}),
    ("_meta", {CANARY: 1}),
    (CANARY, {"name": "anything"}),
    ("structuredContent", {CANARY: {CANARY: [CANARY]}}),
]


@pytest.mark.parametrize(("name", "value"), UNKNOWN)
def test_members_no_revision_knows_and_names_of_members_are_looked_through(name: str, value: Any) -> None:
    body: Json = {"content": [], name: value}
    seen = shown(SANITISE, body)
    assert "content" in seen
    assert CANARY not in msgspec.json.encode(seen).decode()
