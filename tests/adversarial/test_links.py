"""Hidden resources in what tools and prompts say: neither shown nor linked to; the rest is as it was (C142)."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.adversarial.doors import CELLS, HTTP, MODERN, Cell, Door, before, encoded, entered
from tests.broker.scripted_backend import Asked, Json, World

HIDDEN: Final = "file:///secret/plan"
SPELLINGS: Final = (HIDDEN, "file:///a/../secret/plan", "FILE:///secret/plan", "file:///%73ecret/plan")
TEXT: Final[Json] = {"type": "text", "text": "a resource, as a word"}
NEAR: Final = [cell for cell in CELLS if cell.backend in ("2025-06-18", "2025-11-25", MODERN)]
RULE: Final = "principal == 'key:bob' && kind == 'resource' && name.startsWith('file:///secret/')"
GUARDS: Final[dict[str, Json]] = {
    "rules": {"policy": {"rules": [{"name": "secret", "deny": RULE}]}},
    "rules that allow": {
        "policy": {
            "default": "deny",
            "rules": [
                {"name": "tools", "allow": "kind in ['tool', 'prompt'] || kind == ''"},
                {"name": "ann", "allow": "principal == 'key:ann'"},
                {"name": "secret", "deny": RULE},
            ],
        }
    },
    "a filter": {"backend": {"filter": {"resources": {"deny": ["*secret/plan"]}}}},
}


def link(uri: str) -> Json:
    return {"type": "resource_link", "uri": uri, "name": "r"}


def held(uri: str) -> Json:
    return {"type": "resource", "resource": {"uri": uri, "text": "CANARY" if "plan" in uri else "open"}}


def says(here: World, cell: Cell, *blocks: Json, escaped: bool = False) -> None:
    """A tool and a prompt that say these."""
    complete: Json = {"resultType": "complete"} if cell.backend == MODERN else {}
    here.backend.capabilities = {"tools": {}, "prompts": {}, "resources": {}}

    async def answer(asked: Asked) -> None:
        messages = [{"role": "user", "content": block} for block in blocks]
        body = {"content": list(blocks)} if asked.key == "tools/call" else {"messages": messages}
        text = json.dumps({"jsonrpc": "2.0", "id": asked.id, "result": {**complete, **body}})
        if escaped:
            text = text.replace('"resource', '"\\u0072esource').replace("secret", "\\u0073ecret")
        await asked.reply(200, text.encode())

    here.backend.on("tools/call", answer)
    here.backend.on("prompts/get", answer)


async def said(door: Door, method: str) -> str:
    door._number += 1
    params = json.loads("{" + door.meta().rstrip(",") + "}") | {"name": "x"}
    body = encoded({"id": door._number, "method": method, "params": params})
    found: Any = (await door.send(body, method, "x")).message
    assert "result" in found, found
    return json.dumps(found["result"])


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_a_hidden_resource_is_in_no_result_of_a_tool_or_a_prompt(cell: Cell, guard: str) -> None:
    """C142, C175: whatever its spelling, and however its type is written."""
    async with before(cell, keys=True, **GUARDS[guard]) as here, entered(here, cell, "bob") as bob:
        for method in ("tools/call", "prompts/get"):
            for uri in SPELLINGS[: 1 if guard == "a filter" else None]:
                for escaped in (False, True):
                    says(here, cell, TEXT, link(uri), held(uri), held("mem://open"), escaped=escaped)
                    text = await said(bob, method)
                    assert "plan" not in text, (method, uri, text)
                    assert "CANARY" not in text
                    assert "as a word" in text
                    assert "mem://open" in text
            if guard != "a filter":
                async with entered(here, cell, "ann") as ann:
                    assert "CANARY" in await said(ann, method)


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_a_read_of_one_resource_gives_nothing_of_a_hidden_one(cell: Cell, guard: str) -> None:
    """C142: such as those of a folder that may be read."""
    more: Json = {} if guard != "rules that allow" else {"allow": "name == 'file:///open'"}
    settings = json.loads(json.dumps(GUARDS[guard]))
    if more:
        settings["policy"]["rules"].append({"name": "open", **more})
    async with before(cell, keys=True, **settings) as here, entered(here, cell, "bob") as bob:
        kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if cell.backend == MODERN else {}
        here.backend.capabilities = {"resources": {}}

        async def reads(asked: Asked) -> None:
            contents = [held(uri)["resource"] for uri in ("file:///open/a", HIDDEN, "file:///open/b")]
            await asked.result({**kept, "contents": contents})

        here.backend.on("resources/read", reads)
        params = json.loads("{" + bob.meta().rstrip(",") + "}") | {"uri": "file:///open"}
        name: dict[str, Any] = {"Mcp_Name": "file:///open"} if cell.modern and cell.transport == HTTP else {}
        body = encoded({"id": 5, "method": "resources/read", "params": params})
        answer = await bob.send(body, "resources/read", **name)
        assert "result" in answer.message, answer
        assert [each["uri"] for each in answer.message["result"]["contents"]] == ["file:///open/a", "file:///open/b"]
