"""Pages of lists, and the cursors that lead to them: what is hidden is on none, whoever follows which cursor (C146)."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest

from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from tests.adversarial.doors import CELLS, MODERN, Cell, Door, before, encoded, entered
from tests.broker.rules_world import rules
from tests.broker.scripted_backend import Asked, Json, World

HIDDEN: Final = "delete_all"
LISTS: Final = {
    "tools/list": ("tools", "name", "kind == 'tool'", {"inputSchema": {"type": "object"}}),
    "prompts/list": ("prompts", "name", "kind == 'prompt'", {}),
    "resources/list": ("resources", "uri", "kind == 'resource'", {"name": "r"}),
    "resources/templates/list": ("resourceTemplates", "uriTemplate", "kind == 'template'", {"name": "t"}),
}
NAMES: Final = {"name": HIDDEN, "uri": f"file:///{HIDDEN}", "uriTemplate": f"file:///{HIDDEN}/{{x}}"}
OFFERS: Final[Json] = {"tools": {}, "prompts": {}, "resources": {}}


def serve(here: World, cell: Cell) -> None:
    """Two pages of each list, the hidden one on the second; a cursor it does not know is answered with everything."""
    here.backend.capabilities = OFFERS
    kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if cell.backend == MODERN else {}
    for method, (member, key, _, more) in LISTS.items():

        def page(asked: Asked, member: str = member, key: str = key, more: Any = more) -> Json:
            kind = NAMES[key].replace(HIDDEN, "{}")
            entries = [{key: kind.replace("{}", name), **more} for name in ("a", "b", HIDDEN, "c")]
            cursor = asked.message.get("params", {}).get("cursor")
            if cursor is None:
                return {member: entries[:2], "nextCursor": f"{member}:2"}
            return {member: entries[2:] if cursor == f"{member}:2" else entries}

        async def answer(asked: Asked, page: Any = page) -> None:
            await asked.result({**kept, **page(asked)})

        here.backend.on(method, answer)


async def page(door: Door, method: str, cursor: Any = None) -> Json:
    door._number += 1
    params = json.loads("{" + door.meta().rstrip(",") + "}") | ({} if cursor is None else {"cursor": cursor})
    message: Json = (
        await door.send(encoded({"id": door._number, "method": method, "params": params}), method, "")
    ).message
    return message


def edited(cursor: str) -> list[Any]:
    """Cursors that nobody gave."""
    flipped = base64.b64encode(cursor.encode()).decode()
    return [
        cursor[:-1],
        cursor + "0",
        cursor[::-1],
        flipped,
        "",
        "x" * 10_000,
        "\u202e",
        cursor.upper(),
        "../" + cursor,
        7,
        None,
    ]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_no_cursor_leads_to_what_is_hidden(cell: Cell) -> None:
    """C145, C146: one from before the rules changed, an edited one, another caller's, one of another list."""
    async with before(cell, keys=True) as here:
        serve(here, cell)
        async with entered(here, cell, "ann") as ann, entered(here, cell, "bob") as bob:
            given: dict[str, str] = {}
            for method, (member, _, _, _) in LISTS.items():
                first = (await page(bob, method))["result"]
                assert len(first[member]) == 2
                given[method] = first["nextCursor"]
            # From here on Bob may not see it, nor follow anything that he got before to it.
            lines = [f"deny principal == 'key:bob' && {kind} && name.contains('{HIDDEN}')"
                     for _, _, kind, _ in LISTS.values()]  # fmt: skip
            here.context.hooks.replace([Policy(rules(*lines, backend="default"), Memory())])
            for method, cursor in given.items():
                for each in [cursor, *edited(cursor), *given.values()]:
                    found = await page(bob, method, each)
                    assert HIDDEN not in json.dumps(found), (method, each)
                    assert ("result" in found) != ("error" in found)
                mine = (await page(ann, method))["result"]["nextCursor"]
                assert HIDDEN in json.dumps(await page(ann, method, mine))
                assert HIDDEN not in json.dumps(await page(bob, method, mine))
