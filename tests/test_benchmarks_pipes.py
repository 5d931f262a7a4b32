"""The bench of pipes: what a host starts, what counts as an answer, and how the table judges."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import fronts, pipe_server, pipes
from benchmarks.client import HarnessError
from benchmarks.mcp_proxy import BROKER, OTHER
from benchmarks.pipe_client import PipeHost
from benchmarks.processes import Meter, tree

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
    ratios = {OTHER: [100.0, 100.0, 200.0], BROKER: [10.0, 39.0, 84.0]}
    verdicts = {}
    for part in pipes.LIMITS:
        made = pipes.lines({limit.name: ratios for limit in pipes.LIMITS[part]})
        verdicts[part] = {line.name: (round(line.ratio[0], 2), line.verdict) for line in made}
        assert "0.390 [0.100-0.420]" in pipes.text(made)
    assert verdicts == {
        "pipe": {
            "pipe-start": (0.39, "pass"),
            "pipe-idle": (0.39, "target"),
            "pipe-cpu": (0.39, "FAIL"),
            "pipe-cpu-1": (0.39, "beyond"),
        },
        "front": {
            "front-start": (0.39, "target"),
            "front-idle": (0.39, "target"),
            "front-cpu": (0.39, "FAIL"),
            "front-cpu-1": (0.39, "beyond"),
        },
    }


def test_a_front_is_measured_without_the_server_behind_it(tmp_path: Path) -> None:
    """The broker alone, through its installed command: mcp-proxy would have to be installed first."""

    async def measured() -> tuple[tuple[float, float], float]:
        started = await fronts.start(fronts.child(BROKER, str(tmp_path)))
        return started, await fronts.cpu(fronts.child(BROKER, str(tmp_path)), 2, 0.2)

    (ms, megabytes), cpu_us = asyncio.run(measured())
    assert ms > 1
    assert megabytes > 1
    assert cpu_us > 1


def test_the_server_behind_a_front_is_no_part_of_it() -> None:
    server = subprocess.Popen(
        pipe_server.command(sys.executable), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        server.stdin.write('{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        server.stdin.flush()
        assert server.stdout.readline() == '{"jsonrpc":"2.0","id":1,"result":{}}\n'
        assert server.pid in tree(os.getpid())
        assert server.pid not in tree(os.getpid(), pipe_server.PATH)
    finally:
        server.communicate(timeout=30)
