"""A server on a pipe that costs next to nothing, and that ends in every way a process can.

Run by its path, `python -I -S pipe_server.py [--stays | --dead] [MARK]`; made of the standard library alone, it starts
as fast as an interpreter does. `--stays`: it heeds neither the end of its input nor SIGTERM; `--dead`: it ends at the
first message. A mark is there to be found by. Follows basic/lifecycle and server/tools of the revisions with
sessions. The invariant: what it does not know is an error, never silence.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

PATH: Final = str(Path(__file__))
ECHO, PID = "echo", "pid"
EXITS, ANSWERS, MUTE, LEAVES = "exits", "answers-and-exits", "closes-its-output", "leaves-a-process"
TOOLS: Final = (ECHO, PID, EXITS, ANSWERS, MUTE, LEAVES)
STAYS, DEAD = "--stays", "--dead"
STATUS: Final = 3
TEXT: Final = {"type": "object", "properties": {"text": {"type": "string"}}}


def command(python: str, *options: str) -> tuple[str, ...]:
    """The argv of this server."""
    return (python, "-I", "-S", PATH, *options)


def main() -> None:
    """Answer until the input ends."""
    stays = STAYS in sys.argv
    if stays:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if DEAD in sys.argv:
            os._exit(STATUS)
        asked = json.loads(line)
        if "id" not in asked:
            continue
        _say({"jsonrpc": "2.0", "id": asked["id"], **_answer(asked["method"], asked.get("params") or {})})
        if asked["method"] == "tools/call" and asked["params"]["name"] == ANSWERS:
            os._exit(STATUS)
    while stays:
        signal.pause()


def _answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        info = {"name": "on-a-pipe", "version": "1"}
        opened = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        return {"result": opened}
    if method == "ping":
        return {"result": {}}
    if method == "tools/list":
        return {"result": {"tools": [{"name": name, "inputSchema": TEXT} for name in TOOLS]}}
    if method != "tools/call" or params.get("name") not in TOOLS:
        return {"error": {"code": -32601 if method != "tools/call" else -32602, "message": f"no {method} of that"}}
    name = params["name"]
    if name == LEAVES and os.fork() == 0:
        while True:
            signal.pause()  # holds the pipes open
    if name in (EXITS, LEAVES):
        os._exit(STATUS)
    if name == MUTE:
        os.close(1)
        while True:
            signal.pause()  # it runs on, and heeds SIGTERM
    text = str(os.getpid()) if name == PID else params["arguments"]["text"]
    return {"result": {"content": [{"type": "text", "text": text}]}}


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message, separators=(",", ":")).encode() + b"\n")


if __name__ == "__main__":
    main()
