"""The command line and what it prints: wrong words are refused, and nothing that is not ok goes unnamed."""

from __future__ import annotations

import pytest

from conformance import report
from conformance.__main__ import arguments
from conformance.cells import Cell
from conformance.features import NAMES
from conformance.judge import Verdict
from conformance.matrix import Row, Run

CELL = Cell.parse("py:2024-11-05/ts:2025-11-25")


def _row(*verdicts: Verdict, trouble: str = "") -> Row:
    return Row(CELL, verdicts, trouble, 1.0, "logs")


def test_everything_is_asked_for_by_default() -> None:
    options = arguments([])
    assert options.features == NAMES
    assert (options.subset, options.cells, options.raw, options.jobs) == (None, None, None, 2)


def test_cells_and_features_are_read() -> None:
    options = arguments(["--cells", str(CELL), "--features", "ping,roots"])
    assert options.cells == (CELL,)
    assert options.features == ("ping", "roots")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--cells", "py:2024-11-05"],
        ["--features", "tools.call.video"],
        ["--subset", "half"],
        ["--raw", "2023-01-01"],
        ["--subset", "pairwise", "--cells", str(CELL)],
    ],
)
def test_a_wrong_command_line_ends_with_status_two(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(wrong)
    assert ended.value.code == 2


def test_a_failure_is_named_with_its_rule_below_its_row() -> None:
    row = _row(Verdict("ping", "ok", "same", "rule:ping"), Verdict("roots", "failed", "same", "rule:roots", "gone"))
    assert row.failed
    assert "FAIL" in report.row_line(row)
    (line,) = report.row_details(row)
    assert "roots" in line
    assert "rule:roots" in line
    assert "gone" in line


def test_a_cell_without_a_session_is_told_once() -> None:
    verdicts = [Verdict(name, "failed", "same", "rule:x", "no session") for name in ("initialize", "ping", "roots")]
    (line,) = report.row_details(_row(*verdicts))
    assert "2 more" in line


def test_trouble_around_the_client_fails_a_cell_whose_features_are_all_ok() -> None:
    row = _row(Verdict("ping", "ok", "same", "rule:ping"), trouble="the client ended with status 2")
    assert row.failed
    assert any("status 2" in line for line in report.row_details(row))


def test_every_excuse_is_printed_with_its_reason() -> None:
    excused = Verdict("ping", "excused", "same", "sdk:server ts:2025-11-25 failed directly", "time-out")
    (line,) = report.reasons([_row(Verdict("roots", "ok", "same", "rule:roots"), excused)])
    assert "sdk:server ts:2025-11-25 failed directly" in line


def test_the_json_holds_every_verdict_and_every_direct_run() -> None:
    row = _row(Verdict("ping", "ok", "same", "rule:ping", "as direct"))
    document = report.as_json([row], {CELL.own: Run({}, "did not start")})
    assert document["cells"][0]["verdicts"] == [
        {"feature": "ping", "status": "ok", "outcome": "same", "reason": "rule:ping", "detail": "as direct"}
    ]
    assert document["direct"] == {str(CELL.own): {"trouble": "did not start", "features": {}}}
