"""Verdicts: what is excused is only what fails without the broker too, and it says whose SDK it is."""

from __future__ import annotations

import pytest

from conformance.cells import Cell
from conformance.features import NAMES
from conformance.judge import Direct, Verdict, judge
from conformance.lines import Line, parse

CELL = Cell.parse("py:2025-11-25/ts:2025-11-25")
OLD_CLIENT = Cell.parse("py:2025-03-26/ts:2025-11-25")


def _one(cell: Cell, line: Line | None, server: Line | None = None, client: Line | None = None) -> Verdict:
    name = (line or server or client or Line("ping", "ok")).feature
    direct = Direct({name: server} if server else {}, {name: client} if client else {})
    (verdict,) = judge(cell, {name: line} if line else {}, direct, (name,))
    return verdict


def test_a_feature_that_works_is_ok() -> None:
    assert _one(CELL, Line("ping", "ok")).status == "ok"


def test_a_failure_that_the_direct_run_does_not_have_is_a_failure() -> None:
    failed = Line("ping", "failed", {}, None, "time-out")
    verdict = _one(CELL, failed, Line("ping", "ok"), Line("ping", "ok"))
    assert (verdict.status, verdict.reason) == ("failed", "rule:ping")


def test_a_failure_that_the_direct_run_has_is_excused_and_names_the_sdk() -> None:
    failed = Line("ping", "failed", {}, None, "time-out")
    verdict = _one(CELL, failed, failed, Line("ping", "ok"))
    assert (verdict.status, verdict.reason) == ("excused", "sdk:server ts:2025-11-25 failed directly")
    verdict = _one(CELL, failed, Line("ping", "ok"), failed)
    assert (verdict.status, verdict.reason) == ("excused", "sdk:client py:2025-11-25 failed directly")


def test_a_broker_that_must_find_the_revision_may_offer_either() -> None:
    direct = Direct({}, {}, pinned=False)

    def status(offered: str) -> str:
        line = Line("whoami", "ok", {"protocolVersion": offered, "capabilities": {}})
        (verdict,) = judge(OLD_CLIENT, {"whoami": line}, direct, ("whoami",))
        return verdict.status

    assert [status(each) for each in ("2025-03-26", "2025-11-25", "2025-06-18")] == ["ok", "ok", "failed"]


@pytest.mark.parametrize(("offered", "status"), [("2025-11-25", "ok"), ("2024-11-05", "ok"), ("2025-06-18", "failed")])
def test_for_a_client_without_a_handshake_the_newest_one_is_offered(offered: str, status: str) -> None:
    cell = Cell.parse("py:2026-07-28/ts:2024-11-05")
    line = Line("whoami", "ok", {"protocolVersion": offered, "capabilities": {}})
    (verdict,) = judge(cell, {"whoami": line}, Direct({}, {}, pinned=False), ("whoami",))
    assert verdict.status == status


def test_what_a_clients_revision_dropped_is_absent() -> None:
    cell = Cell.parse("py:2026-07-28/py:2025-11-25")
    dropped = Line("ping", "unsupported", {}, None, "2026-07-28 has no ping")
    verdict = _one(cell, dropped, Line("ping", "ok"), dropped)
    assert (verdict.status, verdict.reason) == ("absent", "revision:client has no ping")


def test_a_missing_line_is_a_failure() -> None:
    verdict = _one(CELL, None, Line("ping", "ok"), Line("ping", "ok"))
    assert verdict.status == "failed"


def test_what_the_clients_revision_lacks_is_absent() -> None:
    verdict = _one(OLD_CLIENT, Line("elicitation.form", "unsupported"))
    assert (verdict.status, verdict.reason) == ("absent", "revision:client has no elicitation")


def test_what_the_clients_sdk_lacks_is_excused_and_a_sudden_lack_is_not() -> None:
    lacking = Line("elicitation.form", "unsupported", {}, None, "no API")
    assert _one(CELL, lacking, Line("elicitation.form", "ok"), lacking).status == "excused"
    assert _one(CELL, lacking, Line("elicitation.form", "ok"), Line("elicitation.form", "ok")).status == "failed"


def test_a_refusal_that_is_promised_counts_as_refused() -> None:
    refused = Line("elicitation.form", "ok", {"texts": ["not supported"], "isError": True})
    assert _one(OLD_CLIENT, refused).status == "refused"


def test_every_feature_gets_a_verdict_when_the_client_printed_nothing() -> None:
    verdicts = judge(CELL, {}, Direct({}, {}))
    assert [verdict.feature for verdict in verdicts] == list(NAMES)
    assert {verdict.status for verdict in verdicts if verdict.feature != "stray"} == {"failed"}


def test_lines_are_read_among_other_output() -> None:
    output = "\n".join(
        [
            "warning: something",
            '{"feature": "ping", "status": "ok", "seen": {}}',
            '{"feature": "roots", "status": "refused", "seen": {}, "error": {"code": -32601, "message": "no"}}',
            '{"feature": "x", "status": "splendid"}',
            "{broken",
            "[1]",
        ]
    )
    lines = parse(output)
    assert set(lines) == {"ping", "roots", "x"}
    assert (lines["roots"].code, lines["roots"].message) == (-32601, "no")
    assert lines["x"].status == "failed"
