"""Raw checks of one URL that serves clients of every revision at once, and of the eras' boundary.

Follows basic/versioning of 2026-07-28 and basic/lifecycle of the handshake revisions.
Invariant: every client here answers differently, so whose answer reached whom is seen in the results.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from conformance.raw.bench import Bench, Check, brief, must, text_of
from conformance.raw.stateless_wire import META, interim_of, result_of
from conformance.raw.wire import Message, Wire
from conformance.revisions import REVISIONS, STATELESS

ASK: Final[Message] = {"method": "roots/list"}
STATELESS_CLIENTS: Final = 3


def _roots(name: str) -> Message:
    return {"roots": [{"uri": f"file:///{name}"}]}


async def _session_client(bench: Bench, revision: str) -> None:
    session = await Wire(bench.http, bench.url, revision).open()
    must(session.opened["protocolVersion"] == revision, f"{revision}: {brief(session.opened)}")
    asked: list[Message] = []

    async def answer(message: Message) -> None:
        if message.get("method") == "roots/list":
            asked.append(message)
            await session.post({"jsonrpc": "2.0", "id": message["id"], "result": _roots(revision)})

    result = await session.call("asks", ASK, on_message=answer)
    told = json.loads(text_of(result)).get("result", {}).get("roots")
    must(told == _roots(revision)["roots"] and len(asked) == 1, f"{revision}: the server was told {brief(told)}")
    must(not {"resultType", "requestState"} & set(result), f"{revision}: {brief(result)}")
    await session.delete()


async def _stateless_client(bench: Bench, name: str) -> None:
    client = bench.stateless
    interim = await client.interim("asks", ASK, request_id=name)
    (key,) = interim.questions
    answer = await client.retry(interim, {key: _roots(name)}, request_id=name)
    told = json.loads(text_of(result_of(answer, name))).get("result", {}).get("roots")
    must(told == _roots(name)["roots"], f"{name}: the server was told {brief(told)}")


async def clients_of_every_revision_share_a_url(bench: Bench) -> None:
    names = [f"stateless-{number}" for number in range(STATELESS_CLIENTS)]
    await asyncio.gather(
        *(_session_client(bench, revision) for revision in (*REVISIONS, *REVISIONS)),
        *(_stateless_client(bench, name) for name in names),
    )


async def the_envelope_decides_about_the_era(bench: Bench) -> None:
    """What has an envelope is a stateless request, whatever session it names; what has none and names one is not."""
    newest = REVISIONS[-1]
    session = await Wire(bench.http, bench.url, newest).open()
    client = bench.stateless
    stateless = await client.ask(
        "tools/call", {"name": "echo", "arguments": {"n": 1}}, headers={"Mcp-Session-Id": session.id}
    )
    must(result_of(stateless).get("resultType") == "complete", brief(stateless))
    plain: Any = await session.call("echo", {"n": 2})
    must("resultType" not in plain and text_of(plain) == '{"n": 2}', brief(plain))
    opening = {
        "protocolVersion": newest,
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening}
    wire = Wire(bench.http, bench.url, newest)
    must((await wire.post(body, until=1)).response(1) is not None, "initialize beside stateless clients")
    crossed = client.request("tools/list", meta={f"{META}protocolVersion": newest})
    answer = await client.send(crossed, {"MCP-Protocol-Version": STATELESS}, until="r")
    must((answer.status, answer.code) == (400, -32020), f"an envelope of another revision: {brief(answer)}")
    await session.delete()


async def a_states_round_is_no_sessions(bench: Bench) -> None:
    """A session client beside a suspended call is asked nothing of it, and its answers are its own."""
    client = bench.stateless
    params: Message = {"name": "asks", "arguments": ASK}
    waiting = interim_of("tools/call", params, await client.result("tools/call", params), {})
    await _session_client(bench, REVISIONS[-1])
    (key,) = waiting.questions
    answer = await client.retry(waiting, {key: _roots("waiting")})
    told = json.loads(text_of(result_of(answer))).get("result", {}).get("roots")
    must(told == _roots("waiting")["roots"], f"the server was told {brief(told)}")


CHECKS: Final = (
    Check("clients of every revision at once", "stateless.one-url", clients_of_every_revision_share_a_url),
    Check("era of a request", "stateless.one-url", the_envelope_decides_about_the_era),
    Check("suspended call beside a session", "stateless.one-url", a_states_round_is_no_sessions),
)
