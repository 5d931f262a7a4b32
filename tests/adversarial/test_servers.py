"""Hostile servers: whatever one answers, its caller gets one answer that its client can read, and nobody else gets any.

Each row is what the server does with a call. The server is asked once, whatever it does, and the next call is served.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import pytest

from tests.adversarial.doors import HTTP, MODERN, PIPE, WAYS, Answer, Cell, before, entered, ran
from tests.broker.scripted_backend import Asked, Json

CELLS = [Cell(client, transport, backend) for client, transport in WAYS for backend in ("2025-11-25", MODERN)]
CANARY: Final = "canary-4711"
SPLIT: Final = "\n\ndata: {}\r\n\r\nid: 7\u2028\x85"
Tool = Callable[[Asked], Awaitable[None]]


def good(asked: Asked, text: str = CANARY) -> Json:
    """A right answer."""
    result = {"resultType": "complete", "content": [{"type": "text", "text": text}]}
    return {"jsonrpc": "2.0", "id": asked.id, "result": result}


class Row(msgspec.Struct, frozen=True):
    """A case, what the server does, and whether its caller is still answered rightly."""

    case: str
    tool: Tool
    served: bool = False


def body(make: Callable[[Asked], bytes], kind: str = "application/json", **headers: str) -> Tool:
    """Answer with these bytes."""

    async def answer(asked: Asked) -> None:
        await asked.reply(200, make(asked), kind, **headers)

    return answer


def error(value: Any) -> Tool:
    """Answer with this as `error`."""
    return body(lambda asked: json.dumps({"jsonrpc": "2.0", "id": asked.id, "error": value}).encode())


def stream(*make: Callable[[Asked], bytes]) -> Tool:
    """Answer with these events, and end the stream."""

    async def answer(asked: Asked) -> None:
        await asked.stream()
        for each in make:
            await asked.chunk(each(asked))
        await asked.end()

    return answer


def raw(text: bytes, *, close: bool = True) -> Tool:
    """Answer with these bytes on the socket; `{good}` is a right body, `{n}` its length."""

    async def answer(asked: Asked) -> None:
        right = json.dumps(good(asked)).encode()
        await asked.raw(text.replace(b"{good}", right).replace(b"{n}", b"%d" % len(right)))
        if close:
            asked.writer.close()

    return answer


def told(asked: Asked) -> bytes:
    return json.dumps(good(asked)).encode()


def event(asked: Asked) -> bytes:
    return b"data: " + told(asked) + b"\n\n"


def of(other: Any) -> Callable[[Asked], bytes]:
    """A right answer under another id."""
    return lambda asked: json.dumps({**good(asked), "id": other}).encode()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ROWS = (
    Row("C011", body(lambda asked: b"\xef\xbb\xbf" + told(asked))),
    Row("C011", body(lambda asked: b"\xc2\xa0" + told(asked))),
    Row("C007", body(lambda asked: told(asked).replace(CANARY.encode(), b"\xff"))),
    Row("C024", body(lambda asked: told(asked) + b"x")),
    Row("C024", body(lambda asked: b"")),
    Row("C024", body(lambda asked: b"null")),
    Row("C026", body(lambda asked: told(asked).replace(b'"2.0"', b'"1.0"'))),
    Row("C020", body(lambda asked: told(asked).replace(b'"content": [', b'"content": [' + b"[" * 100_000))),
    Row("C039", error({"code": "1", "message": CANARY})),
    Row("C039", error({"code": 1.5, "message": CANARY})),
    Row("C039", error({"message": CANARY})),
    Row("C039", error({"code": 1})),
    Row("C039", error(CANARY)),
    Row("C040", body(of(987_654))),
    Row("C040", body(of("1"))),
    Row("C040", body(of(None))),
    Row("C064", raw(HEAD.replace(b"OK", b"OK\x01") + b"content-length: {n}\r\n\r\n{good}"), served=True),
    Row("C064", raw(HEAD + b"x-a: b\r\n\0: c\r\ncontent-length: {n}\r\n\r\n{good}")),
    Row("C072", body(lambda asked: json.dumps(good(asked, SPLIT)).encode()), served=True),
    Row("C073", stream(lambda asked: b"id: a\0b\n" + event(asked)), served=True),
    Row("C073", stream(lambda asked: b"id: " + b"9" * 100_000 + b"\n" + event(asked)), served=True),
    Row("C074", stream(lambda asked: b"event: endpoint\ndata: http://evil.example/\n\n", event), served=True),
    Row("C083", stream(event, lambda asked: event(asked).replace(CANARY.encode(), b"second")), served=True),
    Row("C084", stream(lambda asked: b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":'
                                     b'{"progressToken":"nobody","progress":1}}\n\n', event), served=True),
    Row("C081", stream(lambda asked: b"data: " + of(987_654)(asked) + b"\n\n", event), served=True),
    Row("C085", stream()),
    Row("C085", stream(lambda asked: b": nothing\n\n")),
    Row("C086", stream(lambda asked: b": flood\n\n" * 10_000, event), served=True),
    Row("C086", stream(lambda asked: b"\xef\xbb\xbf" + event(asked).replace(b"\n", b"\r")), served=True),
    Row("C087", stream(lambda asked: b"retry: -1\n\nretry: 99999999999999\n\n", event), served=True),
    Row("C088", stream(lambda asked: b"data: {\ndata: " + told(asked)[1:] + b"\n\n"), served=True),
    Row("C089", body(told, "text/html")),
    Row("C089", body(told, "text/event-stream")),
    Row("C089", body(event, "application/json")),
    Row("C201", body(told, content_encoding="gzip")),
    Row("C201", raw(HEAD + b"content-length: 99999999999\r\n\r\n{good}")),
    Row("C201", raw(HEAD + b"x: " + b"a" * 200_000 + b"\r\ncontent-length: {n}\r\n\r\n{good}")),
    Row("C201", raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000)),
    Row("C216", raw(b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/mcp\r\ncontent-length: 0\r\n\r\n")),
    Row("C216", raw(b"HTTP/1.1 302 X\r\nlocation: file:///etc/passwd\r\ncontent-length: {n}\r\n\r\n{good}")),
    Row("C050", raw(HEAD + b"content-length: {n}\r\ntransfer-encoding: chunked\r\n\r\n{good}")),
    Row("C050", raw(HEAD + b"content-length: {n}\r\ncontent-length: 3\r\n\r\n{good}")),
    Row("C038", body(lambda asked: told(asked).replace(b'"complete"', b'"whatever"'))),
)  # fmt: skip


def text_of(answer: Answer) -> str:
    found: str = answer.message["result"]["content"][0]["text"]
    return found


def failed(answer: Answer) -> bool:
    """An error, or the failure of a tool, which is how a call that may have run is told to a model."""
    return answer.refused or answer.message["result"].get("isError") is True


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_whatever_a_server_answers_its_caller_has_one_answer_and_the_next_call_is_served(cell: Cell) -> None:
    wrong: list[Any] = []
    async with before(cell) as here, entered(here, cell) as door:
        for number, row in enumerate(ROWS):
            here.backend.on("tools/call", row.tool)
            answer = await door.call(f"t{number}")
            if failed(answer) == row.served or answer.message["id"] != door._number:
                wrong.append((row.case, number, answer))
            elif failed(answer) and CANARY in json.dumps(answer.message):
                wrong.append((row.case, number, "quotes its server", answer))
            elif not failed(answer) and text_of(answer) != (SPLIT if row.case == "C072" else CANARY):
                wrong.append((row.case, number, "another answer", answer))
        assert wrong == []
        assert ran(here) == [f"t{number}" for number in range(len(ROWS))]

        async def last(asked: Asked) -> None:
            await asked.json(good(asked, "last"))

        here.backend.on("tools/call", last)
        assert text_of(await door.call("last")) == "last"
        if cell.transport == PIPE or (cell.transport == HTTP and cell.modern):
            assert door._lines.empty()
