"""The runs with killed brokers in a size for every day; `python -m tests.audit_kills` is the full size."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from broker.audit.opening import open_log
from broker.audit.options import AuditOptions, FileOptions
from broker.audit.trail import Trail
from tests.audit.lines import ALICE, admitted, call
from tests.audit_kills.run import Report, judge, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="brokers are forked")


@pytest.mark.parametrize("fsync", ["off", "each"])
async def test_every_call_a_server_ran_is_in_the_log_and_has_an_end_though_brokers_are_killed(
    tmp_path: Path, fsync: str
) -> None:
    report = await asyncio.wait_for(run(tmp_path, 5, seed=1, fsync=fsync), 60)
    assert report.problems == []
    assert report.ran > 10
    assert report.lost > 0
    assert report.outcomes > 0


def test_the_judge_sees_every_kind_of_breach(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = open_log(AuditOptions(file=FileOptions(path, fsync="off")))
    trail = Trail(log, "files")
    for number in (1, 2):
        trail.begin(number, "tools/call", number, call(name=f"n-{number}"))
        admitted(trail, number, call(), ALICE)
    trail.end(1, "ok")
    log.close()

    def judged(*ran: str, kills: int = 0) -> Report:
        return judge(Counter(ran), path, fsync="off", kills=kills, answered=0, seconds=0.0)

    assert [problem for problem in judged("n-1").problems if "n-1" in problem] == []
    assert "n-2 was admitted and ended 0 times" in judged("n-1").problems
    assert "n-1 ran 2 times" in judged("n-1", "n-1").problems
    assert "n-3 ran and was not admitted" in judged("n-3").problems
    assert any("processes began" in problem for problem in judged("n-1", kills=5).problems)
    path.write_bytes(path.read_bytes().replace(b"n-1", b"n-9"))
    assert any("was changed" in problem for problem in judged("n-1").problems)
