"""What a thousand restarts leave behind: what is counted, and what is too much."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import restarts
from benchmarks.restarts import Count, count, left


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


def test_a_few_restarts_leave_nothing() -> None:
    assert restarts.main(["--count", "5", "--crashes", "1"]) == 0
