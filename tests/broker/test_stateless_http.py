"""Stateless requests against a backend whose every byte the test writes: one outcome for whatever it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.backends.base import Refusal
from broker.backends.stateless_http import StatelessLegs
from broker.backends.streamable_http import Deadlines
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, WireLimits
from tests.broker.http1_world import pool_for, turn
from tests.broker.stateless_world import NAMED, NOTE, RESULT, error, event, stream, whole, world


async def test_a_request_names_its_revision_and_carries_the_given_headers() -> None:
    async with world() as here:
        peer = await here.sent()
        lines = here.head.decode().lower().split("\r\n")
        assert lines[0] == "post /mcp http/1.1"
        assert {
            "content-type: application/json",
            "accept: application/json, text/event-stream",
            "mcp-protocol-version: 2026-07-28",
            "mcp-method: tools/call",
            "mcp-name: x",
            "mcp-param-empty: ",
        } <= set(lines)
        assert not [line for line in lines if line.startswith(("mcp-session-id", "last-event-id"))]
        assert json.loads(here.body) == {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}}
        await peer.write(whole(RESULT))
        await here.only("message", RESULT)


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, -32602), (400, -32602), (400, -32020), (400, -32021), (400, -32022), (404, -32601), (403, 1), (500, -32603)],
)
async def test_an_error_body_is_the_answer_whatever_the_status(status: int, code: int) -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(whole(error(code, data={"a": [1]}), status))
        await here.only("message", error(code, data={"a": [1]}))
        assert here.heard.refusals == [Refusal(status, code, "no")]


@pytest.mark.parametrize("own", [None, "server-error", 8])
async def test_an_error_that_names_another_id_is_ours_if_the_status_refuses_this_post(own: Any) -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(whole(error(-32020, own), 400))
        await here.only("message", error(-32020))
        assert here.heard.refusals == [Refusal(400, -32020, "no", foreign_id=True)]


async def test_an_error_without_an_id_is_ours_at_any_status() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(stream() + event(error(-32603, None)))
        await here.only("message", error(-32603))


async def test_an_error_in_plain_text_is_still_an_error() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(whole(error(-32601), 404, "text/plain"))
        await here.only("message", error(-32601))


@pytest.mark.parametrize(
    ("answer", "reason", "executed"),
    [
        (b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", "backend-garbage", "unknown"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "backend-garbage", "unknown"),
        (whole(b"", 200), "backend-garbage", "unknown"),
        (whole(b"{", 200), "backend-garbage", "unknown"),
        (whole(b"[]", 200), "backend-garbage", "unknown"),
        (whole(b"<html>", 200, "text/html"), "backend-garbage", "unknown"),
        (whole(RESULT, 200, "text/plain"), "backend-garbage", "unknown"),
        (whole({**RESULT, "id": 8}), "backend-garbage", "unknown"),
        (whole({**RESULT, "id": "7"}), "backend-garbage", "unknown"),
        (whole(error(-32603, 8)), "backend-garbage", "unknown"),
        (whole(NOTE), "backend-garbage", "unknown"),
        (whole({"jsonrpc": "2.0", "id": 7, "method": "ping"}), "backend-garbage", "unknown"),
        (whole(b"", 307), "backend-status", "unknown"),
        (whole(error(-32601), 302), "backend-status", "unknown"),
        (whole(b"", 400), "backend-status", "unknown"),
        (whole(RESULT, 400), "backend-status", "unknown"),
        (whole(b"Not Found", 404, "text/plain"), "backend-status", "no"),
        (whole(b"", 405), "backend-status", "no"),
        (whole(b"", 429), "backend-status", "unknown"),
        (whole(b"<html>", 502, "text/html"), "backend-status", "unknown"),
        (whole(b"", 401), "backend-unauthorized", "no"),
        (whole(error(-32001), 401), "backend-unauthorized", "no"),
        (whole(b"", 403), "backend-unauthorized", "no"),
        (stream(), "backend-closed", "unknown"),
        (stream() + event(b"{") + event(b"["), "backend-garbage", "unknown"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
            "backend-closed",
            "unknown",
        ),
        (b"SSH-2.0\r\n\r\n", "backend-garbage", "unknown"),
    ],
)
async def test_whatever_is_no_answer_is_one_failure(answer: bytes, reason: str, executed: str) -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(answer)
        peer.close()
        assert await here.failure() == ("failed", reason, executed)
        await turn()
        assert [what[0] for what in here.heard.all if what[0] != "violation"] == ["failed"]
        assert not here.legs.open


async def test_a_body_that_is_no_error_is_shown_to_the_observer_alone_and_shortened() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(whole(b"Missing session ID" + b"x" * 1000, 400, "text/plain"))
        await here.only("failed", "backend-status", "unknown")
        (refusal,) = here.heard.refusals
        assert (refusal.status, refusal.code, len(refusal.text)) == (400, None, 256)
        assert refusal.text.startswith("Missing session ID")


async def test_notifications_come_before_the_response_and_event_ids_mean_nothing() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(stream() + event(b"", b"id: 1\nretry: 1\n") + event(NOTE, b"id: 2\n"))
        assert await here.heard.until(1) == [("message", NOTE)]
        assert 7 in here.legs.open
        await peer.write(b": alive\n\n" + event(b"{}", b"event: other\n") + event(NOTE) + event(RESULT))
        assert await here.heard.until(3) == [("message", NOTE), ("message", NOTE), ("message", RESULT)]
        assert not here.legs.open


async def test_a_stream_that_breaks_off_is_not_resumed_and_nothing_is_sent_again() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(stream() + event(NOTE, b"id: 2\nretry: 0\n"))
        await here.heard.until(1)
        peer.reset()
        assert await here.heard.until(2) == [("message", NOTE), ("failed", "backend-closed", "unknown")]
        here.clock.advance(60)
        await turn()
        assert here.server.accepted == 1


async def test_a_request_of_the_server_and_a_foreign_answer_are_passed_over() -> None:
    async with world() as here:
        peer = await here.sent()
        ask = {"jsonrpc": "2.0", "id": 0, "method": "sampling/createMessage"}
        await peer.write(stream() + event(ask) + event({**RESULT, "id": 8}) + event(error(1, 9)) + event(RESULT))
        assert await here.heard.until(4) == [
            ("violation", "backend-request"),
            ("violation", "foreign-answer"),
            ("violation", "foreign-answer"),
            ("message", RESULT),
        ]


async def test_an_unreadable_response_of_ours_ends_the_leg_at_once() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(stream() + event({**RESULT, **error(1)}))
        await here.only("failed", "backend-garbage", "unknown")
        assert await peer.gone()


async def test_what_follows_the_response_reaches_nobody() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(stream() + event(RESULT) + event(RESULT) + event(NOTE))
        late = ("violation", "message-after-answer")
        assert await here.heard.until(3) == [("message", RESULT), late, late]


async def test_a_stream_left_open_after_the_response_is_closed_after_a_while() -> None:
    async with world(linger_s=0.01) as here:
        peer = await here.sent()
        await peer.write(stream() + event(RESULT))
        assert await peer.gone()
        await here.only("message", RESULT)
        assert not here.legs.lingering


async def test_a_stream_that_ends_by_itself_leaves_no_timer_and_its_connection_serves_again() -> None:
    async with world() as here:
        peer = await here.sent()
        head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        text = event(RESULT)
        await peer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(text), text))
        await here.only("message", RESULT)
        assert not here.legs.lingering
        here.legs.post(7, jsonrpc.request(7, "tools/list"), [])
        await peer.request()
        await peer.write(whole(RESULT))
        await here.heard.until(2)
        assert here.server.accepted == 1


async def test_abort_closes_the_connection_and_is_silent() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(stream() + event(NOTE))
        await here.heard.until(1)
        here.legs.abort(7)
        assert await peer.gone()
        here.legs.abort(7)
        assert here.heard.all == [("message", NOTE)]


async def test_an_owner_may_abort_while_it_is_told_something() -> None:
    async with world() as here:
        peer = await here.sent()
        told = here.heard.leg_message

        def abort(leg: int, frame: Frame) -> None:
            told(leg, frame)
            here.legs.abort(leg)

        here.heard.leg_message = abort  # type: ignore[method-assign]
        await peer.write(stream() + event(NOTE) + event(NOTE) + event(RESULT))
        assert await peer.gone()
        assert here.heard.all == [("message", NOTE)]


async def test_an_owner_may_use_the_number_again_when_it_hears_the_response() -> None:
    async with world() as here:
        peer = await here.sent()
        told = here.heard.leg_message
        again = jsonrpc.request(8, "tools/call")

        def repeat(leg: int, frame: Frame) -> None:
            here.heard.leg_message = told  # type: ignore[method-assign]
            told(leg, frame)
            here.legs.post(leg, again, [])

        here.heard.leg_message = repeat  # type: ignore[method-assign]
        await peer.write(whole(RESULT))
        body = (await peer.request())[1]
        assert json.loads(body)["id"] == 8
        await peer.write(whole({**RESULT, "id": 8}))
        assert await here.heard.until(2) == [("message", RESULT), ("message", {**RESULT, "id": 8})]


async def test_a_call_has_a_total_time_and_a_listening_stream_has_none() -> None:
    async with world() as here:
        call = await here.sent(7)
        await call.write(stream() + event(NOTE))
        listening = await here.sent(8, streams=True)
        await listening.write(stream() + event(NOTE))
        await here.heard.until(2)
        for _ in range(3):
            here.clock.advance(25)
            for peer in (call, listening):
                peer.writer.write(b": alive\n\n")
            for _ in range(8):
                await turn()
        assert ("failed", "backend-timeout", "unknown") in here.heard.all
        assert list(here.legs.open) == [8]
        here.clock.advance(400)
        assert here.heard.all[-1] == ("failed", "backend-timeout", "unknown")
        assert not here.legs.open


async def test_listening_streams_take_no_place_of_calls() -> None:
    async with world() as here:
        for leg in (1, 2):
            peer = await here.sent(leg, streams=True)
            await peer.write(stream() + event(NOTE))
        for leg in (3, 4, 5, 6):
            await here.sent(leg)
        assert here.server.accepted == 6


async def test_a_backend_that_cannot_be_reached_executed_nothing() -> None:
    async with world() as here, pool_for(1, here.clock) as nowhere:
        deadlines = Deadlines(connect_s=2, head_s=2, idle_s=2, total_s=2, stream_idle_s=2)
        legs = StatelessLegs(nowhere, here.heard, deadlines, WireLimits())
        legs.post(7, jsonrpc.request(7, "tools/call"), NAMED)
        await here.only("failed", "backend-connect", "no")


async def test_an_event_that_is_too_large_ends_the_leg_after_what_came_before() -> None:
    async with world(limits=WireLimits(backend_body=200)) as here:
        peer = await here.sent()
        await peer.write(stream() + event(NOTE) + b"data: " + b"x" * 300)
        assert await here.heard.until(2) == [("message", NOTE), ("failed", "too-large", "unknown")]
        assert await peer.gone()


async def test_a_flood_after_the_response_is_cut() -> None:
    async with world(limits=WireLimits(backend_body=200)) as here:
        peer = await here.sent()
        await peer.write(stream() + event(RESULT) + b"data: " + b"x" * 300)
        assert await here.heard.until(2) == [("message", RESULT), ("violation", "event-too-large")]
        assert await peer.gone()


async def test_a_paused_leg_reads_nothing_until_it_is_resumed() -> None:
    async with world() as here:
        peer = await here.sent()
        await peer.write(stream() + event(NOTE))
        await here.heard.until(1)
        ticket = here.legs.ticket(7)
        assert ticket is not None
        ticket.pause()
        here.clock.advance(31)  # the idle time-out rests too
        assert len(here.heard.all) == 1
        ticket.resume()
        await peer.write(event(RESULT))
        assert await here.heard.until(2) == [("message", NOTE), ("message", RESULT)]
        assert here.legs.ticket(7) is None


async def test_only_requests_with_sendable_headers_and_a_free_number_are_sent() -> None:
    async with world() as here:
        with pytest.raises(ValueError, match="requests"):
            here.legs.post(1, jsonrpc.notification("notifications/cancelled"), [])
        for value in ("é", "a\r\nX: y", "a\0", "a\x7f"):
            with pytest.raises(ValueError, match="header"):
                here.legs.post(1, jsonrpc.request(1, "ping"), [("Mcp-Name", value)])
        await here.sent()
        with pytest.raises(ValueError, match="open"):
            here.legs.post(7, jsonrpc.request(7, "ping"), [])
        assert list(here.legs.open) == [7]


async def test_close_ends_everything_in_silence() -> None:
    async with world() as here:
        first = await here.sent(1)
        second = await here.sent(7)
        await second.write(stream() + event(RESULT))
        await here.heard.until(1)
        here.legs.close()
        assert await first.gone()
        assert await second.gone()
        assert here.heard.all == [("message", RESULT)]
