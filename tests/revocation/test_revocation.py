"""A small run of each kind, and that the judge would see it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.revocation.clients import KINDS, NUMBER, Told
from tests.revocation.run import BOUND_S, ERAS, WAYS, judge, judged_audit, run

STREAMS = 21
OTHERS = 7


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("way", WAYS)
async def test_c108_c109_every_open_stream_ends_with_its_credential_and_nobody_elses(
    era: str, way: str, tmp_path: Path
) -> None:
    report = await asyncio.wait_for(run(STREAMS, OTHERS, era=era, way=way, folder=tmp_path), 60)
    assert report.problems == []
    assert set(report.kinds) == set(KINDS[era])
    assert report.last_stream_s <= BOUND_S


def told(**changes: object) -> Told:
    """How a stream ends that ends well."""
    error = {"code": -32603, "message": "", "data": {"origin": "broker", "reason": "revoked"}}
    found = Told("2025-11-25", {"id": NUMBER, "error": error}, 101.0)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    "wrong",
    [
        {"last": {}},
        {"last": {"id": NUMBER, "result": {}}},
        {"last": {"id": 8, "error": {"data": {"origin": "broker", "reason": "revoked"}}}},
        {"last": {"id": NUMBER, "error": {"data": {"origin": "broker", "reason": "session-ended"}}}},
        {"ended_at": 100.0 + BOUND_S + 1},
        {"problem": "cut off"},
        {"kind": "standing"},
    ],
)
def test_the_judge_sees_every_kind_of_breach(wrong: dict[str, object]) -> None:
    assert judge([told()], 100.0, "revoked") == []
    assert judge([told(**wrong)], 100.0, "revoked")


def test_the_judge_sees_what_the_audit_lacks() -> None:
    assert judged_audit(Counter(revoked=3, ok=2), 3, "revoked") == []
    assert judged_audit(Counter(revoked=2, cancelled=1, ok=2), 3, "revoked")
    assert judged_audit(Counter(revoked=3, open=1), 3, "revoked")
