"""The corpus of JSON before the strict decoder and two others (C035): alone, in a document, and in a long one."""

from __future__ import annotations

import math
from typing import Any

import pydantic_core
import pytest

from protocol_versions.strict import Refused, load
from tests.protocol_versions.json_corpus import EITHER, ENCODINGS, REFUSED, TAKEN
from tests.protocol_versions.test_strict import _independent, _NotStrictError

LONG = '"' + "x" * 5_000 + '"'
"""So long that the short proof of `load` does not cover what it stands in."""


def within(text: str) -> list[str]:
    """Documents that hold a text as a value."""
    return [f"[{text}]", f'{{"a":{text}}}', f'[1,{{"b":[{text},2]}}]', f"[{LONG},{text}]", f'{{"a":{text},"b":{LONG}}}']


def third(text: bytes) -> Any:
    return pydantic_core.from_json(text, allow_inf_nan=False, cache_strings="none")


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types; zeros have the same sign."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and (not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other))


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_json_is_read_as_two_other_decoders_read_it(text: str) -> None:
    for document in (text, f" {text}\n", *within(text)):
        read = load(document.encode())
        assert read == _independent(document.encode())
        assert same(read, third(document.encode())), document


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_json_is_refused_as_an_independent_decoder_refuses_it(text: str) -> None:
    for document in (text, *(within(text) if text.strip() else ())):
        with pytest.raises(Refused):
            load(document.encode("utf-8"))
        with pytest.raises(_NotStrictError):
            _independent(document.encode("utf-8"))


@pytest.mark.parametrize("data", ENCODINGS)
def test_what_is_no_utf_8_is_refused_wherever_it_stands(data: bytes) -> None:
    for document in (data, b"[" + data + b"]", b"[" + LONG.encode() + b"," + data + b"]", b'{"a":' + data + b"}"):
        with pytest.raises(Refused):
            load(document)


@pytest.mark.parametrize(("text", "taken", "why"), EITHER, ids=[ascii(row[0][:16]) for row in EITHER])
def test_what_readers_differ_on_is_decided_and_never_read_in_two_ways(text: str, taken: bool, why: str) -> None:
    if taken:
        assert load(text.encode()) == _independent(text.encode()), why
    else:
        with pytest.raises(Refused):
            load(text.encode())


def test_the_corpus_is_as_large_as_it_is_said_to_be_and_says_nothing_twice() -> None:
    assert len(TAKEN) + len(REFUSED) + len(ENCODINGS) + len(EITHER) > 350
    assert len({*TAKEN, *REFUSED}) == len(TAKEN) + len(REFUSED)
