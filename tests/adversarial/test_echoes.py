"""Servers that write back what they were shown: no credential of the operator's reaches a client (C155)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from broker.backends.hidden import MARK, Hidden
from tests.adversarial.doors import CELLS, MODERN, Cell, Door, before, encoded, entered
from tests.adversarial.test_servers import good
from tests.broker.http1_world import within
from tests.broker.modern_world import ask
from tests.broker.pipe_world import pipe
from tests.broker.scripted_backend import Asked, Json
from tests.broker.test_backend_tokens import exchanged, given, shows, supplied

KEY: Final = "sk-canary/4711-key"
TOKEN: Final = "canary-0815-token"
INJECTED: Final = "canary-tenant-secret"
CANARIES: Final = (KEY, TOKEN, INJECTED)
SHOWN: Json = {
    "headers": {"Authorization": f"Bearer {TOKEN}", "X-Api-Key": KEY},
    "inject": [{"header": "X-Tenant-Secret", "value": INJECTED}],
}
NEAR: Final = [cell for cell in CELLS if cell.backend in ("2024-11-05", "2025-03-26", "2025-11-25", MODERN)]
ODD: Final = "".join(f"\\u{ord(char):04x}" for char in KEY)


def dump(asked: Asked) -> str:
    """What a careless server writes: every header it was sent."""
    return " ".join(f"{name}: {value}" for name, value in asked.headers.items())


def as_result(asked: Asked) -> Json:
    content = [{"type": "text", "text": dump(asked)}, {"type": "text", "text": json.dumps(asked.headers)}]
    body = {"content": content, "structuredContent": {dump(asked): asked.headers}, "_meta": {"x/y": [dump(asked)]}}
    return {"id": asked.id, "result": {"resultType": "complete", **body}}


def as_failure(asked: Asked) -> Json:
    content = [{"type": "text", "text": dump(asked)}]
    return {"id": asked.id, "result": {"resultType": "complete", "content": content, "isError": True}}


def as_error(asked: Asked) -> Json:
    return {"id": asked.id, "error": {"code": -32000, "message": dump(asked), "data": {"headers": asked.headers}}}


SAID: Final = (as_result, as_failure, as_error)


def written(message: Json) -> tuple[bytes, ...]:
    """As it is, with escapes that nobody needs, and with its slashes escaped."""
    text = json.dumps({"jsonrpc": "2.0", **message})
    return tuple(each.encode() for each in (text, text.replace(KEY, ODD), text.replace("/", "\\/")))


async def answers(door: Door, here: Any, cell: Cell) -> list[Json]:
    """What becomes of every echo, whole and as a stream with a message before it."""
    found: list[Json] = []
    for say in SAID:
        for form in range(3):
            for streams in (False, True):

                async def tool(asked: Asked, say: Any = say, form: int = form, streams: bool = streams) -> None:
                    body = written(say(asked))[form]
                    if not streams:
                        await asked.reply(200, body)
                        return
                    await asked.stream()
                    token = (asked.message["params"].get("_meta") or {}).get("progressToken")
                    told = {"progressToken": token, "progress": 1, "message": dump(asked)}
                    note = written({"method": "notifications/progress", "params": told})[form]
                    await asked.chunk(b"data: " + note + b"\n\n")
                    await asked.chunk(b"data: " + body + b"\n\n")
                    await asked.end()

                here.backend.on("tools/call", tool)
                found.append((await door.call("x")).message)
    return found


@pytest.mark.parametrize("cell", NEAR, ids=str)
async def test_what_a_server_was_shown_and_writes_back_reaches_no_client(cell: Cell) -> None:
    """C155: in a result, a failure, an error, its data, a name of a member and a message before the answer."""
    async with before(cell, backend=SHOWN) as here, entered(here, cell) as door:
        heard = await answers(door, here, cell)
        asked = [each for each in here.backend.asked if each.key == "tools/call"][-1]
        assert all(canary in dump(asked) for canary in CANARIES)
        for message in heard:
            text = json.dumps(message)
            assert not any(canary in text for canary in CANARIES), message
            assert "result" in message or "error" in message
            assert MARK in text


@pytest.mark.parametrize("cell", [cell for cell in NEAR if cell.transport == "http"], ids=str)
async def test_an_operator_may_let_echoes_pass(cell: Cell) -> None:
    """C155: the other way about, so that it is seen that it is the broker that hides them."""
    async with before(cell, backend={**SHOWN, "hide_credentials": False}) as here, entered(here, cell) as door:
        heard = json.dumps(await answers(door, here, cell))
        assert all(canary in heard for canary in (TOKEN, INJECTED))


@pytest.mark.parametrize("listing", ["tools/list", "server/discover", "initialize"])
async def test_lists_and_greetings_are_looked_through_too(listing: str) -> None:
    """C155: `instructions` and descriptions are written before anybody calls anything."""
    revision = MODERN if listing == "server/discover" else "2025-11-25"
    cell = Cell(revision, "http", revision)
    async with before(cell, backend=SHOWN) as here:

        async def tools(asked: Asked) -> None:
            described = {"name": "x", "inputSchema": {"type": "object"}, "description": dump(asked) * 40}
            kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
            await asked.result({**kept, "tools": [described]})

        async def greets(asked: Asked) -> None:
            info = {"capabilities": {"tools": {}}, "instructions": dump(asked)}
            if listing == "server/discover":
                kept = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
                meta = {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}}
                await asked.result({**kept, **info, "supportedVersions": [MODERN], "_meta": meta})
            else:
                server = {"name": "s", "version": "1"}
                await asked.result({**info, "protocolVersion": revision, "serverInfo": server}, mcp_session_id="s1")

        here.backend.on("tools/list", tools)
        if listing != "tools/list":
            here.backend.on(listing, greets)
        async with entered(here, cell) as door:
            params = json.loads("{" + door.meta().rstrip(",") + "}")
            if listing == "initialize":
                info = {"name": "raw", "version": "0"}
                params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": info}
                door.client.session = ""
            for number in range(3):  # a list that comes again is recognised, not read
                message = (
                    await door.send(encoded({"id": number, "method": listing, "params": params}), listing, "")
                ).message
                text = json.dumps(message["result"])
                assert not any(canary in text for canary in CANARIES)
                assert MARK in text


async def test_a_token_the_broker_got_by_itself_is_hidden_after_each_renewal() -> None:
    """C155."""
    async with supplied() as (here, server):
        numbers = iter(range(100))
        server.token = lambda form: given(f"minted-token-{next(numbers)}")(form)
        await here.client.open()

        async def tool(asked: Asked) -> None:
            if asked.headers["authorization"] == "Bearer minted-token-0":
                await asked.reply(401, b"{}")
            else:
                await asked.json(good(asked, dump(asked)))

        here.backend.on("tools/call", tool)
        for _ in range(2):
            said = (await here.client.call()).json["result"]["content"][0]["text"]
            assert "minted-token" not in said
            assert f"authorization: Bearer {MARK}" in said


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
async def test_a_token_of_each_callers_own_is_hidden_from_it(revision: str) -> None:
    """C155: the token was got in exchange, and is the broker's."""
    async with supplied(grant="token-exchange", backend={"revision": revision}) as (here, server):
        server.token = exchanged
        for name in ("ann", "bob"):
            client = here.another()
            client.headers = {"Authorization": shows(here, server, name)}

            async def tool(asked: Asked) -> None:
                await asked.json(good(asked, dump(asked)))

            here.backend.on("tools/call", tool)
            if revision == MODERN:
                said = json.dumps((await ask(client)).json)
            else:
                await client.open()
                said = json.dumps((await client.call()).json)
            assert f"Bearer {MARK}" in said, name
            assert f"for-{name}" not in said


@pytest.mark.parametrize("habits", [(), ("modern",)], ids=["sessions", "stateless"])
async def test_a_variable_of_a_process_is_hidden_in_what_it_says(tmp_path: Path, habits: tuple[str, ...]) -> None:
    """C155, C241: on a pipe it is the environment that holds the credentials."""
    variables = {"SECRET_TOKEN": KEY}
    async with pipe(tmp_path, *habits, env=variables, hidden=Hidden([KEY])) as here:
        if not habits:
            await here.open()
        asks = here.modern if habits else here.ask
        answer = await within(asks(1, "tools/call", {"name": "env", "arguments": {"name": "SECRET_TOKEN"}}))
        assert KEY not in json.dumps(answer)
        assert MARK in json.dumps(answer)
