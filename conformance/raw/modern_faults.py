"""Raw checks of servers that fail under clients of 2026-07-28: every stream ends with an answer, others notice nothing.

Follows basic/transports/streamable-http of 2026-07-28; the faults are those of `faults`.
Invariant: a stream without a final answer leaves SDK clients waiting, so the last message of each is looked at.
"""

from __future__ import annotations

import asyncio
from typing import Final

from conformance.raw.bench import PROCESSES_BOUND_S, Bench, Check, brief, calls, handshake, must, requests, text_of
from conformance.raw.faults import FAULTS
from conformance.raw.misbehaviour import BODY
from conformance.raw.stateless_wire import META, Stateless, result_of
from conformance.raw.wire import Answer, Message

LOST: Final = ("closes", "ends")
DOWN: Final = "Connect call failed"


async def _whole(client: Stateless, tool: str) -> Answer:
    """The answer to a call that lets messages come, its stream read to the end."""
    body = client.request("tools/call", {"name": tool, "arguments": {}}, meta={f"{META}logLevel": "debug"})
    return await client.send(body)


def _ended(answer: Answer, tool: str, secret: str = BODY) -> None:
    """The last message is an error of the broker's, or a tool error, that quotes nothing of the server's."""
    must(answer.status == 200 and answer.messages, f"{tool}: {brief(answer)}")
    last: Message = answer.messages[-1]
    must("method" not in last and last.get("id") == "r", f"{tool}: the stream ends with {brief(last)}")
    must(len([each for each in answer.messages if "method" not in each]) == 1, f"{tool}: answered twice")
    if "error" in last:
        data = last["error"].get("data") or {}
        must(data.get("origin") == "broker" and data.get("reason"), f"{tool}: not the broker's: {brief(last)}")
        must(not -32099 <= last["error"]["code"] <= -32023, f"{tool}: an undefined code: {brief(last)}")
    else:
        must(last["result"].get("isError") is True, f"{tool}: taken for good: {brief(last)}")
        must(last["result"].get("resultType") == "complete", f"{tool}: {brief(last)}")
    must(secret not in str(answer.messages), f"{tool}: the server's body is quoted")


async def failing_calls_end_their_streams(bench: Bench) -> None:
    client = bench.stateless
    for tool in (*FAULTS, *LOST):
        mark = await bench.mark()
        busy = asyncio.create_task(client.call("late", request_id="busy"))
        _ended(await _whole(client, tool), tool)
        must(text_of(await busy) == "late", f"{tool}: another call was touched")
        sent = [each for each in calls(await bench.since(mark)) if each["params"]["name"] == tool]
        must(len(sent) == 1, f"{tool}: sent {len(sent)} times")


async def foreign_answers_reach_nobody(bench: Bench) -> None:
    client = bench.stateless
    for tool, text in (("stream_wrong_id", "right"), ("twice", "first")):
        answer = await _whole(client, tool)
        must(text_of(result_of(answer)) == text, f"{tool}: {brief(answer)}")
        must(len([each for each in answer.messages if "method" not in each]) == 1, f"{tool}: answered twice")


async def a_hanging_call_holds_up_nobody(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    hanging = asyncio.create_task(client.ask("tools/call", {"name": "hangs", "arguments": {}}, request_id="h"))
    try:
        await bench.eventually(mark, calls, "the hanging call")
        must(text_of(await client.call("echo", {"n": 1})) == '{"n": 1}', "another call is held up")
        must(not hanging.done(), "the hanging call was answered")
    finally:
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)


async def a_lost_session_is_opened_again(bench: Bench) -> None:
    client = bench.stateless
    await client.call("echo")
    await bench.forget()
    mark = await bench.mark()
    must(text_of(await client.call("echo", {"n": 1})) == '{"n": 1}', "the call was lost with the session")
    again = requests(await bench.since(mark), "initialize")
    must(again and again[0]["params"]["protocolVersion"] == bench.server, f"opened again by {brief(again)}")


async def a_server_that_is_down_is_an_error(bench: Bench) -> None:
    client = bench.stateless
    await client.call("echo")
    await bench.kill_backend()
    _ended(await _whole(client, "echo"), "down", DOWN)
    found = await client.ask("server/discover")
    must(found.status == 200, f"discovery of a server that is down: {brief(found)}")
    await bench.start_backend()
    must(text_of(await client.call("echo", {"n": 1})) == '{"n": 1}', "the next call")


CHECKS: Final = (
    Check("failing calls of stateless clients", "stateless.final-frame", failing_calls_end_their_streams),
    Check("foreign answers to stateless clients", "fault.foreign", foreign_answers_reach_nobody),
    Check("hanging call of a stateless client", "fault.hang", a_hanging_call_holds_up_nobody),
    Check("lost session of stateless clients", "fault.session-lost", a_lost_session_is_opened_again, handshake),
    Check(
        "server of stateless clients is down",
        "fault.down",
        a_server_that_is_down_is_an_error,
        bound_s=PROCESSES_BOUND_S,
    ),
)
"""They end the backend's process: last."""
