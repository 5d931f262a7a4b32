"""`dragoman stdio --audit FILE`: a client on a pipe, of either era, and a broker that is killed under it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.audit.verify import verify
from tests.audit.lines import Json, events, read
from tests.broker.pipe_world import PREFIX, SERVER


def asked(process: subprocess.Popen[bytes], number: int, method: str, params: Json) -> Json:
    """One request and its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()
    while True:
        answer: Json = json.loads(process.stdout.readline())
        if answer.get("id") == number:
            return answer


def begun(trail: Path) -> subprocess.Popen[bytes]:
    """A broker on pipes, before the server of the pipe tests."""
    line = [sys.executable, "-m", "broker", "stdio", "--audit", str(trail), "--", sys.executable, SERVER]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def ended(process: subprocess.Popen[bytes], *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(timeout=30)


INFO = {"name": "pipe", "version": "1"}
HELLO: Json = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": INFO}
ALONE: Json = {"_meta": {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": {}}}


@pytest.mark.parametrize("alone", [False, True], ids=["session client", "stateless client"])
def test_calls_on_a_pipe_are_audited_and_those_of_a_killed_broker_are_lost(tmp_path: Path, alone: bool) -> None:
    trail = tmp_path / "audit.jsonl"
    params: Json = {**ALONE} if alone else {}

    def call(process: subprocess.Popen[bytes], number: int, method: str) -> Any:
        return asked(process, number, method, dict(params))

    process = begun(trail)
    try:
        if not alone:
            asked(process, 0, "initialize", HELLO)
        call(process, 1, "tools/list")
        refused = b'{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"a":1,"a":2}}\n'
        assert process.stdin is not None
        process.stdin.write(refused)
        process.stdin.flush()
        call(process, 3, "tools/list")
        ended(process)
        process = begun(trail)
        if not alone:
            asked(process, 0, "initialize", HELLO)
        call(process, 1, "tools/list")
        ended(process, kill=True)
        process = begun(trail)
        ended(process)
    finally:
        process.kill()
        process.communicate(timeout=30)
    lines = read(trail)
    first = lines[: events(lines).index("stopped") + 1]
    lists = [line for line in first if line["api"]["operation"] == "tools/list"]
    assert events(lists) == ["admitted", "outcome", "admitted", "outcome"]
    assert lists[0]["actor"]["user"]["uid"] == "local"
    assert lists[0]["unmapped"]["client_revision"] == ("2026-07-28" if alone else "2025-06-18")
    assert [line["status_detail"] for line in first if events([line]) == ["denied"]] == ["duplicate-member"]
    assert events(lines).count("started") == 3
    found = verify([trail])
    assert (found.problems, found.open) == ([], {})
