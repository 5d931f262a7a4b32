"""The broker's own standard input and output: any kind of them, and a bound on what waits to be read."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.stdio_pipes import Output
from tests.broker.http1_world import within

MESSAGE = b"x" * 9_999
ENOUGH = 1_000


async def test_a_client_that_never_reads_is_gone_once_too_much_waits_for_it() -> None:
    reading, writing = os.pipe()
    unread: list[int] = []
    gone = asyncio.Event()
    output = Output(writing, unread.append, max_unread=500_000)
    try:
        await output.open(gone.set)
        for _ in range(ENOUGH):
            output.write(MESSAGE)
        await within(gone.wait())
        assert len(unread) == 1
        assert 500_000 < unread[0] <= 500_000 + len(MESSAGE) + 1
    finally:
        await output.close()
        os.close(reading)
        os.close(writing)


async def test_a_client_that_reads_late_is_given_every_message() -> None:
    reading, writing = os.pipe()
    output = Output(writing, lambda _waiting: None, max_unread=ENOUGH * len(MESSAGE) * 2)
    try:
        await output.open(lambda: None)
        for _ in range(ENOUGH):
            output.write(MESSAGE)
        left = ENOUGH * (len(MESSAGE) + 1)
        while left:
            left -= len(await within(asyncio.to_thread(os.read, reading, 1 << 20)))
    finally:
        await output.close()
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("given", ["file", "null"])
def test_files_and_the_null_device_do_where_no_loop_can_wait_for_them(tmp_path: Path, given: str) -> None:
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    asked.write_text('{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
    with Path(asked if given == "file" else os.devnull).open("rb") as source, answered.open("wb") as sink:
        line = [sys.executable, "-m", "broker", "stdio", "--", sys.executable, "-c", "input()"]
        assert subprocess.run(line, stdin=source, stdout=sink, timeout=30, check=False).returncode == 0
    said = [json.loads(text) for text in answered.read_text().splitlines()]
    assert said == ([{"jsonrpc": "2.0", "id": 1, "result": {}}] if given == "file" else [])
