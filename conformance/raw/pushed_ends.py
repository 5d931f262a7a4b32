"""Raw checks of suspended calls that come to nothing: taken back, overtaken, left, cancelled, or lost with their
server; and of questions that belong to no call.

Follows basic/patterns/{mrtr,cancellation} of 2026-07-28 and client/* of the handshake revisions.
Invariant: whatever becomes of a call, it is sent once, and its client is told of one end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, Final

from conformance.raw.asking import GIVEN_UP, WENT_ON
from conformance.raw.bench import (
    EVENTUALLY_S,
    POLL_S,
    PROCESSES_BOUND_S,
    Bench,
    Check,
    backend_command,
    brief,
    calls,
    handshake,
    must,
    requests,
    text_of,
)
from conformance.raw.pushed import ROOTS, SAMPLE, asking, one, responses
from conformance.raw.stateless_wire import GIVEN, Stateless, interim_of, result_of
from conformance.raw.wire import Answer, Message

UNSOLICITED: Final = -32602
LONE: Final[Message] = {"sampling": {}, "experimental": {"lone": {}}}
"""What the client declares whose session is asked outside of calls; nobody else declares just this."""
EARLY: Final[Message] = {"roots": {}, "experimental": {"early": {}}}
"""What the client declares whose session is asked at its start; nobody else declares just this."""


async def _overtaken(bench: Bench, tool: str, text: str) -> None:
    """A call that ended without its answer: the retry is told its end, and the answer goes nowhere."""
    client = bench.stateless
    mark = await bench.mark()
    interim = await client.interim(tool, asking(one(bench.server)))
    await bench.release()
    await client.call("echo")  # what was said before this answer has been read by now
    for _ in range(2):  # a client whose connection broke sends its retry twice
        result = result_of(await client.retry(interim))
        must(text_of(result) == text, f"{tool}: {brief(result)}")
    late = [each for each in responses(await bench.since(mark)) if each.get("result") in GIVEN.values()]
    must(not late, f"{tool}: a late answer reached the backend")
    sent = [each for each in calls(await bench.since(mark)) if each["params"]["name"] == tool]
    must(len(sent) == 1, f"{tool}: sent {len(sent)} times")


async def a_question_that_was_taken_back_is_over(bench: Bench) -> None:
    await _overtaken(bench, "gives_up", GIVEN_UP)


async def a_call_may_end_without_its_answer(bench: Bench) -> None:
    await _overtaken(bench, "goes_on", WENT_ON)


async def _dropped(bench: Bench, request: Coroutine[Any, Any, Answer], seen_by: str) -> None:
    """Drop a request once the backend has what `seen_by` says; its call must be cancelled there."""
    mark = await bench.mark()
    task = asyncio.create_task(request)
    try:
        await bench.eventually(mark, responses if seen_by == "answer" else calls, f"the {seen_by}")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    (cancelled,) = await bench.eventually(
        mark, lambda seen: requests(seen, "notifications/cancelled"), "the cancellation"
    )
    running = calls(await bench.seen())[-1]
    must(cancelled["params"]["requestId"] == running["id"], f"cancelled {brief(cancelled)}, not {running['id']}")


async def a_dropped_request_is_cancelled(bench: Bench) -> None:
    client = bench.stateless
    await _dropped(bench, client.ask("tools/call", {"name": "hangs", "arguments": {}}), "call")


async def a_dropped_retry_is_cancelled(bench: Bench) -> None:
    client = bench.stateless
    interim = await client.interim("questions", asking(one(bench.server), then="hang"))
    await _dropped(bench, client.retry(interim), "answer")


async def a_lost_server_ends_what_waits(bench: Bench) -> None:
    client = bench.stateless
    interim = await client.interim("questions", asking(one(bench.server)))
    await bench.kill_backend()
    answer = await client.retry(interim)
    _unknown_outcome(answer)
    await bench.start_backend()
    must(text_of(await client.call("echo", {"n": 1})) == '{"n": 1}', "the next call")
    names = {each["params"]["name"] for each in calls(await bench.seen())}
    must(names == {"echo"}, f"the new process was sent {names}")


async def a_server_lost_during_a_retry_ends_it(bench: Bench) -> None:
    client = bench.stateless
    interim = await client.interim("questions", asking(one(bench.server), then="hang"))
    mark = await bench.mark()
    retry = asyncio.create_task(client.retry(interim))
    await bench.eventually(mark, responses, "the answer")
    await bench.kill_backend()
    _unknown_outcome(await retry)
    await bench.start_backend()
    must(text_of(await client.call("echo", {"n": 1})) == '{"n": 1}', "the next call")


def _unknown_outcome(answer: Answer) -> None:
    """An end that a client can read, and that does not say that nothing was done."""
    response = answer.response("r")
    must(answer.status == 200 and response is not None, f"no end: {brief(answer)}")
    assert response is not None
    ended = response.get("result", {}).get("isError") is True or response.get("error", {}).get("code") == -32603
    must(ended and "resultType" in response.get("result", {"resultType": ""}), f"taken for good: {brief(answer)}")
    must("may" in json.dumps(response), f"nothing says that it may have taken effect: {brief(answer)}")


async def a_question_outside_of_calls_is_refused(bench: Bench) -> None:
    client = bench.stateless
    await client.call("echo", {"lone": True}, capabilities=LONE)
    session = [each for each in await bench.seen() if "lone" in json.dumps(each["body"])][-1]["headers"]
    mark = await bench.mark()

    def refused(seen: list[Message]) -> list[Message]:
        return [each for each in responses(seen) if str(each["id"]).startswith("lone-") and "error" in each]

    # A question soon after the handshake is the set-up's, and waits for the next call: another check.
    number = 0
    async with asyncio.timeout(EVENTUALLY_S):
        while not refused(await bench.since(mark)):
            number += 1
            message = {"jsonrpc": "2.0", "id": f"lone-{number}", **SAMPLE}
            await bench.pushed(message, session["mcp-session-id"])
            await asyncio.sleep(POLL_S * 5)
    (first, *_) = refused(await bench.since(mark))
    must(first["error"]["code"] == UNSOLICITED, f"refused with {brief(first)}")
    await bench.pushed({"jsonrpc": "2.0", "id": "lone-ping", "method": "ping"}, session["mcp-session-id"])
    (pong,) = await bench.eventually(
        mark, lambda seen: [each for each in responses(seen) if each["id"] == "lone-ping"], "an answer to its ping"
    )
    must(pong.get("result") == {}, f"its ping was answered {brief(pong)}")


async def a_question_at_the_start_waits_for_a_call(bench: Bench) -> None:
    client = bench.stateless
    await bench.greet({"jsonrpc": "2.0", "id": "early", **ROOTS})
    params: Message = {"name": "echo", "arguments": {"n": 5}}
    try:
        await client.result("tools/list", capabilities=EARLY)
        async with asyncio.timeout(EVENTUALLY_S):
            while True:
                mark = await bench.mark()
                result = await client.result("tools/call", params, capabilities=EARLY)
                if result["resultType"] == "input_required":
                    break
                await asyncio.sleep(POLL_S)
    finally:
        await bench.greet(None)
    interim = interim_of("tools/call", params, result, EARLY)
    must(interim.methods == ["roots/list"], f"asked {interim.methods}")
    must(not calls(await bench.since(mark)), "the call was made before its question was answered")
    must(text_of(result_of(await client.retry(interim))) == '{"n": 5}', "the call was not made after its question")

    def given(seen: list[Message]) -> list[Message]:
        # Every session that opened meanwhile was greeted, this caller's roots told to each or refused.
        return [each for each in responses(seen) if each["id"] == "early" and "result" in each]

    told = await bench.eventually(mark, given, "the answer")
    must(all(each["result"] == GIVEN["roots/list"] for each in told), f"answered {brief(told)}")


async def servers_that_cannot_ask_are_declared_nothing(bench: Bench) -> None:
    """Without a session their answers would go nowhere, and without streams their questions do."""
    children = bench.children
    for without in ("sessions", "streams"):
        command = [*backend_command(bench.server), "--without", without]
        _, backend = await asyncio.to_thread(children.server, f"without-{without}", command)
        _, url = await asyncio.to_thread(children.broker, backend, "--backend-revision", bench.server)
        client = Stateless(bench.http, url)
        must(text_of(await client.call("echo", {"n": 1})) == '{"n": 1}', f"without {without}: the call failed")
        async with bench.http.get(backend.removesuffix("/mcp") + "/seen") as response:
            seen: list[Message] = await response.json()
        ran = [each["headers"].get("mcp-session-id") for each in seen if _calls_a_tool(each)]
        told = [each["params"] for each in requests(seen, "initialize")]
        must(len(ran) == 1, f"without {without}: the call was sent {len(ran)} times")
        declared = set(told[-1]["capabilities"]) & {"elicitation", "sampling", "roots"}
        must(not declared, f"without {without}: declared {sorted(declared)}")
        must(told[-1]["clientInfo"]["name"] == "raw", f"without {without}: {brief(told[-1]['clientInfo'])}")


def _calls_a_tool(exchange: Message) -> bool:
    return (exchange["body"] or {}).get("method") == "tools/call"


CHECKS: Final = (
    Check("question taken back", "rounds.overtaken", a_question_that_was_taken_back_is_over, handshake),
    Check("call that ends without its answer", "rounds.overtaken", a_call_may_end_without_its_answer, handshake),
    Check("dropped request", "cancellation.told", a_dropped_request_is_cancelled, handshake),
    Check("dropped retry", "cancellation.told", a_dropped_retry_is_cancelled, handshake),
    Check("question outside of calls", "rounds.unsolicited", a_question_outside_of_calls_is_refused, handshake),
    Check("question at the start", "rounds.setup", a_question_at_the_start_waits_for_a_call, handshake),
    Check(
        "servers that cannot ask",
        "rounds.cannot-ask",
        servers_that_cannot_ask_are_declared_nothing,
        handshake,
        PROCESSES_BOUND_S,
    ),
    Check("server lost while a call waits", "rounds.lost", a_lost_server_ends_what_waits, handshake, PROCESSES_BOUND_S),
    Check(
        "server lost during a retry", "rounds.lost", a_server_lost_during_a_retry_ends_it, handshake, PROCESSES_BOUND_S
    ),
)
