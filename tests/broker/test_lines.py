"""Lines out of a byte stream: any cut, any length, nothing kept of what is too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.backends.lines import Lines


def lines(pieces: list[bytes], limit: int = 100) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    long: list[None] = []
    reader = Lines(limit, lambda: long.append(None))
    for piece in pieces:
        found += reader.feed(piece)
    return found, len(long)


def test_a_line_comes_out_whole_however_it_was_cut() -> None:
    assert lines([b'{"a"', b":1}", b"\n\n  \r\n", b'{"b":2}\r\n{"c"', b":3}"]) == ([b'{"a":1}', b'{"b":2}'], 0)


def test_a_line_that_is_too_long_is_passed_over_once_and_the_next_is_read() -> None:
    pieces = [b"x" * 60, b"x" * 60, b"x" * 500, b"x\n", b"after\n"]
    assert lines(pieces) == ([b"after"], 1)
    assert lines([b"y" * 101 + b"\nafter\n"]) == ([b"after"], 1)
    assert lines([b"z" * 100 + b"\n"]) == ([b"z" * 100], 0)


def test_what_was_not_ended_is_no_line() -> None:
    reader = Lines(10, lambda: None)
    assert reader.feed(b"abc") == []
    assert reader.end() == b"abc"


@given(st.lists(st.binary(max_size=12).filter(lambda part: b"\n" not in part), max_size=8), st.data())
def test_cuts_never_change_what_is_read(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(part + b"\n" for part in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert lines(pieces) == lines([whole])
