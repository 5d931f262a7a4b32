"""Raw checks of backends of 2026-07-28 that break their revision, end, or come back as another one.

Follows basic/index, basic/patterns/* and basic/transports/streamable-http of 2026-07-28.
Invariant: each fault ends its own call with an error of the client's revision in HTTP 200, and the session goes on.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

from conformance.raw.bench import (
    EVENTUALLY_S,
    POLL_S,
    Bench,
    Check,
    MismatchError,
    backend_command,
    brief,
    calls,
    must,
    requests,
    stateless,
    text_of,
)
from conformance.raw.misbehaviour import BODY
from conformance.raw.rounds import ALL, Person
from conformance.raw.wire import Answer, Message, Session, Wire, read_events
from conformance.revisions import REVISIONS, STATELESS

WATCHED: Final = "test://watched"
UPDATED: Final = "notifications/resources/updated"
CHANGED: Final[Message] = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
LATE_S: Final = 0.4
"""Longer than a handshake takes, shorter than anybody waits for a stream."""
BREACHES: Final = (
    "unknown_type",
    "type_is_number",
    "asks_nothing",
    "asks_a_list",
    "asks_unknown",
    "big_state",
    "state_is_object",
    "twice_the_key",
    "twice_the_type",
    "accepts",
    "nonsense_version",
    "mismatch",
)
TRIES: Final = 2
"""A refusal that proves nothing was run may be answered by one more try."""
MOST_ROUNDS: Final = 25
"""Twice what SDK clients go along with, and a little."""
PATIENT_S: Final = 40.0
"""Rounds of state alone are slowed down by their client: at most two seconds each."""


def _ended(answer: Answer, tool: str) -> None:
    """The call ended with a JSON-RPC error or an error result of the client's revision, which quotes nothing."""
    must(answer.status == 200, f"{tool}: HTTP {answer.status}")
    response = answer.response("hurt")
    must(response is not None, f"{tool}: no answer: {brief(answer)}")
    assert response is not None
    text = json.dumps(response)
    must("error" in response or response["result"].get("isError") is True, f"{tool}: taken for good: {brief(response)}")
    if "error" in response:
        data = response["error"].get("data") or {}
        must(data.get("origin") == "broker" and data.get("reason"), f"{tool}: not the broker's: {brief(response)}")
        must(
            not -32099 <= response["error"]["code"] <= -32020, f"{tool}: a code of another revision: {brief(response)}"
        )
    must(
        BODY not in text and "resultType" not in text and "requestState" not in text, f"{tool}: leaks {brief(response)}"
    )


async def _breaks_alone(bench: Bench, tool: str, tries: int = TRIES) -> None:
    hurt, bystander = await bench.open(ALL), await bench.open(ALL)
    mark = await bench.mark()
    busy = asyncio.create_task(bystander.call("late"))
    person = Person(hurt)
    _ended(await hurt.ask("tools/call", {"name": tool, "arguments": {}}, request_id="hurt", on_message=person), tool)
    must(tries > TRIES or not person.asked, f"{tool}: the client was asked {person.methods}")
    must(text_of(await busy) == "late", f"{tool}: another session's call was touched")
    sent = [each for each in calls(await bench.since(mark)) if each["params"]["name"] == tool]
    must(len(sent) <= tries, f"{tool}: the call was sent {len(sent)} times")
    must(text_of(await hurt.call("echo", {"n": 3})) == '{"n": 3}', f"{tool}: the session did not go on")


async def breaches_end_the_call(bench: Bench) -> None:
    found: list[str] = []
    for tool in BREACHES:
        try:
            await _breaks_alone(bench, tool)
        except AssertionError as error:
            found.append(str(error))
    must(not found, "; ".join(found))


async def endless_rounds_are_cut_off(bench: Bench) -> None:
    await _breaks_alone(bench, "endless", MOST_ROUNDS)


async def endless_states_are_cut_off(bench: Bench) -> None:
    await _breaks_alone(bench, "endless_state", MOST_ROUNDS)


async def bare_results_are_complete(bench: Bench) -> None:
    """Servers of the revision's SDKs leave the type out at times, which readers take for complete."""
    session = await bench.open()
    must(text_of(await session.call("bare")) == "bare", "a result without resultType was not read")
    result = await session.result("resources/read", {"uri": "test://bare"})
    must(result["contents"][0]["text"] == "bare", f"a read without cache hints: {brief(result)}")


async def requests_stand_alone(bench: Bench) -> None:
    mark = await bench.mark()
    session = await bench.open()
    await session.call("echo", {"n": 1})
    must(text_of(await session.call("level")) == "null", "a level went along that nobody set")
    await session.result("logging/setLevel", {"level": "warning"})
    must(text_of(await session.call("level")) == '"warning"', "the level that was set did not go along")
    await session.result("ping")
    await session.delete()
    for each in await bench.since(mark):
        must(each["http"] == "POST" or each["http"] == "CLOSED", f"{each['http']} reached the backend")
        must("mcp-session-id" not in each["headers"], "a session id reached the backend")
        must((each["body"] or {}).get("method") not in ("initialize", "ping", "logging/setLevel"), brief(each))
        must(session.id not in json.dumps(each), "the client's session id reached the backend")


