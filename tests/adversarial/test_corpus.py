"""The corpus of JSON at every door (C035): as an argument of a client's call, and as a server's answer to one."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.adversarial.doors import CELLS, MODERN, PIPE, Cell, before, entered, ran
from tests.adversarial.test_servers import failed, good
from tests.broker.scripted_backend import Asked
from tests.protocol_versions.json_corpus import ENCODINGS, REFUSED, TAKEN
from tests.protocol_versions.test_strict import _independent

NEAR: Final = [cell for cell in CELLS if cell.backend in ("2025-11-25", MODERN)]
BAD: Final = (*(text.encode() for text in REFUSED if text.strip()), *ENCODINGS)


def lines(data: bytes) -> bool:
    """A pipe ends messages at line breaks, and what comes after is another message."""
    return b"\n" in data or b"\r" in data


@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_an_argument_that_is_no_json_reaches_no_server_and_one_that_is_arrives(cell: Cell) -> None:
    """C035."""
    async with before(cell) as here, entered(here, cell) as door:
        apart = cell.transport == PIPE
        head = (
            f'{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{{door.meta()}"name":"x","arguments":'.encode()
        )
        for data in BAD[:: 1 if cell.backend == MODERN else 4]:
            if apart and lines(data):
                continue
            answer = await door.attack(head + b'{"v":' + data + b"}}}")
            assert answer.refused, data
        assert ran(here) == []
        for text in TAKEN[:: 1 if cell.backend == MODERN else 4]:
            if not (apart and lines(text.encode())):
                answer = await door.send(head + b'{"v":' + text.encode() + b"}}}")
                assert not answer.refused, text
                sent = [asked for asked in here.backend.asked if asked.key == "tools/call"][-1]
                assert _independent(sent.body)["params"]["arguments"] == {"v": _independent(text.encode())}, text


@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_an_answer_that_is_no_json_is_an_error_and_one_that_is_arrives(cell: Cell) -> None:
    """C035: where a member is read; what is passed unread is JSON to whoever reads it."""
    async with before(cell) as here, entered(here, cell) as door:

        async def answers(data: bytes, streams: bool) -> Any:
            async def tool(asked: Asked) -> None:
                text = json.dumps(good(asked)).encode().replace(b'"complete"', b'"complete","v":' + data, 1)
                if streams and not lines(data):
                    await asked.stream()
                    await asked.chunk(b"data: " + text + b"\n\n")
                    await asked.end()
                else:
                    await asked.reply(200, text)

            here.backend.on("tools/call", tool)
            return await door.call("x")

        step = 2 if cell.backend == MODERN else 5
        for number, data in enumerate(BAD[::step]):
            answer = await answers(data, bool(number % 2))
            assert failed(answer), data
        for number, text in enumerate(TAKEN[::step]):
            answer = await answers(text.encode(), bool(number % 2))
            assert not failed(answer), (text, answer)
