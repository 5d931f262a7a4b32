"""How much one step of the event loop does at most, whatever is sent: no message has it busy for long (C207).

Work is counted, not timed: the functions that run in a step, ours and those of C. `python -m benchmarks.heavy` has what
the same messages cost in CPU time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from tests.adversarial.doors import HTTP, MODERN, Cell, Door, before, encoded, entered
from tests.adversarial.test_servers import good
from tests.broker.scripted_backend import Asked

MIB: Final = 1024 * 1024
PER_BYTE: Final = 2
"""Functions in one step for each byte of what it was sent: a list of 5,000 tools that is judged and translated over two
revisions, with 300 bytes a tool, takes 1.5."""

BESIDE: Final = 10_000
"""Those of a step that reads little, or comes to something else as well."""


def most(size: int) -> int:
    """What a step may do that comes to a message of this many bytes."""
    return PER_BYTE * size + BESIDE


class Steps:
    """The step that did most so far, and what it was."""

    def __init__(self) -> None:
        self.most = 0
        self.what = ""


@contextmanager
def watched() -> Iterator[Steps]:
    """Count what every step of the loop does; garbage of other tests is none of its business."""
    steps, run = Steps(), asyncio.Handle._run
    count = 0

    def called(_frame: Any, event: str, _called: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    def measured(handle: asyncio.Handle) -> None:
        nonlocal count
        count = 0
        sys.setprofile(called)
        try:
            run(handle)
        finally:
            sys.setprofile(None)
        if count > steps.most:
            steps.most, steps.what = count, repr(handle)

    gc.collect()
    gc.disable()
    asyncio.Handle._run = measured  # type: ignore[method-assign,assignment]
    try:
        yield steps
    finally:
        gc.enable()
        asyncio.Handle._run = run  # type: ignore[method-assign]


def arguments(text: str) -> bytes:
    return f'{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{<meta>"name":"x","arguments":{text}}}}}'.encode()


BODIES: Final = {
    "4 MiB of zeros": arguments('{"a":[' + "0," * (2 * MIB - 100) + "0]}"),
    "a long string": arguments('{"a":"' + "x" * (4 * MIB - 4_000) + '"}'),
    "a string of escapes": arguments('{"a":"' + "\\u0061" * (MIB // 2) + '"}'),
    "many objects": arguments('{"a":[' + '{"b":1},' * 95_000 + "1]}"),
    "many members": arguments("{" + ",".join(f'"k{n}":{n}' for n in range(190_000)) + "}"),
    "the same member": arguments("{" + '"k":1,' * 60_000 + '"k":2}'),
    "open brackets": b"[" * (4 * MIB - 1),
    "a number": arguments('{"a":' + "1" * MIB + "}"),
    "no UTF-8": arguments('{"a":"' + "\u00e9" * MIB).replace(b"\xc3", b"\xff"),
}


@pytest.mark.parametrize("client", ["2025-11-25", MODERN])
@pytest.mark.parametrize("what", BODIES)
async def test_no_body_of_a_client_holds_the_loop_up(client: str, what: str) -> None:
    """C207."""
    cell = Cell(client, HTTP, client)
    async with before(cell) as here, entered(here, cell) as door:
        body = BODIES[what].replace(b"<meta>", door.meta().encode())
        await door.call("x")
        with watched() as steps:
            await door.send(body)
        assert 0 < steps.most < most(len(body)), steps.what


def described(asked: Asked) -> bytes:
    tool = {"name": "x", "inputSchema": {"type": "object", "properties": {f"p{n}": {} for n in range(5)}}}
    tools = [{**tool, "name": f"t{n}", "description": "d" * 200} for n in range(5_000)]
    kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return json.dumps({"jsonrpc": "2.0", "id": asked.id, "result": {**kept, "tools": tools}}).encode()


def told(size: int, text: str = "x") -> Any:
    return lambda asked: json.dumps({"jsonrpc": "2.0", **good(asked, text * size)}).encode()


ANSWERS: Final = {
    "8 MiB of text": ("tools/call", told(8 * MIB), False),
    "8 MiB of escapes": ("tools/call", told(MIB, "\u00e9\n"), True),
    "5,000 tools": ("tools/list", described, False),
    "5,000 tools in an event": ("tools/list", described, True),
    "a hundred thousand comments": ("tools/call", lambda asked: b"{}\n\n" + b": x\n\n" * 100_000 + b"data: "
                                    + told(1)(asked), True),
}  # fmt: skip


@pytest.mark.parametrize("client", ["2024-11-05", MODERN])
@pytest.mark.parametrize("backend", ["2025-11-25", MODERN])
@pytest.mark.parametrize("what", ANSWERS)
async def test_no_answer_of_a_server_holds_the_loop_up(client: str, backend: str, what: str) -> None:
    """C207: with rules and a filter on, which open lists."""
    method, make, streams = ANSWERS[what]
    rules: Any = {"policy": {"rules": [{"name": "none", "deny": "name.startsWith('hidden_')"}]}}
    cell = Cell(client, HTTP, backend)
    async with before(cell, **rules) as here, entered(here, cell) as door:

        async def answer(asked: Asked) -> None:
            body = make(asked)
            sizes.append(len(body))
            if not streams:
                await asked.reply(200, body)
                return
            await asked.stream()
            for at in range(0, len(body), 64 * 1024):
                await asked.chunk((b"data: " if at == 0 else b"") + body[at : at + 64 * 1024])
            await asked.chunk(b"\n\n")
            await asked.end()

        sizes: list[int] = []
        here.backend.on(method, answer)
        params = json.loads("{" + door.meta().rstrip(",") + "}")
        params |= {"name": "x", "arguments": {}} if method == "tools/call" else {}
        with watched() as steps:
            found = await asks(door, method, params)
        assert "result" in found
        assert 0 < steps.most < most(max(sizes)), steps.what


async def asks(door: Door, method: str, params: Any) -> Any:
    """The answer, read apart from the steps that are measured: the client of a test reads it in one of its own."""
    return (
        await door.send(encoded({"id": 9, "method": method, "params": params}), method, params.get("name", ""))
    ).message