async def a_cancellation_closes_the_stream(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    call = asyncio.create_task(session.ask("tools/call", {"name": "hangs", "arguments": {}}, request_id="c"))
    try:
        asked = await bench.eventually(mark, calls, "the call")
        await session.notify("notifications/cancelled", {"requestId": "c"})

        def closed(seen: list[Message]) -> bool:
            return any(each["http"] == "CLOSED" and each["id"] == asked[0]["id"] for each in seen)

        await bench.eventually(mark, closed, "the end of the call's stream")
        must(not requests(await bench.since(mark), "notifications/cancelled"), "a notification was sent as well")
    finally:
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def _next(stream: Any, method: str) -> Message:
    async with asyncio.timeout(EVENTUALLY_S):
        async for event in read_events(stream.content):
            message: Message = event.message or {}
            if message.get("method") == method:
                return message
    raise MismatchError(f"the stream ended without {method}")


async def subscriptions_are_listened_to(bench: Bench) -> None:
    session, other = await bench.open(), await bench.open()
    updated: Message = {"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": WATCHED}}
    async with session.get() as stream:
        await session.result("resources/subscribe", {"uri": WATCHED})
        await bench.pushed(updated)
        message = await _next(stream, UPDATED)
        must(message["params"] == {"uri": WATCHED}, f"the client saw {brief(message)}")
        await session.result("resources/unsubscribe", {"uri": WATCHED})
        await _eventually_nobody(bench, updated)
    must(text_of(await other.call("echo", {"n": 1})) == '{"n": 1}', "another session is hurt")


async def a_session_starts_with_its_stream(bench: Bench) -> None:
    """What changes right after the handshake would be lost: no list is announced twice."""
    await bench.listen_late(LATE_S)
    try:
        await bench.open()
        must(await bench.push(CHANGED), "the session was opened before the stream of its notifications stood")
    finally:
        await bench.listen_late(0)


async def _eventually_nobody(bench: Bench, message: Message) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(EVENTUALLY_S):
            while True:
                if not await bench.push(message):
                    return
                await asyncio.sleep(POLL_S)
    raise MismatchError("a resource is still listened to after its last subscriber left")


async def a_restarted_backend_is_listened_to_again(bench: Bench) -> None:
    session = await bench.open()
    await session.result("logging/setLevel", {"level": "warning"})
    async with session.get() as stream:
        await session.result("resources/subscribe", {"uri": WATCHED})
        await bench.kill_backend()
        await bench.start_backend()
        must(text_of(await session.call("level")) == '"warning"', "the session did not go on with its level")

        def again(seen: list[Message]) -> bool:
            filters = [each["params"].get("notifications", {}) for each in requests(seen, "subscriptions/listen")]
            return any(WATCHED in each.get("resourceSubscriptions", ()) for each in filters)

        await bench.eventually(0, again, "the subscription again")
        # Nothing is replayed here, so whoever watched has to look again.
        message = await _next(stream, UPDATED)
        must(message["params"] == {"uri": WATCHED}, f"the client saw {brief(message)}")


async def _moved(bench: Bench, old: str, new: str) -> None:
    """A backend of one revision ends and one of another comes up on its port, under a live session."""
    children = bench.children
    first, backend_url = await asyncio.to_thread(children.server, "moving", backend_command(old))
    _, url = await asyncio.to_thread(children.broker, backend_url, "--backend-revision", "auto")
    session: Session = await Wire(bench.http, url, bench.client).open(ALL)
    must(text_of(await session.call("echo", {"n": 1})) == '{"n": 1}', "the session did not start")
    await session.result("logging/setLevel", {"level": "warning"})
    await asyncio.to_thread(first.kill)
    port = int(backend_url.rsplit(":", 1)[1].removesuffix("/mcp"))
    await asyncio.to_thread(children.server, "moved", backend_command(new), port)
    must(text_of(await session.call("echo", {"n": 2})) == '{"n": 2}', "the first call after the move")
    must(text_of(await session.call("echo", {"n": 3})) == '{"n": 3}', "the second call after the move")
    async with bench.http.get(backend_url.removesuffix("/mcp") + "/seen") as response:
        sent = [each["params"]["arguments"] for each in calls(await response.json())]
    must(sent.count({"n": 2}) >= 1 and sent.count({"n": 3}) == 1, f"the new backend was sent {sent}")


async def an_upgraded_backend_keeps_its_sessions(bench: Bench) -> None:
    await _moved(bench, REVISIONS[-1], STATELESS)


async def a_downgraded_backend_keeps_its_sessions(bench: Bench) -> None:
    await _moved(bench, STATELESS, REVISIONS[-1])


def _newest(client: str, server: str) -> bool:
    return stateless(client, server) and client == REVISIONS[-1]


CHECKS: Final = (
    Check("requests that stand alone", "requests.self-contained", requests_stand_alone, stateless),
    Check("cancellation by closing", "cancellation.by-closing", a_cancellation_closes_the_stream, stateless),
    Check("bare results", "results.bare", bare_results_are_complete, stateless),
    Check("subscriptions by listening", "subscriptions.listened", subscriptions_are_listened_to, stateless),
    Check("stream of a new session", "subscriptions.listened", a_session_starts_with_its_stream, stateless),
    Check("breaches of the revision", "fault.breach", breaches_end_the_call, stateless, PATIENT_S),
    Check("endless rounds", "fault.endless", endless_rounds_are_cut_off, _newest),
    Check("endless rounds of state", "fault.endless", endless_states_are_cut_off, _newest, PATIENT_S),
    Check("upgraded backend", "fault.moved", an_upgraded_backend_keeps_its_sessions, stateless, PATIENT_S),
    Check("downgraded backend", "fault.moved", a_downgraded_backend_keeps_its_sessions, stateless, PATIENT_S),
    Check("restarted stateless backend", "subscriptions.restored", a_restarted_backend_is_listened_to_again, stateless),
)
