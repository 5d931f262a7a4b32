"""Schemas that are made to be expensive (C209): they are passed on or refused, and neither evaluated nor followed."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import pytest

from tests.adversarial.doors import CELLS, MODERN, Cell, before, encoded, entered
from tests.adversarial.test_steps import most, watched
from tests.broker.scripted_backend import Asked, Json

DOUBLED: Json = {"type": "string"}
for _ in range(18):  # 2^18 ways through it, in a few kilobytes
    DOUBLED = {"$defs": {"next": DOUBLED}, "anyOf": [{"$ref": "#/$defs/next"}, {"$ref": "#/$defs/next"}]}


def deep(levels: int, word: str = "properties") -> Json:
    found: Json = {"type": "object"}
    for _ in range(levels):
        found = {"type": "object", word: {"a": found} if word == "properties" else found}
    return found


def bombs(port: int) -> dict[str, Json]:
    """By name; each is a whole `inputSchema`."""
    return {
        "doubled": {"type": "object", "properties": {"a": DOUBLED}},
        "itself": {"type": "object", "$ref": "#", "properties": {"a": {"$ref": "#"}}},
        "unique": {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}},
        "enum": {"type": "object", "properties": {"a": {"enum": [f"value {n}" for n in range(20_000)]}}},
        "multiple": {"type": "object", "properties": {"a": {"multipleOf": 1e-300, "maximum": 1e308}}},
        "pattern": {
            "type": "object",
            "properties": {"a": {"pattern": "^(a+)+$"}},
            "patternProperties": {"^(.*)*$": {}},
        },
        "deep": deep(20),
        "all": {"type": "object", "allOf": [{"allOf": [{"allOf": [deep(3)] * 20}] * 20}]},
        **{
            f"elsewhere {n}": {
                "type": "object",
                "$ref": url,
                "$schema": url,
                "$id": url,
                "properties": {"a": {"$ref": url}},
            }
            for n, url in enumerate((f"http://127.0.0.1:{port}/s.json", "file:///etc/passwd", "gopher://127.0.0.1/1"))
        },
    }


GUARDS: Final[Json] = {
    "policy": {"rules": [{"name": "none", "deny": "annotations.destructiveHint == true && name == 'hidden'"}]},
    "sanitise": {"rules": [{"find": ["secrets", "hidden-text"]}]},
}
BACKEND: Final[Json] = {
    "inject": [{"argument": "tenant", "value": "acme"}],
    "definitions": {"changed": "hold", "look_alike": "hold"},
    "filter": {"tools": {"deny": ["hidden"]}},
}


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.backend in ("2025-11-25", MODERN)], ids=str)
async def test_a_schema_costs_what_its_text_costs_and_nothing_it_names_is_fetched(cell: Cell) -> None:
    """C209: with everything on that reads lists."""
    asked_for: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_for.append(await reader.readline())
        writer.close()

    listener = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, before(cell, backend=BACKEND, **GUARDS) as here, entered(here, cell) as door:
        kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if cell.backend == MODERN else {}
        for number, (name, schema) in enumerate(bombs(port).items()):
            tools = [{"name": "good", "inputSchema": {"type": "object"}},
                     {"name": name, "inputSchema": schema, "outputSchema": schema}]  # fmt: skip

            async def answer(asked: Asked, tools: Any = tools) -> None:
                await asked.result({**kept, "tools": tools})

            here.backend.on("tools/list", answer)
            params = json.loads("{" + door.meta().rstrip(",") + "}")
            body = encoded({"id": number, "method": "tools/list", "params": params})
            with watched() as steps:
                found = (await door.send(body, "tools/list", "")).message
            assert 0 < steps.most < most(2 * len(json.dumps(tools))), (name, steps.what)
            if "result" in found:
                assert [tool["name"] for tool in found["result"]["tools"]][:1] == ["good"], name
            else:
                assert found["error"]["data"]["origin"] == "broker", name
            assert not (await door.call("good", a="x" * 1_000)).refused, name
    assert asked_for == []
