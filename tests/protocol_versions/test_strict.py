"""The strict decoder: what it refuses, and that an independent decoder agrees with what it takes."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol_versions.strict import DEFAULT_LIMITS, REASONS, Refused, WireLimits, load

MIB = 1024 * 1024

REFUSED: list[tuple[str, bytes, str]] = [
    ("empty body", b"", "not-json"),
    ("white space only", b" \r\n\t", "not-json"),
    ("trailing garbage", b"{} x", "not-json"),
    ("trailing NUL", b"{}\x00", "not-json"),
    ("two documents", b"{}{}", "not-json"),
    ("byte order mark", b"\xef\xbb\xbf{}", "not-json"),
    ("UTF-16", '{"a":1}'.encode("utf-16"), "not-json"),
    ("UTF-32", '{"a":1}'.encode("utf-32-le"), "not-json"),
    ("comment", b"{} // x", "not-json"),
    ("single quotes", b"{'a':1}", "not-json"),
    ("leading zero", b"[01]", "not-json"),
    ("leading plus", b"[+1]", "not-json"),
    ("bare point", b"[.5]", "not-json"),
    ("point without digits", b"[1.]", "not-json"),
    ("bare minus", b"[-]", "not-json"),
    ("hexadecimal", b"[0x1]", "not-json"),
    ("trailing comma in array", b"[1,]", "not-json"),
    ("trailing comma in object", b'{"a":1,}', "not-json"),
    ("missing colon", b'{"a" 1}', "not-json"),
    ("missing value", b'{"a":}', "not-json"),
    ("unquoted key", b"{a:1}", "not-json"),
    ("number as key", b"{1:1}", "not-json"),
    ("unclosed array", b"[1", "not-json"),
    ("unclosed object", b'{"a":1', "not-json"),
    ("unclosed string", b'["a', "not-json"),
    ("crossed brackets", b"[{]}", "not-json"),
    ("vertical tab before value", b"\x0b{}", "not-json"),
    ("no-break space before value", b"\xc2\xa0{}", "not-json"),
    ("raw control character", b'["\x01"]', "not-json"),
    ("raw newline in string", b'["a\nb"]', "not-json"),
    ("unknown escape", b'["\\x41"]', "not-json"),
    ("short unicode escape", b'["\\u12"]', "not-json"),
    ("lone high surrogate", b'["\\ud800"]', "not-json"),
    ("lone low surrogate", b'["\\udc00"]', "not-json"),
    ("reversed surrogates", b'["\\udc00\\ud800"]', "not-json"),
    ("lone surrogate in key", b'{"\\ud800":1}', "not-json"),
    ("NaN", b"[NaN]", "not-json"),
    ("Infinity", b"[Infinity]", "not-json"),
    ("minus Infinity", b"[-Infinity]", "not-json"),
    ("number beyond doubles", b"[1e999]", "not-json"),
    ("capital literal", b"[True]", "not-json"),
    ("0xFF in value", b'["\xff"]', "not-utf8"),
    ("0xFF in key", b'{"\xff":1}', "not-utf8"),
    ("overlong UTF-8", b'["\xc0\xaf"]', "not-utf8"),
    ("CESU surrogate", b'["\xed\xa0\x80"]', "not-utf8"),
    ("truncated UTF-8", b'["\xe2\x82"]', "not-utf8"),
    ("duplicate member", b'{"a":1,"a":2}', "duplicate-member"),
    ("duplicate member, same value", b'{"a":1,"a":1}', "duplicate-member"),
    ("duplicate member, spaced", b'{"a": 1, "a": 2}', "duplicate-member"),
    ("duplicate member, escaped", b'{"method":1,"\\u006dethod":2}', "duplicate-member"),
    ("duplicate member, deep", b'{"a":[{"b":{"c":[{"d":1,"d":2}]}}]}', "duplicate-member"),
    ("duplicate member, escaped quote", b'{"a\\"":1,"a\\u0022":2}', "duplicate-member"),
    ("duplicate empty member", b'{"":1,"":2}', "duplicate-member"),
    ("duplicate in the last of many", b"[" + b'{"a":1},' * 50 + b'{"a":1,"a":1}]', "duplicate-member"),
    ("65 digits", b"[" + b"1" * 65 + b"]", "long-number"),
    ("65 characters of fraction", b"[0." + b"1" * 63 + b"]", "long-number"),
    ("a million digits", b'{"id":' + b"1" * 1_000_000 + b"}", "long-number"),
    ("65 levels of arrays", b"[" * 65 + b"]" * 65, "too-deep"),
    ("65 levels of objects", b'{"a":' * 65 + b"1" + b"}" * 65, "too-deep"),
    ("1000 levels", b"[" * 1000 + b"]" * 1000, "too-deep"),
    ("100 000 levels", b"[" * 100_000 + b"]" * 100_000, "too-deep"),
    ("100 000 open levels", b"[" * 100_000, "too-deep"),
    ("two million open levels", b"[" * 2_000_000, "too-many-values"),
    ("too many numbers", b"[" + b"0," * 2 * MIB + b"0]", "too-large"),
    ("4 MiB of numbers", b"[" + b"0," * (2 * MIB - 2) + b"0]", "too-many-values"),
    ("500 000 empty objects", b"[" + b"{}," * 500_000 + b"0]", "too-many-values"),
    ("a million short strings", b"[" + b'"",' * 1_000_000 + b"0]", "too-many-values"),
    ("overlong key", b'{"' + b"k" * 4097 + b'":1}', "long-key"),
    ("overlong key, spaced", b'{ "' + b"k" * 4097 + b'" : 1 }', "long-key"),
    ("overlong key of escapes", b'{"' + b'\\"' * 4097 + b'":1}', "long-key"),
    ("4 MiB key", b'{"' + b"k" * (4 * MIB - 6) + b'":1}', "long-key"),
]

TAKEN: list[tuple[str, bytes]] = [
    ("white space around", b' \r\n\t{ "a" : [ 1 , 2 ] } \n'),
    ("64 levels", b"[" * 64 + b"]" * 64),
    ("64 levels beside many brackets in strings", b'["' + b"[" * 500 + b'",' + b"[" * 63 + b"]" * 63 + b"]"),
    ("brackets in escaped strings", b'["\\\\\\"' + b"{" * 99 + b'"]'),
    ("64 digits", b"[" + b"1" * 64 + b"]"),
    ("many flat objects", b"[" + b'{"a":1},' * 500 + b"0]"),
    ("long digits in a string", b'["' + b"1" * 500 + b'"]'),
    ("4 MiB string", b'"' + b"a" * (4 * MIB - 2) + b'"'),
    ("escapes of every kind", b'["\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\u0000"]'),
    ("same key in siblings", b'{"a":{"a":1},"b":[{"a":1},{"a":1}]}'),
    ("same text as key and value", b'{"a":"a","b":"a:b,{}"}'),
    ("keys that differ by case", b'{"Method":1,"method":2}'),
    ("names of object internals", b'{"__proto__":1,"constructor":2,"prototype":3,"__class__":4}'),
    ("top-level scalar", b"null"),
    ("minus zero and exponents", b"[-0,1e2,1.10,-1E-2,9007199254740993]"),
    ("non-characters", '["\ufffe\uffff\U0010ffff"]'.encode()),
    ("delete character", b'["\x7f"]'),
]


@pytest.mark.parametrize(("text", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_ambiguous_or_excessive_text_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        load(text)
    assert refusal.value.reason == reason
    assert (refusal.value.code, refusal.value.message) == REASONS[reason]


@pytest.mark.parametrize("text", [row[1] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_unambiguous_text_is_taken_as_an_independent_decoder_reads_it(text: bytes) -> None:
    assert load(text) == json.loads(text)


@pytest.mark.parametrize(("text", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refusal_costs_milliseconds_not_seconds(text: bytes, reason: str) -> None:
    before = time.process_time()
    with pytest.raises(Refused):
        load(text)
    assert time.process_time() - before < 0.5


@pytest.mark.parametrize(
    ("limits", "text", "reason"),
    [
        (WireLimits(body=5), b"[1,22]", "too-large"),
        (WireLimits(depth=1), b"[[]]", "too-deep"),
        (WireLimits(nodes=3), b"[1,2,3,4]", "too-many-values"),
        (WireLimits(number=3), b"[1234]", "long-number"),
        (WireLimits(number=30), b"[1234.5e0,1.234567890123456789012345678901]", "long-number"),
        (WireLimits(key=2), b'{"abc":1}', "long-key"),
    ],
)
def test_smaller_limits_hold_for_short_text_too(limits: WireLimits, text: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        load(text, limits)
    assert refusal.value.reason == reason


class _NotStrictError(Exception):
    pass


def _independent(text: bytes) -> Any:
    """A strict reading by the standard library: no duplicates, no NaN, no infinities, no lone surrogates."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise _NotStrictError
        return dict(items)

    def constant(_: str) -> Any:
        raise _NotStrictError

    def number(digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise _NotStrictError
        return value

    try:
        tree = json.loads(text.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_float=number)
        json.dumps(tree, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise _NotStrictError from None
    return tree


_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False)
)
_trees = st.recursive(
    st.one_of(_scalars, st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=20,
)
_PIECES = (
    *(b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"1e9", b"\xff", b"\x00", b" ", b"null"),
    *(b'"a":1,', b'"a"', b"\\u0061", b"NaN", b"-", b"\xc3\xa9", b"\\ud800", b"1e999"),
)
_spellings = st.sampled_from(
    [
        lambda tree: msgspec.json.encode(tree),
        lambda tree: json.dumps(tree).encode(),
        lambda tree: json.dumps(tree, ensure_ascii=False, indent=1).encode(),
        lambda tree: json.dumps(tree, separators=(",", ":")).encode(),
    ]
)


@given(_trees, _spellings)
def test_every_spelling_of_a_tree_reads_back_as_that_tree(tree: Any, spell: Any) -> None:
    assert load(spell(tree)) == tree


@given(_trees, _spellings, st.data())
@example({"a": {"b": 1}}, json.dumps, None)
def test_mutated_text_is_read_alike_by_an_independent_decoder(tree: Any, spell: Any, data: Any) -> None:
    spelt = spell(tree)
    text = bytearray(spelt.encode() if isinstance(spelt, str) else spelt)
    if data is not None:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(text)))
            width = data.draw(st.integers(0, 3))
            piece = data.draw(st.sampled_from(_PIECES))
            text[place : place + width] = piece
    mutated = bytes(text)
    try:
        expected = _independent(mutated)
    except _NotStrictError:
        with pytest.raises(Refused):
            load(mutated)
    else:
        assert load(mutated) == expected


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "\u00e9"]), _scalars), max_size=4))
def test_an_object_is_taken_exactly_when_its_names_are_distinct(pairs: list[tuple[str, Any]]) -> None:
    members = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    for text in (f"{{{members}}}".encode(), f'[{{"x":{{{members}}}}}]'.encode()):
        if len(dict(pairs)) == len(pairs):
            load(text)
        else:
            with pytest.raises(Refused) as refusal:
                load(text)
            assert refusal.value.reason == "duplicate-member"


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_and_nothing_else_is_raised(text: bytes) -> None:
    with contextlib.suppress(Refused):
        load(text)


def test_limits_are_plain_values() -> None:
    assert WireLimits() == DEFAULT_LIMITS
    assert WireLimits(depth=3) != DEFAULT_LIMITS
