"""The broker as a command: what it writes to standard output, what it starts, two at once (C240, C242, C247)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.adversarial.doors import CELLS, MODERN, SESSIONS, Cell, Door, before, encoded, entered, ran
from tests.broker.pipe_world import SERVER
from tests.broker.scripted_backend import Json

WAIT_S: Final = 60
DEAD: Final = ("http://127.0.0.1:9/mcp",)
INFO: Final[Json] = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


def message(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


GREETING: Final = message(id=0, method="initialize", params=INFO) + message(method="notifications/initialized")
CALL: Final = message(id=1, method="tools/call", params={"name": "add", "arguments": {"a": 1, "b": 2}})
STRAY: Final = message(id=1, method="tools/call", params={"name": "stray", "arguments": {"line": "no protocol at all"}})


def server(*habits: str) -> tuple[str, ...]:
    return ("--", sys.executable, SERVER, *habits)


def until(process: subprocess.Popen[bytes], answer: int | None) -> bytes:
    """What it writes until that request is answered or it ends; its input is closed then."""
    assert process.stdin is not None
    assert process.stdout is not None
    output = b""
    while answer is not None and (line := process.stdout.readline()):
        output += line
        if b'"id":%d' % answer in line.replace(b" ", b""):
            break
    process.stdin.close()
    return output + process.stdout.read()


def stdio(*line: str, given: bytes, answer: int | None = None, **variables: str) -> tuple[int, bytes, bytes]:
    """Run `dragoman stdio` on this input until that request is answered: its exit code, and what it wrote."""
    command = [sys.executable, "-m", "broker", "stdio", *line]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **variables}
        ) as process,
    ):
        bound = threading.Timer(WAIT_S, process.kill)
        bound.start()
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it may have ended already
                process.stdin.write(given)
                process.stdin.flush()
            output = until(process, answer)
            code = process.wait()
        finally:
            bound.cancel()
        errors.seek(0)
        return code, output, errors.read()


def messages(output: bytes) -> list[Json]:
    """Every line of standard output, each of which has to be a message."""
    found = [json.loads(line) for line in output.splitlines()]
    assert all(isinstance(each, dict) and each["jsonrpc"] == "2.0" for each in found)
    assert not output or output.endswith(b"\n")
    return found


RUNS: Final[tuple[tuple[str, tuple[str, ...], bytes, int | None], ...]] = (
    ("a good one", server(), GREETING + CALL, 1),
    ("a server that prints", server("banner", "complains"), GREETING + CALL, 1),
    ("a server that writes bytes", server("binary"), GREETING + CALL, 1),
    ("a server that writes between messages", server(), GREETING + STRAY, 1),
    ("a server that dies", server("dies-on-call"), GREETING + CALL, 1),
    ("a server that floods its errors", server("floods"), GREETING + CALL, 1),
    ("a program that is none", ("--", "/nowhere/at/all"), GREETING + CALL, 1),
    ("a program that ends", ("--", sys.executable, "-c", "raise SystemExit('no')"), GREETING + CALL, 1),
    ("a program that prints and ends", ("--", sys.executable, "-c", "print('usage: ...')"), GREETING, 0),
    ("an address where nobody is", DEAD, GREETING + CALL, 1),
    ("an address, debugging", ("--log-level", "debug", *DEAD), GREETING, 0),
    ("no option of ours", ("--nonsense", *DEAD), GREETING, 0),
    ("a revision that is none", ("--backend-revision", "1999-01-01", *DEAD), GREETING, 0),
    ("a file that is not there", ("--bearer-file", "/nowhere", *DEAD), GREETING, 0),
    ("no input", server(), b"", None),
    ("garbage", server(), b"\xff\xfe\nnull\n{]\n\n" + GREETING + b"[]\n{}\n" + CALL, 1),
    ("half a message", server(), GREETING + CALL[:30], 0),
    ("a line without end", server(), GREETING + b"x" * 6_000_000, 0),
    ("no greeting", server(), CALL, 1),
    ("a client without sessions", server("modern"), message(id=1, method="server/discover", params={}), 1),
)


@pytest.mark.parametrize(("line", "given", "answer"), [row[1:] for row in RUNS], ids=[row[0] for row in RUNS])
def test_standard_output_is_the_protocols_alone_whatever_goes_wrong(
    line: tuple[str, ...], given: bytes, answer: int | None
) -> None:
    """C240."""
    code, output, said = stdio(*line, given=given, answer=answer)
    assert code >= 0
    found = messages(output)
    assert len({each["id"] for each in found if "id" in each}) == sum("id" in each for each in found)
    for each in found:
        assert "Traceback" not in json.dumps(each)
    assert b"Traceback" not in said
    if line == server() and given == GREETING + CALL:
        assert found[-1]["result"]["content"][0]["text"] == "3"


def test_two_commands_on_one_server_without_a_home_or_a_network_do_not_meet(tmp_path: Path) -> None:
    """C247: nothing is written for a server that wants nobody, and nothing is locked."""
    home = tmp_path / "home"
    home.write_text("a file, in which nothing can be made", encoding="utf-8")
    variables = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "http_proxy": "http://127.0.0.1:9"}
    met = threading.Barrier(2, timeout=WAIT_S)

    def one(_number: int) -> tuple[int, bytes, bytes]:
        met.wait()
        return stdio(*server(), given=GREETING + CALL, answer=1, **variables)

    with ThreadPoolExecutor(2) as both:
        for code, output, _ in both.map(one, range(2)):
            assert messages(output)[-1]["result"]["content"][0]["text"] == "3"
            assert code == 0
    assert home.read_text(encoding="utf-8").startswith("a file")


def test_the_second_broker_on_a_port_says_that_it_is_taken(tmp_path: Path) -> None:
    """C247."""

    async def story() -> tuple[int | None, bytes]:
        taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        file = tmp_path / "c.json"
        file.write_text(json.dumps({"port": port, "servers": {"one": {"url": DEAD[0]}}}), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "broker", "serve", str(file), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        _, said = await asyncio.wait_for(process.communicate(), WAIT_S)
        taken.close()
        return process.returncode, said

    code, said = asyncio.run(story())
    assert code not in (0, None)
    assert b"in use" in said
    assert b"Traceback" not in said


STARTED: Final[list[str]] = []
"""What this process started, while it is looked at."""

_looking: Final = {"on": False}


def _hook(event: str, given: tuple[Any, ...]) -> None:
    if _looking["on"] and event in (
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.spawn",
    ):
        STARTED.append(f"{event} {given!r}")


sys.addaudithook(_hook)

COMMAND: Final[Json] = {"command": "/bin/true", "args": ["x"], "env": {"A": "b"}, "url": "stdio:/bin/true"}
NEAR: Final = [Cell(client, "http", backend) for client, backend in ((SESSIONS[0], MODERN), (MODERN, SESSIONS[-1]),
               (SESSIONS[-1], SESSIONS[-1]), (MODERN, MODERN))]  # fmt: skip


async def tried(door: Door) -> None:
    """Commands wherever a client can write."""
    meta = json.loads("{" + door.meta().rstrip(",") + "}").get("_meta", {})
    for method in ("tools/call", "initialize", "server/start", "servers/add", "x/exec", "completion/complete", "ping"):
        own = {"_meta": {**meta, **COMMAND, "x/command": COMMAND}}
        params = {"name": "x", "arguments": COMMAND, **COMMAND, "mcpServers": {"x": COMMAND}, **own}
        await door.send(encoded({"id": f"{method}-1", "method": method, "params": params, **COMMAND}), method)
    for path in (
        "/mcp?command=/bin/true",
        "/servers/x/mcp",
        "/mcp;command=/bin/true",
        "/api/servers",
        "/admin/servers",
    ):
        door.client.path = path
        await door.client.post(message(id=1, method="tools/call", params={"name": "x", **COMMAND}).strip(), **door.key)
    door.client.path = "/mcp"
    headers = dict.fromkeys(("X_Command", "X_Mcp_Command", "X_Forwarded_Command", "Mcp_Command"), "/bin/true")
    await door.client.post(message(id=2, method="ping").strip(), **{**door.key, **headers})


@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_nothing_a_client_or_a_server_says_starts_a_program(cell: Cell) -> None:
    """C242: programs are those of the configuration."""
    async with before(cell) as here, entered(here, cell) as door:
        STARTED.clear()
        _looking["on"] = True
        try:
            await tried(door)

            async def answers(asked: Any) -> None:
                result = {"resultType": "complete", "content": [], **COMMAND, "_meta": {"x/y": COMMAND}}
                await asked.json({"id": asked.id, "result": {**result, "mcpServers": {"x": COMMAND}}})

            here.backend.on("tools/call", answers)
            assert not (await door.call("x")).refused
        finally:
            _looking["on"] = False
        assert STARTED == []
        assert set(ran(here)) <= {"x"}


def test_the_way_programs_are_looked_for_finds_one() -> None:
    """C242: so that the test before it can fail."""
    STARTED.clear()
    _looking["on"] = True
    try:
        subprocess.run([sys.executable, "-c", ""], check=True)
    finally:
        _looking["on"] = False
    assert STARTED
    assert len(CELLS) > len(NEAR)
