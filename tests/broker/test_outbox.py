"""Where messages for a client go: JSON or a stream, the standing stream, a bounded hold; and what is replayable."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from broker.outbox import MAX_FINISHED, MAX_HELD, MAX_HELD_BYTES, Exchange, Outbox
from broker.sse import Parser
from broker.streams import Stream
from protocol_versions import by_id
from tests.broker.http1_world import turn, within


def outbox(revision: str = "2025-11-25", *, max_questions: int = 2) -> Outbox:
    traits = by_id(revision).traits
    return Outbox(traits, itertools.count(1), max_events=10, max_bytes=10_000, max_questions=max_questions)


def told(stream: Stream | None) -> list[tuple[str | None, bytes]]:
    assert stream is not None
    return [(event.id, event.data) for event in Parser().feed(stream.take()) if event.data]


def stand(box: Outbox) -> Stream:
    stream = box.stand()
    stream.attach()
    return stream


async def test_an_answer_that_comes_first_is_plain_json() -> None:
    box = outbox()
    one = box.open(1)
    assert box.send(one.id, b"{}", final=True)
    assert (one.status, one.body, one.stream) == (200, b"{}", None)
    assert box.exchanges == {}


async def test_whatever_comes_before_the_answer_makes_it_a_stream() -> None:
    box = outbox("2025-06-18")
    one = box.open(1)
    assert box.send(one.id, b"note", final=False)
    assert box.send(one.id, b"answer", final=True)
    assert one.body is None
    assert told(one.stream) == [("p1-1", b"note"), ("p1-2", b"answer")]
    assert one.stream is not None
    assert one.stream.ended


async def test_an_error_that_answers_on_a_stream_has_no_event_id() -> None:
    box = outbox()
    one = box.open(1)
    box.send(one.id, b"note", final=False)
    box.send(one.id, b"error", final=True, error=True)
    assert told(one.stream) == [("p1-1", b"note"), (None, b"error")]


@pytest.mark.parametrize(("revision", "primed"), [("2025-03-26", False), ("2025-06-18", False), ("2025-11-25", True)])
async def test_only_readers_that_know_priming_are_primed(revision: str, primed: bool) -> None:
    box = outbox(revision)
    stream = box.stream(box.open(1))
    assert [(event.id, event.data) for event in Parser().feed(stream.take())] == ([("p1-0", b"")] if primed else [])


async def test_a_waiting_handler_learns_of_the_decision_at_once() -> None:
    for decide in ("json", "stream", "status", "hush"):
        box = outbox()
        one = box.open(1)
        waiting = asyncio.ensure_future(one.decided())
        await turn()
        assert not waiting.done()
        if decide == "json":
            box.send(one.id, b"{}", final=True)
        elif decide == "stream":
            box.send(one.id, b"note", final=False)
        elif decide == "status":
            one.finish(202, b"")
        else:
            box.hush(one.id)
        await within(waiting)


async def test_answers_of_a_batch_are_collected_into_one_array() -> None:
    box = outbox("2025-03-26")
    one = box.open(3, batch=True)
    box.send(one.id, b"1", final=True)
    box.send(one.id, b"2", final=True, error=True)
    assert one.body is None
    box.send(one.id, b"3", final=True)
    assert one.body == b"[1,2,3]"
    assert box.exchanges == {}


async def test_a_batch_that_becomes_a_stream_sends_first_what_it_had_collected() -> None:
    box = outbox("2025-03-26")
    one = box.open(2, batch=True)
    box.send(one.id, b"1", final=True)
    box.send(one.id, b"note", final=False)
    box.send(one.id, b"2", final=True)
    assert [data for _, data in told(one.stream)] == [b"1", b"note", b"2"]
    assert box.exchanges == {}


async def test_a_cancelled_request_ends_its_exchange_with_an_empty_stream_without_ids() -> None:
    box = outbox()
    one = box.open(1)
    box.hush(one.id)
    assert one.stream is not None
    assert one.stream.ended
    assert one.stream.take() == b""
    assert box.exchanges == {}
    box.hush(one.id)


async def test_a_cancelled_request_of_a_batch_leaves_the_others_their_answers() -> None:
    box = outbox("2025-03-26")
    one = box.open(2, batch=True)
    box.send(one.id, b"1", final=True)
    box.hush(one.id)
    assert one.body == b"[1]"


async def test_a_cancelled_request_ends_a_stream_that_has_begun() -> None:
    box = outbox()
    one = box.open(1)
    box.send(one.id, b"note", final=False)
    box.hush(one.id)
    assert one.stream is not None
    assert one.stream.ended


# ---- what belongs to no exchange ------------------------------------------------------------------------------------


async def test_a_message_goes_to_the_newest_standing_stream_and_to_that_one_only() -> None:
    box = outbox()
    old, new = stand(box), stand(box)
    exchange = box.open(1)
    assert box.send(0, b"note", final=False)
    assert (told(old), told(new)) == ([], [(f"{new.key}-1", b"note")])
    assert exchange.stream is None


async def test_without_a_standing_stream_it_goes_to_an_open_exchange() -> None:
    box = outbox()
    one = box.open(1)
    assert box.send(0, b"question", final=False, question=True)
    assert [data for _, data in told(one.stream)] == [b"question"]


async def test_an_exchange_of_a_batch_or_of_initialize_is_not_used_for_it() -> None:
    box = outbox("2025-03-26")
    batch, first = box.open(1, batch=True), box.open(1, may_stream=False)
    assert box.send(0, b"note", final=False)
    assert (batch.stream, first.stream) == (None, None)
    assert [data for _, data in told(stand(box))] == [b"note"]


async def test_what_nobody_can_take_is_held_in_order_for_the_first_stream() -> None:
    box = outbox()
    assert not box.reachable
    for data in (b"1", b"2", b"3"):
        assert box.send(0, data, final=False, question=data == b"2")
    assert [data for _, data in told(stand(box))] == [b"1", b"2", b"3"]
    assert box.reachable
    assert told(stand(box)) == []


async def test_held_questions_are_bounded_and_the_bound_is_free_again_after_delivery() -> None:
    box = outbox(max_questions=2)
    assert [box.send(0, b"q", final=False, question=True) for _ in range(3)] == [True, True, False]
    assert box.send(0, b"note", final=False)
    told(stand(box))
    box.standing.clear()
    assert box.send(0, b"q", final=False, question=True)


async def test_held_notifications_are_bounded() -> None:
    box = outbox()
    assert all(box.send(0, b"n", final=False) for _ in range(MAX_HELD))
    assert not box.send(0, b"n", final=False)
    assert box.send(0, b"q", final=False, question=True)


async def test_a_standing_reader_that_is_away_for_a_moment_finds_it_when_it_resumes() -> None:
    box = outbox()
    stream = box.stand()
    holder = stream.attach()
    box.send(0, b"1", final=False)
    stream.take()
    stream.detach(holder)
    assert box.send(0, b"2", final=False)
    assert box.resume(f"{stream.key}-1") is stream
    stream.attach()
    assert told(stream) == [(f"{stream.key}-2", b"2")]


async def test_a_message_of_an_exchange_that_is_over_goes_to_the_standing_stream() -> None:
    box = outbox()
    standing = stand(box)
    one = box.open(1)
    box.send(one.id, b"{}", final=True)
    assert box.send(one.id, b"late", final=False)
    assert [data for _, data in told(standing)] == [b"late"]
    assert not box.send(one.id, b"again", final=True)


# ---- abandoned exchanges --------------------------------------------------------------------------------------------


async def abandoned(box: Outbox) -> Exchange:
    one = box.open(1)
    waiting = asyncio.ensure_future(one.decided())
    await turn()
    waiting.cancel()
    await asyncio.wait([waiting])
    return one


async def test_a_client_that_went_before_the_decision_is_sent_no_notifications_but_still_asked() -> None:
    box = outbox()
    one = await abandoned(box)
    assert one.abandoned
    assert not box.send(one.id, b"note", final=False)
    assert box.send(one.id, b"question", final=False, question=True)
    assert [data for _, data in told(stand(box))] == [b"question"]
    assert box.send(one.id, b"{}", final=True)
    assert box.exchanges == {}


# ---- resuming and ending --------------------------------------------------------------------------------------------


def finished(box: Outbox) -> str:
    one = box.open(1)
    box.send(one.id, b"note", final=False)
    box.send(one.id, b"answer", final=True)
    return f"p{one.id:x}"


async def test_a_finished_stream_can_be_replayed_until_it_expires() -> None:
    box = outbox()
    key = finished(box)
    stream = box.resume(f"{key}-1")
    assert told(stream) == [(f"{key}-2", b"answer")]
    now = asyncio.get_running_loop().time()
    box.expire(now - 10)
    assert box.resume(f"{key}-1") is stream
    box.expire(now + 10)
    assert box.resume(f"{key}-1") is None


async def test_only_the_last_finished_streams_are_kept() -> None:
    box = outbox()
    keys = [finished(box) for _ in range(MAX_FINISHED + 1)]
    assert box.resume(f"{keys[0]}-1") is None
    assert box.resume(f"{keys[1]}-1") is not None


@pytest.mark.parametrize(
    "last", ["", "-", "p1", "p1-", "p1-x", "p1--1", "p1-9", "p2-1", "P1-1", "p1-1\u0662", "9" * 5000]
)
async def test_an_event_id_that_was_never_given_resumes_nothing(last: str) -> None:
    box = outbox()
    assert finished(box) == "p1"
    assert box.resume(last) is None


async def test_a_revision_without_resumption_keeps_nothing() -> None:
    box = Outbox(None, itertools.count(1), max_events=10, max_bytes=1000)
    key = finished(box)
    assert box.resume(f"{key}-1") is None
    box.expire(10.0**9)


async def test_closing_ends_every_stream_and_answers_every_waiting_exchange() -> None:
    box = outbox()
    standing, waiting, streaming = stand(box), box.open(1), box.open(1)
    box.stream(streaming)
    box.close()
    assert standing.ended
    assert streaming.stream is not None
    assert streaming.stream.ended
    assert (waiting.status, waiting.body) == (404, b"")
    assert box.exchanges == {}


async def test_a_stream_whose_client_left_before_it_was_written_keeps_nothing_in_its_queue() -> None:
    box = outbox()
    one = box.open(1)
    stream = box.stream(one)
    one.abandon()
    box.send(one.id, b"note", final=False)
    assert (stream.queued, stream.take()) == (0, b"")
    assert box.resume(f"{stream.key}-0") is stream  # what can be replayed is kept, within its bounds
    assert [data for _, data in told(stream)] == [b"note"]


async def test_what_is_held_for_a_client_without_a_stream_is_bounded_in_bytes_too() -> None:
    box = outbox()
    large = b"x" * (MAX_HELD_BYTES // 3)
    took = [box.send(0, large, final=False, question=question) for question in (False, True, False, False, True)]
    assert took == [True, True, True, False, False]
    assert len(told(stand(box))) == 3
    assert outbox().send(0, b"x" * (MAX_HELD_BYTES + 1), final=False)  # one message may be as long as it is
