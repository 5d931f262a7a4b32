"""Repairs every reader gets: where they apply, and that a clean message does not pay for them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from protocol_versions import REVISIONS
from protocol_versions.base import Revision, Slot, error, result
from translators.context import Context
from translators.hygiene import changes, prepares, repairs
from translators.hygiene.blocks import all_known
from translators.hygiene.nulls import plan_of
from translators.pipeline import pipeline

SESSIONS = [revision for revision in REVISIONS if revision.traits.sessions]
SLOTS = [(reader, slot) for reader in SESSIONS for slot in sorted(reader.types)]


def _named(pair: Any) -> str:
    return str(pair.id if isinstance(pair, Revision) else f"{pair.part}:{pair.method}:{pair.toward}")


@pytest.mark.parametrize(("reader", "slot"), SLOTS, ids=_named)
def test_a_null_of_every_optional_member_is_removed(reader: Revision, slot: Slot) -> None:
    optional = plan_of(reader.types[slot]).optional
    body: dict[str, Any] = {name: Raw(b"null") for name in optional}
    for op in prepares(reader, slot):
        op.apply(body, Context())
    assert [name for name in optional if name in body] == []
    assert "_meta" in optional


@pytest.mark.parametrize("client", SESSIONS, ids=_named)
@pytest.mark.parametrize("server", SESSIONS, ids=_named)
@pytest.mark.parametrize(
    "content",
    [b'[{"type":"text","text":"sunny"}]', b'[{"text":"\\"type\\"","type":"text"}, {"type":"text","text":"a"}]'],
)
def test_plain_content_is_not_opened(client: Revision, server: Revision, content: bytes) -> None:
    body: dict[str, Any] = {"content": Raw(content), "isError": Raw(b"false")}
    before = dict(body)
    pipeline(client.id, server.id).lane(result("tools/call")).run(body, Context())
    assert list(body) == list(before)
    assert all(body[name] is raw for name, raw in before.items())


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (b'[{"type":"text","text":"a"}]', True),
        (b'[{"type":"text","text":"\\"type\\":\\"video\\""}]', True),
        (b'[{"type":"video"}]', False),
        (b'[{"type": "text"}]', False),
        (b'[{"\\u0074ype":"video"}]', False),
        (b'[{"type":"text","text":"a"},{"type":"vid\\u0065o"}]', False),
    ],
)
def test_bytes_prove_that_all_blocks_are_known_or_prove_nothing(content: bytes, known: bool) -> None:
    assert all_known(content) is known


def test_a_slot_the_reader_lacks_has_no_repairs() -> None:
    oldest = SESSIONS[0]
    assert repairs(oldest, result("tasks/get")) == ()
    assert repairs(oldest, error("tools/call")) == ()


def test_results_stay_empty_only_where_sessions_are() -> None:
    for reader in REVISIONS:
        assert any(change.name == "empty results" for change in changes(reader)) is reader.traits.sessions
