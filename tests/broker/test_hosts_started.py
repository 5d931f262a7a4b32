"""What `connect` writes really starts: as a host does, with the entry's words and variables and hardly any others."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from broker import serve
from broker.demo import session_server
from broker.hosts.document import load
from broker.hosts.machine import Machine
from broker.hosts.putting import own_command, put_in
from broker.settings import Settings

WAIT_S = 20  # an interpreter's start on a busy machine
SECRET = "canary-e1f0-secret"
# A server of the first revision, as somebody once wrote one: it knows no other, and tells what it was started with.
SERVER = """
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    method = message["method"]
    if method == "initialize":
        result = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "old", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "told", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": json.dumps([sys.argv[1:], os.environ.get("WORD")])}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def message(number: int, method: str, **params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"


def spoken(entry: dict[str, Any], folder: Path, *calls: str) -> list[dict[str, Any]]:
    """The answers that a host of 2025-11-25 gets from an entry: to its greeting, then to each call."""
    greeting = message(
        1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "host", "version": "1"}
    )
    process = subprocess.Popen(
        [entry["command"], *entry["args"]],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **entry.get("env", {})},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    answers = []
    timer = threading.Timer(WAIT_S, process.kill)
    timer.start()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in (greeting, *calls):
            process.stdin.write(text)
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            answers.append(json.loads(line))
            if text is greeting:
                process.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
        process.stdin.close()
        assert process.wait(WAIT_S) == 0
    finally:
        timer.cancel()
        process.kill()
        process.wait(WAIT_S)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return answers


def connected(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry after `connect` with this installation."""
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"one": entry}}), encoding="utf-8")
    assert put_in(path, own_command(Machine.here())).plan.added == ["one"]
    found: dict[str, Any] = load(path).root.value["mcpServers"]["one"]
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="PATH of a POSIX host")
def test_a_connected_command_is_the_server_in_the_host_s_own_revision(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    entry = {"command": sys.executable, "args": ["server.py", "--its-own", "a b"], "env": {"WORD": "given"}}
    wrapped = connected(tmp_path, entry)
    assert wrapped["command"] != sys.executable
    greeting, call = spoken(wrapped, tmp_path, message(2, "tools/call", name="told", arguments={}))
    assert greeting["result"]["protocolVersion"] == "2025-11-25"
    assert json.loads(call["result"]["content"][0]["text"]) == [["--its-own", "a b"], "given"]


@contextmanager
def sample(seen: list[dict[str, str]]) -> Iterator[str]:
    """A server of 2025-11-25 alone; what its requests carried is noted."""

    @web.middleware
    async def note(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.append({"query": request.query_string, **request.headers})
        response: web.StreamResponse = await handler(request)
        return response

    def app() -> web.Application:
        made = session_server.sample_app()
        made.middlewares.append(note)
        return made

    import asyncio

    loop = serve.new_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        settings = Settings.for_proxy("http://127.0.0.1:1/mcp", port=0)
        starting = asyncio.run_coroutine_threadsafe(serve.start(settings, lambda *_: app()), loop)
        running = starting.result(WAIT_S)
        yield f"{running.url}/mcp"
        asyncio.run_coroutine_threadsafe(running.close(), loop).result(WAIT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()


@pytest.mark.skipif(sys.platform == "win32", reason="PATH of a POSIX host")
def test_a_connected_address_gets_its_headers_and_its_query_and_no_command_line_has_them(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    with sample(seen) as url:
        entry = {"type": "http", "url": f"{url}?key={SECRET}", "headers": {"Authorization": f"Bearer {SECRET}"}}
        wrapped = connected(tmp_path, entry)
        assert SECRET not in " ".join([wrapped["command"], *wrapped["args"]])
        (greeting,) = spoken(wrapped, tmp_path)
    assert greeting["result"]["protocolVersion"] == "2025-11-25"
    assert seen
    assert {each["Authorization"] for each in seen} == {f"Bearer {SECRET}"}
    assert {each["query"] for each in seen} == {f"key={SECRET}"}


def test_an_address_in_a_variable_that_is_not_set_is_said(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "broker", "stdio", "env:DRAGOMAN_NO_SUCH"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=WAIT_S, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (3, "")
    assert "the environment variable DRAGOMAN_NO_SUCH is not set" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")
def test_a_host_s_file_is_served_as_it_is_and_what_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    path = tmp_path / "mcp.json"
    old = {"command": sys.executable, "args": ["server.py"], "cwd": "${workspaceFolder}", "env": {"WORD": "given"}}
    servers = {"Old One": old, "bad": {"comand": "x"}}
    path.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    line = [sys.executable, "-m", "broker", "serve", str(path), "--port", "0", "--log-format", "json"]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    timer = threading.Timer(WAIT_S, process.kill)
    timer.start()
    try:
        assert process.stderr is not None
        said = [process.stderr.readline(), process.stderr.readline()]
        assert said[1] == f"dragoman: {path}: mcpServers.bad: neither a command nor a url — rename comand\n"
        ready = json.loads(process.stderr.readline())
        assert ready["url"].endswith("/servers/old-one/mcp")
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        request = urllib.request.Request(
            ready["url"],
            message(1, "initialize", **params).encode(),
            {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"},
        )
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            body = answer.read().decode()
        assert '"protocolVersion":"2025-06-18"' in body.replace(" ", "")
        process.terminate()
        assert process.wait(WAIT_S) == 0
    finally:
        timer.cancel()
        process.kill()
        process.communicate(timeout=WAIT_S)
