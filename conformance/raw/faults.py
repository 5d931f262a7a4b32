"""Raw checks of backends that fail: garbage, foreign ids, closed and hanging streams, lost sessions,
restarts.

Each failing call ends with a JSON-RPC error of the broker's own in HTTP 200 (4xx on a call ends SDK
sessions), and a second session, busy at that moment, notices nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

from conformance.raw.bench import Bench, Check, brief, broker_error, calls, handshake, methods, must, requests, text_of
from conformance.raw.misbehaviour import BODY

FAULTS: Final = ("garbage", "html", "bad_gateway", "wrong_id", "bad_event", "result_is_text")
WATCHED: Final = "test://watched"


async def _fails_alone(bench: Bench, tool: str) -> None:
    hurt, bystander = await bench.open(), await bench.open()
    mark = await bench.mark()
    busy = asyncio.create_task(bystander.call("late"))
    answer = await hurt.ask("tools/call", {"name": tool, "arguments": {}}, request_id="hurt")
    broker_error(answer, "hurt", BODY)
    must(text_of(await busy) == "late", "another session's call was touched")
    sent = [each for each in calls(await bench.since(mark)) if each["params"]["name"] == tool]
    must(len(sent) == 1, f"the call was sent {len(sent)} times")
    must(text_of(await hurt.call("echo", {"n": 3})) == '{"n": 3}', "the session did not go on")


async def unreadable_answers_end_the_call(bench: Bench) -> None:
    for tool in FAULTS:
        try:
            await _fails_alone(bench, tool)
        except AssertionError as error:
            raise AssertionError(f"{tool}: {error}") from error


async def lost_answers_end_the_call(bench: Bench) -> None:
    for tool in ("closes", "ends"):
        try:
            await _fails_alone(bench, tool)
        except AssertionError as error:
            raise AssertionError(f"{tool}: {error}") from error


async def foreign_answers_on_a_stream_are_ignored(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.ask("tools/call", {"name": "stream_wrong_id", "arguments": {}}, request_id=4)
    responses = [message for message in answer.messages if "method" not in message]
    must(len(responses) == 1 and responses[0]["id"] == 4, brief(answer))
    must(text_of(responses[0]["result"]) == "right", brief(answer))


async def a_second_answer_is_dropped(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post(
        {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "twice", "arguments": {}}}
    )
    responses = [message for message in answer.messages if "method" not in message]
    must(len(responses) == 1 and text_of(responses[0]["result"]) == "first", brief(answer))


async def a_hanging_call_holds_up_nobody(bench: Bench) -> None:
    hanging, other = await bench.open(), await bench.open()
    mark = await bench.mark()
    call = asyncio.create_task(hanging.ask("tools/call", {"name": "hangs", "arguments": {}}, request_id="h"))
    try:
        await bench.eventually(mark, calls, "the hanging call")
        must(text_of(await hanging.call("echo", {"n": 1})) == '{"n": 1}', "its own session is held up")
        must(text_of(await other.call("echo", {"n": 2})) == '{"n": 2}', "another session is held up")
        must(not call.done(), "the hanging call was answered")
    finally:
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def a_lost_backend_session_is_opened_again(bench: Bench) -> None:
    session = await bench.open()
    await session.call("echo")
    await bench.forget()
    mark = await bench.mark()
    must(text_of(await session.call("echo", {"n": 1})) == '{"n": 1}', "the session did not go on")
    seen = await bench.since(mark)
    again = requests(seen, "initialize")
    must(again and again[0]["params"]["protocolVersion"] == bench.server, f"the backend saw {brief(seen)}")


async def a_restarted_backend_is_taken_up_again(bench: Bench) -> None:
    session = await bench.open()
    await session.result("logging/setLevel", {"level": "warning"})
    await session.result("resources/subscribe", {"uri": WATCHED})
    await session.call("echo")
    await bench.kill_backend()
    await bench.start_backend()
    must(text_of(await session.call("echo", {"n": 1})) == '{"n": 1}', "the session did not go on")

    def replayed(method: str, key: str, value: str) -> None:
        bodies = requests(seen, method)
        must(
            [each["params"].get(key) for each in bodies] == [value],
            f"{method}: the new process saw {brief(seen)}",
        )

    await bench.eventually(0, lambda seen: requests(seen, "resources/subscribe"), "the subscription again")
    await bench.eventually(0, lambda seen: requests(seen, "logging/setLevel"), "the log level again")
    seen = await bench.seen()
    replayed("logging/setLevel", "level", "warning")
    replayed("resources/subscribe", "uri", WATCHED)
    # The call may come first, in a session the new process does not know: 404 proves that it was not run.
    known = {each["headers"]["mcp-session-id"] for each in seen if methods([each]) == ["notifications/initialized"]}
    ran = [each for each in seen if methods([each]) == ["tools/call"] and each["headers"]["mcp-session-id"] in known]
    must(len(ran) == 1, f"the new process ran {len(ran)} calls of {brief(seen)}")


async def a_dead_backend_is_an_error_not_an_end(bench: Bench) -> None:
    session = await bench.open()
    await session.call("echo")
    await bench.kill_backend()
    answer = await session.ask("tools/call", {"name": "echo", "arguments": {}}, request_id="dead")
    broker_error(answer, "dead", "Connect call failed")
    await bench.start_backend()
    must(text_of(await session.call("echo", {"n": 1})) == '{"n": 1}', "the session did not go on")


CHECKS: Final = (
    Check("unreadable answers", "fault.unreadable", unreadable_answers_end_the_call),
    Check("lost answers", "fault.lost", lost_answers_end_the_call),
    Check("foreign answers on the stream", "fault.foreign", foreign_answers_on_a_stream_are_ignored),
    Check("a second answer", "fault.foreign", a_second_answer_is_dropped),
    Check("hanging call", "fault.hang", a_hanging_call_holds_up_nobody),
    Check("backend loses its sessions", "fault.session-lost", a_lost_backend_session_is_opened_again, handshake),
    Check("backend restarts", "fault.restart", a_restarted_backend_is_taken_up_again, handshake),
    Check("backend is down", "fault.down", a_dead_backend_is_an_error_not_an_end),
)
