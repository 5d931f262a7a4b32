"""A server on a pipe that does what its arguments say, on the standard library alone: a child process for tests.

Each argument is a habit: `modern` (answers `server/discover`, refuses `initialize`), `banner`, `binary`, `silent`,
`dies-on-probe`, `dies-after-probe`, `dies-on-call`, `complains`, `floods`, `forks`, `closes`, `stays`. Every start adds
a line with the process id to the file named in `PIPE_SERVER_LOG`, and every message its method. `PIPE_SERVER_TOOLS` are
the tools it lists.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

HABITS = set(sys.argv[1:])
PREFIX = "io.modelcontextprotocol/"
LOG = os.environ.get("PIPE_SERVER_LOG", "")
TOOLS = os.environ.get("PIPE_SERVER_TOOLS", "add").split()


def note(text: str) -> None:
    """Write down what happened."""
    if LOG:
        with open(LOG, "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {text}\n")


def say(message: dict[str, Any]) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def result(request: dict[str, Any], body: dict[str, Any]) -> None:
    """Answer a request."""
    if "modern" in HABITS:
        body = {"resultType": "complete", **body}
    say({"id": request["id"], "result": body})


def call(request: dict[str, Any], answers: dict[Any, Any]) -> None:
    """`tools/call`: `add`, `env`, `ask`, `slow`, `progress`, `flood`, `echo`, `stray` (a line, in one piece)."""
    params = request["params"]
    name, given = params["name"], params.get("arguments", {})
    text = name
    if name == "add":
        text = str(given["a"] + given["b"])
    elif name == "env":
        text = os.environ.get(given["name"], "")
    elif name == "echo":
        text = json.dumps(given, sort_keys=True)
    elif name == "progress":
        token = params["_meta"]["progressToken"]
        say({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
    elif name == "flood":
        token, pad = params["_meta"]["progressToken"], "x" * given["size"]
        for number in range(given["count"]):
            say(
                {
                    "method": "notifications/progress",
                    "params": {"progressToken": token, "progress": number, "message": pad},
                }
            )
    elif name == "ask" and "modern" not in HABITS:
        schema = {"type": "object", "properties": {}}
        say({"id": 0, "method": "elicitation/create", "params": {"message": "who?", "requestedSchema": schema}})
        text = json.dumps(answers.setdefault(0, json.loads(sys.stdin.readline())).get("result"))
    elif name == "stray":
        sys.stdout.write(given["line"] + "\n")
    elif name == "slow":
        return
    result(request, {"content": [{"type": "text", "text": text}]})


def serve() -> None:
    """Until the end of input."""
    lines = sys.stdin
    while line := lines.readline():
        request = json.loads(line)
        method = request.get("method", "answer")
        note(method)
        if method == "server/discover" and "dies-on-probe" in HABITS:
            os._exit(1)
        if "silent" in HABITS:
            continue
        if "complains" in HABITS:
            sys.stderr.write(f"I was asked {method}\n")
            sys.stderr.flush()
        if method == "initialize":
            if "modern" in HABITS:
                data = {"supported": ["2026-07-28"], "requested": request["params"]["protocolVersion"]}
                say({"id": request["id"], "error": {"code": -32022, "message": "no", "data": data}})
                continue
            info = {"name": "pipe", "version": "1"}
            offers = {"tools": {"listChanged": True}}
            version = request["params"]["protocolVersion"]
            result(request, {"protocolVersion": version, "capabilities": offers, "serverInfo": info})
        elif method == "server/discover" and "modern" in HABITS:
            found = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "ttlMs": 0}
            result(request, {**found, "cacheScope": "private"})
            if "dies-after-probe" in HABITS:
                os._exit(1)
        elif method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
            result(request, {"tools": tools, **({"ttlMs": 0, "cacheScope": "private"} if "modern" in HABITS else {})})
        elif method == "tools/call":
            if "dies-on-call" in HABITS:
                os._exit(3)
            call(request, {})
        elif method == "ping":
            result(request, {})
        elif "id" in request and "method" in request:
            say({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    """Begin as told."""
    note("start")
    if "banner" in HABITS:
        sys.stdout.write("Welcome to the server\n\n{not json}\n")
    if "binary" in HABITS:
        sys.stdout.buffer.write(b"\x00\xff\xfe\n")
    if "forks" in HABITS and os.fork() == 0:
        note("grandchild")
        time.sleep(60)
        os._exit(0)
    if "floods" in HABITS:
        threading.Thread(target=lambda: sys.stderr.write(("x" * 100 + "\n") * 20_000), daemon=True).start()
    if "closes" in HABITS:
        os.close(1)
        time.sleep(60)
    if "stays" in HABITS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve()
    if "stays" in HABITS:
        time.sleep(60)


main()
