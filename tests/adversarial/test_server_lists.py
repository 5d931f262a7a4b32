"""Servers that try to show what is hidden, or to answer somebody else's call."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import pytest

from tests.adversarial.doors import CELLS, MODERN, Cell, Door, before, encoded, entered
from tests.adversarial.test_servers import Tool, body, event, good, raw, stream, text_of
from tests.broker.scripted_backend import Asked, Json

HIDDEN: Final = "delete_all"
RULES: Json = {"policy": {"rules": [{"name": "none", "deny": f"name == '{HIDDEN}'"}]}}
NEAR = [cell for cell in CELLS if cell.backend in ("2025-03-26", "2025-11-25", MODERN)]


def tool(name: str) -> Json:
    return {"name": name, "inputSchema": {"type": "object"}, "description": f"not {name[::-1]}"}


def listed(asked: Asked, **more: Any) -> bytes:
    """A list with the hidden tool between others."""
    kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    tools = [tool("read"), tool(HIDDEN), tool("write")]
    return json.dumps({"jsonrpc": "2.0", "id": asked.id, "result": {**kept, "tools": tools, **more}}).encode()


LISTS: tuple[tuple[str, Tool], ...] = (
    ("as JSON", body(listed)),
    ("as an event", stream(lambda asked: b"data: " + listed(asked) + b"\n\n")),
    ("over several lines of an event", stream(lambda asked: b"data: {\ndata: " + listed(asked)[1:] + b"\n\n")),
    ("as two answers", stream(lambda asked: b"data: " + listed(asked) + b"\n\n" * 2, event)),
    ("with another page", body(lambda asked: listed(asked, nextCursor="next"))),
    ("behind a byte order mark", body(lambda asked: b"\xef\xbb\xbf" + listed(asked))),
    ("as text", body(listed, "text/plain")),
    ("under an escaped name", body(lambda asked: listed(asked).replace(b'"tools"', b'"to\\u006fls"'))),
    ("twice", body(lambda asked: listed(asked).replace(b'"tools"', b'"tools":[],"tools"'))),
    ("the other way round", body(lambda asked: listed(asked)[:-2] + b',"tools":[]}}')),
    ("under names that are written twice",
     body(lambda asked: listed(asked).replace(b'"name": "delete_all"', b'"name":"read","name":"delete_all"'))),
    ("under an escaped value", body(lambda asked: listed(asked).replace(b"delete_all", b"delete\\u005fall"))),
    ("without a type", raw(b"HTTP/1.1 200 OK\r\ncontent-length: {n}\r\n\r\n{good}")),
)  # fmt: skip


async def asks(door: Door, method: str, number: int) -> Any:
    params = json.loads("{" + door.meta().rstrip(",") + "}")
    answer = await door.send(encoded({"id": number, "method": method, "params": params}), method=method, name="")
    return answer.message


@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_however_a_list_is_written_what_is_hidden_is_not_in_it(cell: Cell) -> None:
    """C147, C011: what cannot be read in one way is an error, and nothing of it is shown."""
    async with before(cell, **RULES) as here, entered(here, cell) as door:
        for number, (how, answer) in enumerate(LISTS, 1):
            here.backend.on("tools/list", answer)
            found = await asks(door, "tools/list", number)
            assert found["id"] == number, how
            assert HIDDEN not in json.dumps(found), how
            if "result" in found and how in ("as JSON", "as an event", "with another page"):
                assert [each["name"] for each in found["result"]["tools"]] == ["read", "write"], how


@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_an_answer_under_the_id_of_anothers_call_answers_nobody(cell: Cell) -> None:
    """C040, C183, C084: nor does progress under its token."""
    async with before(cell) as here, entered(here, cell) as one, entered(here, cell) as other:
        held: asyncio.Queue[Asked] = asyncio.Queue()

        async def calls(asked: Asked) -> None:
            if asked.message["params"]["name"] == "slow":
                held.put_nowait(asked)
                return
            theirs = waiting.message["id"]
            await asked.stream()
            token = {"progressToken": theirs, "progress": 1}
            await asked.event({"method": "notifications/progress", "params": token})
            await asked.event({"id": theirs, "result": good(asked, "stolen")["result"]})
            await asked.end()

        here.backend.on("tools/call", body(lambda asked: json.dumps(good(asked)).encode()))
        await other.call("first")  # so that its calls are not numbered like those of the other one
        here.backend.on("tools/call", calls)
        slow = asyncio.ensure_future(one.call("slow"))
        waiting = await asyncio.wait_for(held.get(), 5)
        thief = await other.call("thief")
        assert "stolen" not in json.dumps(thief.message)
        await waiting.json(good(waiting, "mine"))
        assert text_of(await asyncio.wait_for(slow, 5)) == "mine"
