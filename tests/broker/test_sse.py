"""The event-stream reader and writer against a slow reference written from the WHATWG text."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.sse import RETRY_CEILING_MS, Event, Parser, TooLarge, comment, encode, numbered, opening, priming

BOM = b"\xef\xbb\xbf"


def reference(stream: bytes) -> tuple[list[Event], str]:
    """Events and the last event id, by the letter of "interpreting an event stream" over the whole input."""
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(BOM))
    lines.pop()  # an unfinished line is never processed
    events: list[Event] = []
    data: bytes | None = None
    name, own, retry, last = b"", None, None, ""
    for line in lines:
        if line == b"":
            last = own if own is not None else last
            if data is not None:
                events.append(Event(name.decode("utf-8", "replace") or "message", data[:-1], own, retry))
            elif own is not None or retry is not None:
                events.append(Event("message", b"", own, retry, has_data=False))
            data, name, own, retry = None, b"", None, None
            continue
        if line.startswith(b":"):
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        match field:
            case b"event":
                name = value
            case b"data":
                data = (data or b"") + value + b"\n"
            case b"id" if b"\0" not in value:
                own = value.decode("utf-8", "replace")
            case b"retry" if re.fullmatch(rb"[0-9]+", value):
                retry = min(int(value), RETRY_CEILING_MS)
    return events, last


ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
TEXT = st.one_of(
    st.sampled_from(
        [
            b"",
            b"message",
            b"1",
            b'{"jsonrpc":"2.0"}',
            b"\xe2\x80\xa8",
            b"\xff",
            b"a\0b",
            b" two",
            b":",
            b"0" * 30,
        ]
    ),
    st.text(max_size=6).map(lambda text: text.encode().replace(b"\r", b"").replace(b"\n", b"")),
)
FIELDS = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: ",
        b"event:",
        b"id: ",
        b"id:",
        b"id",
        b"retry: ",
        b": ",
        b":",
        b"other: ",
    ]
)
LINES = st.one_of(st.just(b""), st.just(b""), st.tuples(FIELDS, TEXT).map(b"".join))
COMMON = st.sampled_from(
    [
        b"event: message\nid: 7\ndata: {}\n\n",
        b"id: 7\r\nevent: message\r\ndata: {}\r\n\r\n",
        b"data: {}\n\n",
        b"id: x\ndata: \n\n",
    ]
)
STREAMS = st.tuples(
    st.sampled_from([b"", BOM, BOM[:2], BOM + BOM]),
    st.lists(st.one_of(st.tuples(LINES, ENDS).map(b"".join), COMMON), max_size=12).map(b"".join),
    st.sampled_from([b"", b"data: unfinished"]),
).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 200), max_size=12))
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10])
@example(b"data: a\n\n\ndata: b\n\n", [7, 8])
@example(b"id: \ndata: a\n\n", [])
def test_every_split_of_a_stream_gives_the_events_of_the_standard(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    parser = Parser()
    events = [event for start, end in pairwise(edges) for event in parser.feed(stream[start:end])]
    assert (events, parser.last_event_id) == reference(stream)


@given(STREAMS)
def test_byte_by_byte_delivery_gives_the_events_of_the_standard(stream: bytes) -> None:
    parser = Parser()
    events = [event for at in range(len(stream)) for event in parser.feed(stream[at : at + 1])]
    assert (events, parser.last_event_id) == reference(stream)


@given(STREAMS, st.lists(st.integers(0, 200), max_size=6), st.integers(1, 24))
def test_the_size_bound_falls_on_the_same_event_however_the_stream_is_cut(
    stream: bytes, cuts: list[int], bound: int
) -> None:
    def run(pieces: list[bytes]) -> tuple[list[Event], bool]:
        parser = Parser(bound)
        events: list[Event] = []
        try:
            for piece in pieces:
                events += parser.feed(piece)
        except TooLarge as refused:
            return events + refused.events, True
        return events, False

    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert run([stream]) == run(pieces) == run([stream[at : at + 1] for at in range(len(stream))])


def test_a_priming_event_is_dispatched_with_empty_data() -> None:
    assert Parser().feed(priming("s-1", 1500)) == [Event("message", b"", "s-1", 1500, True)]


def test_a_block_without_a_data_field_is_reported_only_for_its_id_or_delay() -> None:
    assert Parser().feed(b"event: x\n\nid: 3\n\nretry: 9\n\n: c\n\n") == [
        Event("message", b"", "3", None, False),
        Event("message", b"", None, 9, False),
    ]


def test_an_id_that_holds_nul_changes_nothing() -> None:
    parser = Parser()
    parser.feed(b"id: good\ndata: 1\n\n")
    assert parser.feed(b"id: ba\0d\ndata: 2\n\n") == [Event("message", b"2")]
    assert parser.last_event_id == "good"


def test_a_retry_delay_is_clamped_and_a_non_number_ignored() -> None:
    assert [event.retry_ms for event in Parser().feed(b"retry: " + b"9" * 5000 + b"\ndata:\n\n")] == [RETRY_CEILING_MS]
    assert [event.retry_ms for event in Parser().feed(b"retry: -1\ndata:\n\nretry: 007\ndata:\n\n")] == [
        None,
        7,
    ]


def test_an_endless_line_is_refused_at_the_bound() -> None:
    parser = Parser(1024)
    for _ in range(1024):
        assert parser.feed(b"x") == []
    with pytest.raises(TooLarge):
        parser.feed(b"x")


def test_a_flood_of_comments_holds_no_memory() -> None:
    parser = Parser(64)
    for _ in range(10_000):
        assert parser.feed(b": still here\n") == []
    assert parser.feed(b"data: 1\n\n") == [Event("message", b"1")]


def test_events_before_an_oversized_one_are_handed_over_with_the_refusal() -> None:
    with pytest.raises(TooLarge) as refused:
        Parser(16).feed(b"data: 1\n\ndata: " + b"x" * 40 + b"\n\n")
    assert refused.value.events == [Event("message", b"1")]


@given(
    st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
    st.one_of(st.none(), st.from_regex(r"[a-z0-9-]+", fullmatch=True)),
    st.sampled_from([None, "\n", "\r\n", "\r"]),
)
def test_an_encoded_message_is_one_event_of_one_data_line_with_the_same_meaning(
    value: object, own: str | None, line_end: str | None
) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1 if line_end else None)
    written = encode(text.replace("\n", line_end or "\n").encode("utf-8", "replace"), id=own)
    (event,) = Parser().feed(written)
    assert json.loads(event.data) == json.loads(text.encode("utf-8", "replace"))
    assert (event.name, event.id) == ("message", own)
    assert len(written.decode().splitlines()) == (3 if own is None else 4)


def test_names_ids_and_delays_are_written() -> None:
    assert encode(b"/m", name="endpoint") == b"event: endpoint\ndata: /m\n\n"
    assert encode(b"{}", id="4", retry_ms=0) == b"event: message\nid: 4\nretry: 0\ndata: {}\n\n"
    assert comment() == b": \n"
    assert comment("keep-alive") == b": keep-alive\n"


@pytest.mark.parametrize("bad", ["", "a\nb", "a\rb", "a\0b"])
def test_an_id_name_or_comment_that_would_break_the_framing_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        encode(b"{}", id=bad)
    with pytest.raises(ValueError, match="one line"):
        encode(b"{}", name=bad)
    with pytest.raises(ValueError, match="one line"):
        priming(bad)
    if bad:
        with pytest.raises(ValueError, match="one line"):
            comment(bad)
    with pytest.raises(ValueError, match="negative"):
        encode(b"{}", retry_ms=-1)


@given(data=st.text().map(str.encode), number=st.integers(0, 10**15))
def test_a_numbered_event_is_the_encoded_one_with_that_id(data: bytes, number: int) -> None:
    assert numbered(opening("p1f"), number, data) == encode(data, id=f"p1f-{number}")
