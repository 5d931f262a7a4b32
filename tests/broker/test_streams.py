"""One SSE stream: event ids, priming, replay of exactly what was missed, and taking over from a dead reader."""

from __future__ import annotations

import asyncio

import pytest

from broker.sse import Event, Parser
from broker.streams import RETRY_MS, Stream
from tests.broker.http1_world import turn, within


def stream(*, resumable: bool = True, priming: bool = False, max_events: int = 10, max_bytes: int = 1000) -> Stream:
    return Stream("g1", resumable=resumable, priming=priming, max_events=max_events, max_bytes=max_bytes)


def events(data: bytes) -> list[Event]:
    return Parser().feed(data)


def told(data: bytes) -> list[tuple[str | None, bytes]]:
    return [(event.id, event.data) for event in events(data)]


def sent(one: Stream, *messages: bytes) -> None:
    for message in messages:
        one.send(message)


def test_events_of_a_resumable_stream_are_numbered_under_its_key() -> None:
    one = stream()
    sent(one, b"1", b"2")
    assert told(one.take()) == [("g1-1", b"1"), ("g1-2", b"2")]
    assert one.take() == b""


def test_events_of_a_stream_without_resumption_have_no_id() -> None:
    one = stream(resumable=False)
    sent(one, b"1")
    assert told(one.take()) == [(None, b"1")]
    assert not one.replay(0)


def test_a_store_of_no_events_means_no_ids() -> None:
    one = stream(max_events=0, priming=True)
    sent(one, b"1")
    assert told(one.take()) == [(None, b"1")]


def test_a_reader_that_knows_priming_is_primed_first_with_an_id_and_a_delay() -> None:
    one = stream(priming=True)
    sent(one, b"1")
    primed, first = events(one.take())
    assert (primed.id, primed.data, primed.retry_ms) == ("g1-0", b"", RETRY_MS)
    assert (first.id, first.data) == ("g1-1", b"1")


def test_a_reader_that_does_not_know_priming_sees_messages_only() -> None:
    one = stream(priming=False)
    assert one.take() == b""


def test_an_error_answer_goes_out_without_an_id_and_keeps_its_number() -> None:
    one = stream()
    one.send(b"1")
    one.send(b"error", identified=False)
    one.send(b"3")
    assert told(one.take()) == [("g1-1", b"1"), (None, b"error"), ("g1-3", b"3")]


@pytest.mark.parametrize(("last", "missed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, [])])
def test_a_reader_that_comes_back_gets_exactly_what_it_missed(last: int, missed: list[int]) -> None:
    one = stream()
    holder = one.attach()
    sent(one, b"1")
    one.take()
    one.detach(holder)
    sent(one, b"2", b"3")
    assert one.replay(last)
    one.attach()
    assert told(one.take()) == [(f"g1-{n}", b"%d" % n) for n in missed]


def test_live_events_follow_the_replayed_ones_without_gap_or_repetition() -> None:
    one = stream()
    holder = one.attach()
    sent(one, b"1", b"2")
    one.take()
    one.detach(holder)
    assert one.replay(1)
    one.attach()
    sent(one, b"3")
    assert told(one.take()) == [("g1-2", b"2"), ("g1-3", b"3")]


def test_what_was_queued_but_never_written_is_replayed_once() -> None:
    one = stream()
    holder = one.attach()
    sent(one, b"1", b"2")
    one.detach(holder)
    assert one.replay(0)
    one.attach()
    assert told(one.take()) == [("g1-1", b"1"), ("g1-2", b"2")]


def test_events_that_fell_out_of_the_store_cannot_be_resumed_from() -> None:
    one = stream(max_events=2)
    sent(one, b"1", b"2", b"3", b"4")
    one.take()
    assert not one.replay(1)
    assert one.replay(2)
    assert told(one.take()) == [("g1-3", b"3"), ("g1-4", b"4")]


def test_the_store_is_bounded_in_bytes() -> None:
    one = stream(max_bytes=300)
    sent(one, b"a" * 200, b"b" * 200)
    one.take()
    assert not one.replay(0)
    assert one.replay(1)
    assert told(one.take()) == [("g1-2", b"b" * 200)]


def test_an_event_that_was_never_sent_cannot_be_resumed_from() -> None:
    one = stream()
    sent(one, b"1")
    assert not one.replay(2)


def test_a_dead_readers_leftovers_do_not_pile_up() -> None:
    one = stream()
    one.detach(one.attach())
    sent(one, *(b"x" for _ in range(50)))
    assert one.queued == 0
    assert one.take() == b""


def test_a_keepalive_is_a_comment_and_only_on_a_silent_attached_stream() -> None:
    one = stream()
    one.comment()
    assert one.take() == b""
    one.attach()
    one.comment()
    assert one.take().startswith(b":")
    sent(one, b"1")
    one.comment()
    assert told(one.take()) == [("g1-1", b"1")]


def test_the_queue_is_measured_and_taking_it_relieves_once() -> None:
    one = stream()
    one.attach()
    sent(one, b"1", b"2")
    assert one.queued == len(b"event: message\nid: g1-1\ndata: 1\n\n") * 2
    relieved: list[bool] = []
    one.when_relieved(lambda: relieved.append(True))
    one.take()
    sent(one, b"3")
    one.take()
    assert relieved == [True]
    assert one.queued == 0


def test_a_reader_that_goes_relieves_the_pressure() -> None:
    one = stream()
    holder = one.attach()
    sent(one, b"1")
    relieved: list[bool] = []
    one.when_relieved(lambda: relieved.append(True))
    one.detach(holder)
    assert relieved == [True]


async def test_a_waiting_reader_wakes_for_a_message_and_for_the_end() -> None:
    one = stream()
    one.attach()
    waiting = asyncio.ensure_future(one.wait())
    await turn()
    sent(one, b"1")
    await within(waiting)
    one.take()
    waiting = asyncio.ensure_future(one.wait())
    await turn()
    one.end()
    await within(waiting)
    await within(one.wait())


async def test_a_reader_that_takes_over_is_not_forgotten_when_the_old_one_leaves() -> None:
    one = stream()
    old = one.attach()
    first = asyncio.ensure_future(one.wait())
    await turn()
    new = one.attach()  # wakes the old reader, which has not run yet
    second = asyncio.ensure_future(one.wait())
    await within(first)
    await turn()
    assert one.holder == new
    one.detach(old)
    assert one.attached
    sent(one, b"1")
    await within(second)
    assert told(one.take()) == [("g1-1", b"1")]
