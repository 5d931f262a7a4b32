"""The bench of pipes: what a host starts, what counts as an answer, and how the table judges."""

from __future__ import annotations

import asyncio
import sys

import pytest

from benchmarks import pipes
from benchmarks.client import HarnessError
from benchmarks.pipe_client import PipeHost
from benchmarks.processes import Meter

REVISION = "2025-11-25"
SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    if asked["method"] == "initialize":
        result = {"protocolVersion": asked["params"]["protocolVersion"]}
    else:
        text = asked["params"]["arguments"]["text"]
        result = {"content": [{"type": "text", "text": text if asked["id"] % 70 or WHOLE else "another"}]}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


def _host(code: str) -> PipeHost:
    return PipeHost([sys.executable, "-c", code], REVISION, {})


async def _window(code: str) -> tuple[int, int, str]:
    host = _host(code)
    try:
        await host.open()
        seen = await host.window(Meter(host.pid), 4, 0.2)
    finally:
        await host.end()
    return seen.calls, seen.wrong, seen.negotiated


def test_a_host_counts_the_right_answers_of_its_command() -> None:
    calls, wrong, negotiated = asyncio.run(_window(f"WHOLE = True\n{SERVER}"))
    assert calls >= 4
    assert (wrong, negotiated) == (0, REVISION)


def test_an_answer_to_another_call_is_wrong() -> None:
    _, wrong, _ = asyncio.run(_window(f"WHOLE = False\n{SERVER}"))
    assert wrong > 0


@pytest.mark.parametrize("code", ["raise SystemExit('not today')", "print('{}')"])
def test_a_command_that_does_not_shake_hands_is_no_target(code: str) -> None:
    async def start() -> None:
        host = _host(code)
        try:
            await host.open()
        finally:
            await host.end()

    with pytest.raises(HarnessError):
        asyncio.run(start())


def test_a_figure_is_judged_by_the_median_of_its_ratios() -> None:
    found = {
        limit.name: {pipes.OTHER: [100.0, 100.0, 200.0], pipes.BROKER: [10.0, 39.0, 84.0]} for limit in pipes.LIMITS
    }
    verdicts = {line.name: (round(line.ratio[0], 2), line.verdict) for line in pipes.lines(found)}
    assert verdicts == {
        "pipe-start": (0.39, "pass"),
        "pipe-idle": (0.39, "target"),
        "pipe-cpu": (0.39, "FAIL"),
        "pipe-cpu-1": (0.39, "beyond"),
    }
    assert "0.390 [0.100-0.420]" in pipes.text(pipes.lines(found))
