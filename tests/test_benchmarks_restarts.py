"""What a thousand restarts leave behind: what is counted, and what is too much."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import restarts
from benchmarks.restarts import WAYS, Count, count, left, way


def test_what_a_process_holds_is_counted() -> None:
    before = count(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        after = count(os.getpid())
    finally:
        child.communicate(b"\n", timeout=30)
    assert (after.processes - before.processes, after.descriptors - before.descriptors) == (1, 1)


def test_more_of_anything_is_left_but_a_little_memory() -> None:
    before = Count(0, 14, 1, 60_000)
    assert left(before, Count(0, 14, 1, 60_000 + restarts.KILOBYTES), 1000) == []
    assert left(before, Count(0, 13, 1, 59_000), 1000) == []
    assert left(before, Count(2, 15, 1, 60_000), 1000) == ["2 processes", "1 descriptors"]
    assert left(before, Count(0, 14, 2, 90_000), 1000) == ["1 threads", "30000 kilobytes"]


def test_processes_of_a_run_are_counted_wherever_they_are() -> None:
    mark = f"mark-{os.getpid()}"
    code = "import os\nif os.fork(): os._exit(0)\nprint(os.getpid(), flush=True)\ninput()"
    child = subprocess.Popen([sys.executable, "-c", code, mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    orphan = int(child.stdout.readline())
    child.wait(30)
    assert orphan in restarts.marked(mark)
    assert count(os.getpid(), mark).processes - count(os.getpid()).processes == 1
    child.communicate(b"\n", timeout=30)


def test_every_way_to_end_has_an_equal_share() -> None:
    ends = [way(server, turn) for turn in range(5) for server in range(200)]
    assert {name: ends.count(name) for name in WAYS} == dict.fromkeys(WAYS, 125)


def test_a_few_restarts_leave_nothing() -> None:
    assert restarts.main(["--servers", "8", "--rounds", "1"]) == 0
