"""Whether anything tells a hidden name from one that does not exist, beside the answer to its plain use (C163)."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.adversarial.doors import CELLS, HTTP, MODERN, Cell, Door, before, encoded, entered, ran, spelled
from tests.adversarial.test_bypass import HIDDEN, RULES
from tests.broker.scripted_backend import Asked, Json, World

ABSENT: Final = "delete_nil"
"""As long as the hidden one, and nothing."""

SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
}
FILTER: Final[Json] = {"backend": {"filter": {"tools": {"deny": [HIDDEN]}}}}
GUARDS: Final = {"rules": RULES, "a filter": FILTER}


def lists(here: World, cell: Cell) -> None:
    """A server that lists the hidden tool, with an argument that goes into a header."""
    kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if cell.backend == MODERN else {}
    here.backend.capabilities = {"tools": {}}

    async def tools(asked: Asked) -> None:
        await asked.result({**kept, "tools": [{"name": name, "inputSchema": SCHEMA} for name in ("read", HIDDEN)]})

    here.backend.on("tools/list", tools)


async def answer(door: Door, name: str, arguments: Any, **headers: Any) -> Json:
    """All that a client is told of a call, but for the id."""
    params = json.loads("{" + door.meta().rstrip(",") + "}") | {"name": name, "arguments": arguments}
    body = encoded({"id": 9, "method": "tools/call", "params": params})
    found = await door.send(body, name=spelled(name), **headers)
    return {"status": found.status, "said": json.dumps(found.message).replace(name, "NAME")}


CALLS: Final[tuple[tuple[Any, Json], ...]] = (
    ({}, {}),
    ({"region": "eu"}, {"Mcp_Param_Region": "eu"}),
    ({"region": "eu"}, {"Mcp_Param_Region": "us"}),
    ({"region": "eu"}, {}),
    ({}, {"Mcp_Param_Region": "=?base64?!?="}),
    ({"region": "\u0000\r\n"}, {}),
    ({"region": ["a"]}, {}),
    ({"region": 2**60}, {}),
    ([], {}),
    ("text", {}),
    (None, {}),
)


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_what_is_known_of_a_hidden_tool_shows_in_no_answer(cell: Cell, guard: str) -> None:
    """C163: its schema was read from the same list as everybody else's."""
    async with before(cell, keys=True, **GUARDS[guard]) as here:
        lists(here, cell)
        async with entered(here, cell, "bob") as door:
            params = json.loads("{" + door.meta().rstrip(",") + "}")
            listed = await door.send(encoded({"id": 1, "method": "tools/list", "params": params}), "tools/list", "")
            assert [tool["name"] for tool in listed.message["result"]["tools"]] == ["read"]
            for arguments, lines in CALLS:
                headers: dict[str, Any] = lines if cell.transport == HTTP and cell.modern else {}
                hidden = await answer(door, HIDDEN, arguments, **headers)
                if guard == "rules":  # where whatever is not allowed is hidden, none of the two reaches the server
                    assert hidden == await answer(door, ABSENT, arguments, **headers), (arguments, lines)
                else:
                    plain = await answer(door, HIDDEN, {})
                    assert hidden == plain, (arguments, lines)
            assert HIDDEN not in ran(here)
