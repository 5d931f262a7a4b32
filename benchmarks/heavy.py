"""`python -m benchmarks.heavy`: what one message costs that was made to be expensive, beside reading it with `json`.

One broker, with rules and a filter that open lists and arguments. Every round sends every message in turn, by itself;
what the broker's process spends on it bounds how long it can hold the event loop up. The base is `json.loads` of four
megabytes of ordinary arguments in this process and this round, scaled to the message's size: what any server in this
language spends before it knows what it was sent. Exit status: 0 within the gate, 1 beyond, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.client import HarnessError, Session
from benchmarks.gated import ended
from benchmarks.processes import Child

PATH: Final = "/servers/heavy/mcp"
COMMAND: Final = "{{bin}}/dragoman serve {config} --port {{port}}"
REVISION: Final = "2025-11-25"
MIB: Final = 1024 * 1024

GATE: Final = 16.0
"""Most that one message may cost, in `json.loads` of as many bytes of ordinary JSON."""


def _call(arguments: str) -> bytes:
    return f'{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"x","arguments":{arguments}}}}}'.encode()


ORDINARY: Final = _call(json.dumps({"rows": [{"id": n, "name": f"row {n}", "on": True} for n in range(90_000)]}))
BODIES: Final[dict[str, bytes]] = {
    "zeros": _call('{"a":[' + "0," * (2 * MIB - 100) + "0]}"),
    "a long string": _call('{"a":"' + "x" * (4 * MIB - 4_000) + '"}'),
    "escapes": _call('{"a":"' + "\\u0061" * (MIB // 2) + '"}'),
    "objects": _call('{"a":[' + '{"b":1},' * 95_000 + "1]}"),
    "members": _call("{" + ",".join(f'"k{n}":{n}' for n in range(190_000)) + "}"),
    "one member": _call("{" + '"k":1,' * 60_000 + '"k":2}'),
    "brackets": b"[" * (4 * MIB - 1),
    "a number": _call('{"a":' + "1" * MIB + "}"),
}
"""What a client may send, by what it is full of."""


def _tools() -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {f"p{n}": {} for n in range(5)}}
    return [{"name": f"t{n}", "description": "d" * 200, "inputSchema": schema} for n in range(5_000)]


RESULTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "8 MB of text": lambda: {"content": [{"type": "text", "text": "x" * 8 * MIB}]},
    "5,000 tools": lambda: {"tools": _tools()},
}
"""What a server may answer."""


class Row(msgspec.Struct, frozen=True):
    """One message: its size, and what it cost in each round, in milliseconds and in that of the base."""

    name: str
    size: int
    ms: list[float]
    ratios: list[float]


class Server:
    """A server with sessions that answers whatever it is told to."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.tasks: set[asyncio.Task[Any] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        self.tasks.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r")[0].strip()
                body = await reader.readexactly(int(length or b"0"))
                writer.write(self._answer(body, post=head.startswith(b"post ")))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, body: bytes, *, post: bool) -> bytes:
        asked = json.loads(body) if body and post else {}
        if not post:
            return b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n"
        if "id" not in asked or "method" not in asked:
            return b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
        result: Any = self.result
        if asked["method"] == "initialize":
            about = {"name": "heavy", "version": "1"}
            result = {"protocolVersion": REVISION, "capabilities": {"tools": {}}, "serverInfo": about}
        text = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
        head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: s\r\ncontent-length: "
        return f"{head}{len(text)}\r\n\r\n".encode() + text


def base_ns() -> float:
    """What reading a byte of ordinary JSON costs here and now, in ns of CPU."""
    began = time.thread_time_ns()
    json.loads(ORDINARY)
    return (time.thread_time_ns() - began) / len(ORDINARY)


async def measured(rounds: int, folder: Path) -> list[Row]:
    """All rounds."""
    answering = Server()
    server = await asyncio.start_server(answering.serve, "127.0.0.1", 0, limit=16 * MIB)
    config = folder / "heavy.json"
    rule = {"name": "none", "deny": "name.startsWith('hidden_') || (name == 'x' && 'z' in arguments)"}
    where = {"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp", "revision": REVISION}
    filtered = {"tools": {"deny": ["hidden_*"]}}
    config.write_bytes(
        msgspec.json.encode({"servers": {"heavy": {**where, "filter": filtered}}, "policy": {"rules": [rule]}})
    )
    child = Child(COMMAND.format(config=config), PATH)
    costs: dict[str, tuple[int, list[float], list[float]]] = {}

    async def one(name: str, body: bytes, size: int) -> None:
        session = Session(child.port, PATH, REVISION, {})
        await session.open()
        before = child.meter.read_ns()
        status, messages = await session.ask(body)
        spent = child.meter.read_ns() - before
        if status not in (200, 400, 413) or not messages:
            raise HarnessError(f"{name}: answered {status}")
        session.connection.close()
        _, ms, ratios = costs.setdefault(name, (size, [], []))
        ms.append(spent / 1e6)
        ratios.append(spent / (base_ns() * size))

    try:
        await child.ready()
        for _ in range(rounds):
            answering.result = {"content": []}
            for name, body in BODIES.items():
                await one(name, body, len(body))
            for name, make in RESULTS.items():
                answering.result = make()
                method = "tools/list" if "tools" in answering.result else "tools/call"
                asked = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"name": "y"}}
                await one(name, msgspec.json.encode(asked), len(json.dumps(answering.result)))
    finally:
        child.end()
        await asyncio.gather(*filter(None, answering.tasks))
        server.close()
        await server.wait_closed()
    return [Row(name, size, ms, ratios) for name, (size, ms, ratios) in costs.items()]


def text(rows: list[Row]) -> str:
    """The table."""
    lines = [f"{'message':<16}{'MB':>7}{'CPU':>12}   in json.loads [range]"]
    for row in rows:
        low, high = min(row.ratios), max(row.ratios)
        lines.append(
            f"{row.name:<16}{row.size / MIB:>7.2f}{statistics.median(row.ms):>9.1f} ms"
            f"   {statistics.median(row.ratios):.2f} [{low:.2f} {high:.2f}]"
        )
    return "\n".join(lines)


def beyond(rows: list[Row]) -> list[str]:
    """The messages beyond the gate."""
    return [row.name for row in rows if statistics.median(row.ratios) > GATE]


def main(argv: list[str] | None = None) -> int:
    """Run, print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heavy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(argv)
    return ended(lambda folder: measured(given.rounds, folder), text, beyond, GATE)


if __name__ == "__main__":
    sys.exit(main())
