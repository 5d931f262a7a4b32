"""Raw checks of streams: GET, resuming with Last-Event-ID, priming events, what the backend pushes.

Follows basic/transports#resumability-and-redelivery and #listening-for-messages-from-the-server.
"""

from __future__ import annotations

import asyncio
from typing import Final

from conformance.raw.bench import EVENTUALLY_S, Bench, Check, MismatchError, brief, handshake, must
from conformance.raw.wire import Event, Message, Session, read_events
from conformance.revisions import has

CHANGED: Final = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


async def pushes_reach_the_get_stream(bench: Bench) -> None:
    session = await bench.open()
    async with session.get() as response:
        must(response.status == 200, f"GET: HTTP {response.status}")
        must(response.content_type == "text/event-stream", f"GET: {response.content_type}")
        await bench.pushed(CHANGED)
        async with asyncio.timeout(EVENTUALLY_S):
            async for event in read_events(response.content):
                if event.message is not None:
                    must(event.message.get("method") == CHANGED["method"], brief(event))
                    return
    raise MismatchError("the stream ended without the notification")


async def get_without_a_session_is_refused(bench: Bench) -> None:
    headers = {"Accept": "text/event-stream", "Mcp-Session-Id": "no-such-session"}
    async with bench.http.get(bench.url, headers=headers) as response:
        must(response.status == 404, f"HTTP {response.status}")


async def _three_logs(session: Session, until: int | None) -> list[Event]:
    """The events of a call that logs three times; the connection is dropped after `until` messages."""
    body = {
        "jsonrpc": "2.0",
        "id": 5,
        "method": "tools/call",
        "params": {"name": "three_logs", "arguments": {}},
    }
    wire = session.wire
    events: list[Event] = []
    async with wire.http.post(wire.url, json=body, headers=wire.headers(session.id)) as response:
        must(response.content_type == "text/event-stream", f"the answer is {response.content_type}, no stream")
        async for event in read_events(response.content):
            events.append(event)
            if until is not None and sum(each.message is not None for each in events) == until:
                response.close()
                break
    return events


def _spoken(events: list[Event]) -> list[str]:
    said = []
    for event in events:
        message: Message = event.message or {}
        if message.get("method") == "notifications/message":
            said.append(str(message["params"]["data"]))
        elif "result" in message:
            said.append("result")
    return said


async def calls_stream_their_logs(bench: Bench) -> None:
    session = await bench.open()
    said = _spoken(await _three_logs(session, None))
    must(said == ["log 0", "log 1", "log 2", "result"], f"the stream said {said}")


async def a_dropped_stream_is_resumed(bench: Bench) -> None:
    session = await bench.open()
    events = await _three_logs(session, 1)
    must(_spoken(events) == ["log 0"], f"before the drop: {_spoken(events)}")
    must(events[-1].id, "events carry no id, so the stream cannot be resumed")
    async with session.get({"Last-Event-ID": events[-1].id}) as response:
        must(response.status == 200, f"GET with Last-Event-ID: HTTP {response.status}")
        rest: list[Event] = []
        async with asyncio.timeout(EVENTUALLY_S):
            async for event in read_events(response.content):
                rest.append(event)
                if "result" in (event.message or {}):
                    break
    must(_spoken(rest) == ["log 1", "log 2", "result"], f"after the drop: {_spoken(rest)}")
    must(_no_repeats(rest, events), "an event was delivered twice")


def _no_repeats(rest: list[Event], before: list[Event]) -> bool:
    """No id of the earlier events comes again."""
    return not {event.id for event in rest if event.id} & {event.id for event in before if event.id}


async def a_forged_event_id_opens_nothing(bench: Bench) -> None:
    owner, thief = await bench.open(), await bench.open()
    events = await _three_logs(owner, None)
    ids = [event.id for event in events if event.id] or ["1"]
    for forged in (ids[0], "no-such-event", "9" * 200):
        async with thief.get({"Last-Event-ID": forged}) as response:
            must(response.status in (400, 404, 409), f"Last-Event-ID {forged[:30]!r}: HTTP {response.status}")


async def priming_follows_the_revision(bench: Bench) -> None:
    session = await bench.open()
    events = await _three_logs(session, None)
    empty = [event for event in events if event.data is not None and not event.data.strip()]
    if has(bench.client, "priming"):
        must(events[0].id and events[0].message is None, f"the stream opens with {brief(events[0])}")
    else:
        must(not empty, "an empty data line reached a client whose revision has no priming events")


async def a_polled_backend_is_polled_for_the_client(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.ask("tools/call", {"name": "polls", "arguments": {}}, request_id=9)
    response = answer.response(9)
    must(response is not None and "result" in response, brief(answer))


async def a_disconnection_is_no_cancellation(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    await _three_logs(session, 1)
    await session.call("late")
    seen = await bench.since(mark)
    cancelled = [each for each in seen if (each["body"] or {}).get("method") == "notifications/cancelled"]
    must(not cancelled, "the broker cancelled a call whose stream was dropped")


def _resumable(client: str, _server: str) -> bool:
    return has(client, "sessions")


CHECKS: Final = (
    Check("pushed notification on GET", "stream.get", pushes_reach_the_get_stream),
    Check("GET without a session", "session.unknown", get_without_a_session_is_refused),
    Check("logs of a call on its stream", "stream.post", calls_stream_their_logs),
    Check("resume with Last-Event-ID", "stream.resume", a_dropped_stream_is_resumed, _resumable),
    Check("forged Last-Event-ID", "stream.resume", a_forged_event_id_opens_nothing, _resumable),
    Check("priming event", "stream.priming", priming_follows_the_revision),
    Check("backend that closes and is polled", "stream.polling", a_polled_backend_is_polled_for_the_client, handshake),
    Check("dropped stream", "stream.drop", a_disconnection_is_no_cancellation),
)
