"""Bodies that no two readers may read alike, or that would cost too much: refused at every way in, and nothing is run.

`<meta>` is what a stateless request begins its params with. Ways: `all`, or those whose name it is part of.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.adversarial.doors import CELLS, PIPE, Cell, before, encoded, entered, ran

CALL = '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{<meta>"name":"x","arguments":{}}}'
PARSE, INVALID, PARAMS, METHOD = -32700, -32600, -32602, -32601


class Row(msgspec.Struct, frozen=True):
    """A case of the catalogue, a body, and the codes it may be refused with."""

    case: str
    body: bytes
    codes: tuple[int, ...]
    but: str = ""
    """A transport on which these bytes are something else."""


def row(case: str, body: str | bytes, *codes: int, but: str = "") -> Row:
    return Row(case, body if isinstance(body, bytes) else body.encode(), codes, but)


def with_arguments(text: str) -> str:
    return CALL.replace('"arguments":{}', f'"arguments":{text}')


def with_id(text: str) -> str:
    return CALL.replace('"id":9', f'"id":{text}')


BAD = (
    row("C001", CALL.replace('"method"', '"method":"tools/list","method"'), INVALID),
    row("C001", CALL.replace('"name":"x"', '"name":"y","name":"x"'), INVALID),
    row("C001", CALL[:-1] + ',"params":{"name":"y"}}', INVALID),
    row("C002", with_arguments('{"a":{"b":{"c":{"d":{"e":1,"e":2}}}}}'), INVALID),
    row("C003", CALL.replace('"method"', '"method":"tools/list","\\u006dethod"'), INVALID),
    row("C004", CALL.replace('"method"', '"Method"'), INVALID),
    row("C004", CALL.replace('"method"', '"METHOD"'), INVALID),
    row("C004", CALL.replace('"method"', '"met\u210eod"'), INVALID),
    row("C005", CALL.replace('"method"', '"method\\u0000":"tools/list","method"'), INVALID),
    row("C005", CALL.replace('"name"', '"name\\u0000":"y","name"'), INVALID),
    row("C007", CALL.encode().replace(b'"id":9', b'"id":9,"z":"\xff"'), PARSE),
    row("C008", with_arguments('{"a":"?"}').encode().replace(b"?", b"\xc0\xaf"), PARSE),
    row("C008", with_arguments('{"a":"?"}').encode().replace(b"?", b"\xed\xa0\x80"), PARSE),
    row("C008", CALL.encode() + b"\xe2\x82", PARSE),
    row("C009", with_arguments('{"a":"\\ud800"}'), PARSE),
    row("C009", with_arguments('{"a":"\\udc00\\ud800"}'), PARSE),
    row("C010", b"\xef\xbb\xbf" + CALL.encode(), PARSE),
    row("C010", CALL.encode("utf-16"), PARSE),
    row("C010", CALL.encode("utf-32-le"), PARSE),
    *(row("C012", with_arguments(f'{{"a":{text}}}'), PARSE) for text in ("NaN", "Infinity", "-Infinity", "1e999")),
    *(row("C013", with_id(text), INVALID) for text in ("1.0", "1e0", "1.5", "true", "[]", "{}")),
    *(row("C015", with_id(text), INVALID) for text in ("18446744073709551616", "1" * 4_300, "1" * 1_000_000)),
    row("C017", with_id(json.dumps("i" * 1_048_576)), INVALID),
    *(row("C020", with_arguments("[" * n + "]" * n), INVALID, PARSE) for n in (65, 1_000, 100_000)),
    row("C021", with_arguments("[" + "0," * 250_000 + "0]"), INVALID),
    row("C021", with_arguments("[" + "{}," * 210_000 + "{}]"), INVALID),
    row("C022", with_arguments('{"' + "k" * 5_000 + '":1}'), INVALID),
    row("C023", with_arguments('{"a":0.' + "1" * 100_000 + "}"), INVALID),
    *(row("C024", CALL + text, PARSE) for text in (" x", "\x00", CALL)),
    *(row("C024", text, PARSE, INVALID, but=PIPE) for text in (" ", "\r\n")),
    *(row("C024", text, PARSE, INVALID) for text in ("null", '"tools/call"', "7")),
    row("C025", CALL + " // x", PARSE),
    row("C025", CALL.replace('"', "'"), PARSE),
    row("C025", with_arguments('{"a":01}'), PARSE),
    row("C025", with_arguments('{"a":+1}'), PARSE),
    row("C025", with_arguments('{"a":1,}'), PARSE),
    row("C025", "\x0b" + CALL, PARSE),
    *(row("C026", CALL.replace('"2.0"', text), INVALID) for text in ('"1.0"', "2", '"2.0 "', "null")),
    row("C026", CALL.replace('"jsonrpc":"2.0",', ""), INVALID),
    row("C027", CALL[:-1] + ',"result":{}}', INVALID),
    row("C027", CALL[:-1] + ',"error":{"code":1,"message":""}}', INVALID),
    row("C027", '{"jsonrpc":"2.0","id":9,"result":{},"error":{"code":1,"message":""}}', INVALID),
    row("C028", with_id("null"), INVALID),
    *(row("C029", f'{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{text}}}', PARAMS, INVALID)
      for text in ("[]", '"x"', "7")),
    *(row("C032", f"[{CALL},{CALL.replace('9', '8', 1)}]", INVALID) for _ in range(1)),
    row("C034", "[]", INVALID),
    row("C034", f"[[{CALL}]]", INVALID),
    row("C034", f'[{CALL},{{"jsonrpc":"2.0","id":3,"method":"initialize","params":{{}}}}]', INVALID),
    row("C033", "[" + ",".join(with_id(str(n)) for n in range(51)) + "]", INVALID),
)  # fmt: skip
BATCHES = {"C032": "2025-03-26"}
"""Cases that are none for clients of a revision."""


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_what_is_no_message_or_more_than_one_is_refused_and_nothing_is_run(cell: Cell) -> None:
    wrong = []
    async with before(cell) as here, entered(here, cell) as door:
        for each in BAD:
            if each.but == cell.transport or BATCHES.get(each.case) == cell.client:
                continue
            answer = await door.attack(each.body.replace(b"<meta>", door.meta().encode()))
            if not answer.refused or (answer.code and answer.code not in each.codes) or ran(here):
                wrong.append((each.case, each.body[:90], answer.status, answer.code, ran(here)))
        assert wrong == []
        assert not (await door.call()).refused
        assert ran(here) == ["x"]


GOOD: tuple[tuple[str, Any, Any], ...] = (
    ("C006", 7001, {"__proto__": {"a": 1}, "constructor": 2, "prototype": [3]}),
    ("C014", 9007199254740993, {}),
    ("C014", -9007199254740993, {}),
    ("C017", "", {}),
    ("C017", "i" * 1024, {}),
    ("C018", "a\r\nid: 1\r\n\r\n\u202e\U0001f600", {}),
    ("C018", "a\0b", {}),
    ("C020", 7002, json.loads('{"a":' * 40 + "1" + "}" * 40)),
    ("C022", 7003, {"text": "t" * 1_000_000}),
    ("C063", 7004, {"a": "line\r\nX-Injected: 1\r\n\r\n"}),
)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_what_only_looks_odd_arrives_as_it_was_sent(cell: Cell) -> None:
    async with before(cell) as here, entered(here, cell) as door:
        for case, client_id, arguments in GOOD:
            text = with_id(json.dumps(client_id)).replace('"arguments":{}', f'"arguments":{json.dumps(arguments)}')
            answer = await door.send(text.replace("<meta>", door.meta()).encode())
            assert not answer.refused, (case, answer)
            assert (answer.message["id"], type(answer.message["id"])) == (client_id, type(client_id)), case
            asked = [each for each in here.backend.asked if each.key == "tools/call"][-1]
            assert asked.message["params"]["arguments"] == arguments, case
            assert "x-injected" not in asked.headers, case
            assert type(asked.message["id"]) is int, case
            assert client_id == "" or asked.message["id"] != client_id, case


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_equal_ids_and_ids_like_those_of_the_broker_are_told_apart(cell: Cell) -> None:
    """C016, C180, C181, C182: each answer is its caller's, whatever they call their requests."""
    async with before(cell) as here:

        async def echo(asked: Any) -> None:
            text = asked.message["params"]["arguments"]["who"]
            complete = {"resultType": "complete"} if cell.backend == "2026-07-28" else {}
            await asked.result({**complete, "content": [{"type": "text", "text": text}]})

        here.backend.on("tools/call", echo)
        async with entered(here, cell) as one, entered(here, cell) as other:
            for client_id in (0, 1, "1", 2, "2"):
                for door, who in ((one, "one"), (other, "other")):
                    meta = json.loads("{" + door.meta().rstrip(",") + "}") if door.meta() else {}
                    meta = {**meta.get("_meta", {}), "progressToken": 1}
                    params = {"name": "x", "arguments": {"who": f"{who} {client_id!r}"}, "_meta": meta}
                    answer = await door.send(encoded({"id": client_id, "method": "tools/call", "params": params}))
                    said = (answer.message["id"], answer.message["result"]["content"][0]["text"])
                    assert said == (client_id, f"{who} {client_id!r}")
                    assert type(answer.message["id"]) is type(client_id)
