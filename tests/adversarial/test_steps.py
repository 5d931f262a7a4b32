"""How long one step holds the event loop up, in CPU time, whatever is sent (C207).

What a message costs is bounded by its size and by the values it may have. On the machine of the published figures the
longest step is 0.12 s for a body, 190,000 members in one object, and 0.2 s for an answer, 5,000 tools to be translated;
most are below 0.05 s. The bound here is for slower machines, and garbage of other tests is none of its business.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from tests.adversarial.doors import HTTP, MODERN, Cell, Door, before, encoded, entered
from tests.adversarial.test_servers import good
from tests.broker.scripted_backend import Asked

MIB: Final = 1024 * 1024
LONGEST_S: Final = 1.0


class Steps:
    """The longest step so far, and what it was."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.what = ""


@contextmanager
def watched() -> Iterator[Steps]:
    """Measure every step of the loop by the CPU time of its thread, which other processes do not lengthen."""
    steps, run = Steps(), asyncio.Handle._run
    gc.collect()
    gc.disable()

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        took = time.thread_time() - began
        if took > steps.longest:
            steps.longest, steps.what = took, repr(handle)

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
        assert steps.longest < LONGEST_S, steps.what


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
            if not streams:
                await asked.reply(200, body)
                return
            await asked.stream()
            for at in range(0, len(body), 64 * 1024):
                await asked.chunk((b"data: " if at == 0 else b"") + body[at : at + 64 * 1024])
            await asked.chunk(b"\n\n")
            await asked.end()

        here.backend.on(method, answer)
        params = json.loads("{" + door.meta().rstrip(",") + "}")
        params |= {"name": "x", "arguments": {}} if method == "tools/call" else {}
        with watched() as steps:
            found = await asks(door, method, params)
        assert "result" in found
        assert steps.longest < LONGEST_S, steps.what


async def asks(door: Door, method: str, params: Any) -> Any:
    """The answer, read apart from the steps that are measured: the client of a test reads it in one of its own."""
    return (
        await door.send(encoded({"id": 9, "method": method, "params": params}), method, params.get("name", ""))
    ).message
