"""Frames: how messages are classified, what is refused, and that what is written is read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import (
    Frame,
    Refused,
    WireLimits,
    decode_backend,
    decode_strict,
    encode,
    encode_batch,
    error_response,
    notification,
    open_value,
    request,
    response,
)

REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":[1,2]}}}'


def one(body: bytes) -> Frame:
    frame = decode_strict(body)
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("decode", [one, decode_backend])
@pytest.mark.parametrize(
    ("body", "kind", "ident"),
    [
        (REQUEST, "request", 1),
        (b'{"method":"ping","id":"1","jsonrpc":"2.0"}', "request", "1"),
        (b'{"jsonrpc":"2.0","method":"ping","id":""}', "request", ""),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', "notification", UNSET),
        (b'{"jsonrpc":"2.0","id":0,"result":{}}', "response", 0),
        (b'{"result":{"tools":[]},"jsonrpc":"2.0","id":-1}', "response", -1),
        (b'{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no"}}', "error", 7),
        (b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}}', "error", UNSET),
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":0,"message":"","data":null}}', "error", UNSET),
        (b'{"jsonrpc":"2.0","id":9007199254740993,"method":"x"}', "request", 9007199254740993),
        (b'{"jsonrpc":"2.0","id":-9223372036854775808,"method":"x"}', "request", -(2**63)),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":null}', "request", 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{}, "trace":"dropped"}', "request", 1),
    ],
)
def test_a_message_is_classified_and_its_id_keeps_type_and_digits(
    decode: Any, body: bytes, kind: str, ident: Any
) -> None:
    frame = decode(body)
    assert (frame.kind, frame.id) == (kind, ident)
    assert type(frame.id) is type(ident)
    assert b"trace" not in encode(frame)


REFUSED: list[tuple[str, bytes, str, int, Any]] = [
    ("float id", b'{"jsonrpc":"2.0","id":1.0,"method":"x"}', "bad-id", -32600, None),
    ("exponent id", b'{"jsonrpc":"2.0","id":1e0,"method":"x"}', "bad-id", -32600, None),
    ("fraction id", b'{"jsonrpc":"2.0","id":1.5,"method":"x"}', "bad-id", -32600, None),
    ("boolean id", b'{"jsonrpc":"2.0","id":true,"method":"x"}', "bad-id", -32600, None),
    ("null id", b'{"jsonrpc":"2.0","id":null,"method":"x"}', "bad-id", -32600, None),
    ("array id", b'{"jsonrpc":"2.0","id":[],"method":"x"}', "bad-id", -32600, None),
    ("object id", b'{"jsonrpc":"2.0","id":{},"method":"x"}', "bad-id", -32600, None),
    ("id 2^63", b'{"jsonrpc":"2.0","id":9223372036854775808,"method":"x"}', "bad-id", -32600, None),
    ("id 2^64", b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"x"}', "bad-id", -32600, None),
    ("id -2^63-1", b'{"jsonrpc":"2.0","id":-9223372036854775809,"method":"x"}', "bad-id", -32600, None),
    ("long id", b'{"jsonrpc":"2.0","id":"' + b"i" * 1025 + b'","method":"x"}', "bad-id", -32600, None),
    ("result without id", b'{"jsonrpc":"2.0","result":{}}', "bad-id", -32600, None),
    ("result with null id", b'{"jsonrpc":"2.0","id":null,"result":{}}', "bad-id", -32600, None),
    ("no version", b'{"id":1,"method":"x"}', "bad-version", -32600, 1),
    ("version 1.0", b'{"jsonrpc":"1.0","id":1,"method":"x"}', "bad-version", -32600, 1),
    ("numeric version", b'{"jsonrpc":2,"id":1,"method":"x"}', "bad-version", -32600, 1),
    ("float version", b'{"jsonrpc":2.0,"id":1,"method":"x"}', "bad-version", -32600, 1),
    ("padded version", b'{"jsonrpc":"2.0 ","id":1,"method":"x"}', "bad-version", -32600, 1),
    ("null version", b'{"jsonrpc":null,"id":1,"method":"x"}', "bad-version", -32600, 1),
    ("nothing", b'{"jsonrpc":"2.0","id":1}', "no-kind", -32600, 1),
    ("method in other case", b'{"jsonrpc":"2.0","id":1,"Method":"x"}', "no-kind", -32600, 1),
    ("method with a long s", '{"jsonrpc":"2.0","id":1,"param\u017f":{}}'.encode(), "no-kind", -32600, 1),
    ("request and result", b'{"jsonrpc":"2.0","id":1,"method":"x","result":{}}', "ambiguous", -32600, 1),
    ("request and error", b'{"jsonrpc":"2.0","id":1,"method":"x","error":{}}', "ambiguous", -32600, 1),
    ("all three", b'{"jsonrpc":"2.0","id":1,"method":"x","result":{},"error":{}}', "ambiguous", -32600, 1),
    ("numeric method", b'{"jsonrpc":"2.0","id":1,"method":1}', "bad-method", -32600, 1),
    ("null method", b'{"jsonrpc":"2.0","id":1,"method":null}', "bad-method", -32600, 1),
    ("array params", b'{"jsonrpc":"2.0","id":1,"method":"x","params":[]}', "bad-params", -32602, 1),
    ("string params", b'{"jsonrpc":"2.0","id":1,"method":"x","params":"p"}', "bad-params", -32602, 1),
    ("numeric params", b'{"jsonrpc":"2.0","id":1,"method":"x","params":3}', "bad-params", -32602, 1),
    ("bad params of a notification", b'{"jsonrpc":"2.0","method":"x","params":3}', "bad-params", -32602, None),
    ("array result", b'{"jsonrpc":"2.0","id":"a","result":[]}', "bad-result", -32600, "a"),
    ("string result", b'{"jsonrpc":"2.0","id":"a","result":"done"}', "bad-result", -32600, "a"),
    ("float code", b'{"jsonrpc":"2.0","id":2,"error":{"code":1.5,"message":""}}', "bad-error", -32600, 2),
    ("string code", b'{"jsonrpc":"2.0","id":2,"error":{"code":"1","message":""}}', "bad-error", -32600, 2),
    ("no code", b'{"jsonrpc":"2.0","id":2,"error":{"message":""}}', "bad-error", -32600, 2),
    ("no message", b'{"jsonrpc":"2.0","id":2,"error":{"code":1}}', "bad-error", -32600, 2),
    ("numeric message", b'{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":1}}', "bad-error", -32600, 2),
    ("string error", b'{"jsonrpc":"2.0","id":2,"error":"no"}', "bad-error", -32600, 2),
    (
        "code 2^63",
        b'{"jsonrpc":"2.0","id":2,"error":{"code":9223372036854775808,"message":""}}',
        "bad-error",
        -32600,
        2,
    ),
    ("string message", b'"ping"', "not-object", -32600, None),
    ("null message", b"null", "not-object", -32600, None),
    ("not JSON", b"{", "not-json", -32700, None),
    ("invalid UTF-8 in an unknown member", b'{"jsonrpc":"2.0","id":1,"x":"\xff"}', "not-utf8", -32700, None),
]


@pytest.mark.parametrize("decode", [decode_strict, decode_backend])
@pytest.mark.parametrize(
    ("body", "reason", "code", "ident"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_message_no_reader_may_accept_is_refused(
    decode: Any, body: bytes, reason: str, code: int, ident: Any
) -> None:
    with pytest.raises(Refused) as refusal:
        decode(body)
    assert (refusal.value.reason, refusal.value.code, refusal.value.id) == (reason, code, ident)


@pytest.mark.parametrize(
    "body",
    [
        b'{"method\\u0000":"tools/call","jsonrpc":"2.0","id":1,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name\\u0000":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name\\n":"a"}}',
    ],
)
def test_control_characters_in_protocol_level_names_are_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        decode_strict(body)
    assert refusal.value.reason == "control-in-key"


def test_control_characters_in_argument_names_are_data() -> None:
    frame = one(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a\\u0000":1}}}')
    assert open_value(frame.params["arguments"]) == {"a\x00": 1}  # type: ignore[index]


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","\\u006dethod":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","name":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a":{"b":1,"b":2}}}}',
    ],
)
def test_duplicate_members_are_refused_from_clients_without_echoing_an_id(body: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        decode_strict(body)
    assert (refusal.value.reason, refusal.value.id) == ("duplicate-member", None)


def test_values_stay_the_bytes_they_were() -> None:
    frame = one(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[1.10,1e2,-0],"b":"\\u00e9"}}')
    assert frame.params == {"a": Raw(b"[1.10,1e2,-0]"), "b": Raw(b'"\\u00e9"')}
    assert encode(frame) == (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[1.10,1e2,-0],"b":"\\u00e9"}}')


# Batches


def test_a_batch_gives_one_frame_or_refusal_per_element_in_order() -> None:
    body = (
        b'[{"jsonrpc":"2.0","id":1,"method":"a"}, 1, {"jsonrpc":"2.0","id":2}, [], '
        b'{"jsonrpc":"2.0","method":"b"}, {"jsonrpc":"2.0","id":3,"result":{}}]'
    )
    read = decode_strict(body)
    assert isinstance(read, list)
    assert [item.kind if isinstance(item, Frame) else item.reason for item in read] == [
        "request",
        "not-object",
        "no-kind",
        "not-object",
        "notification",
        "response",
    ]
    assert read[2].id == 2
    assert all(item.code == -32600 for item in read if isinstance(item, Refused))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "empty-batch"),
        (b"[" + b",".join([REQUEST] * 51) + b"]", "long-batch"),
        (b'[{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}]', "duplicate-member"),
    ],
)
def test_a_batch_is_refused_whole(body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        decode_strict(body)
    assert refusal.value.reason == reason


def test_fifty_messages_are_a_batch() -> None:
    assert len(decode_strict(b"[" + b",".join([REQUEST] * 50) + b"]")) == 50  # type: ignore[arg-type]


def test_a_batch_is_written_as_one_array() -> None:
    frames = [request(1, "a"), notification("b", {"x": 1})]
    assert decode_strict(encode_batch(frames)) == frames


# Backends


def test_a_backend_value_nobody_opens_travels_unread() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":{"a":{"b":1,"b":2},"n":1e999}}'
    assert encode(decode_backend(body)) == body


@pytest.mark.parametrize("value", [b'{"b":1,"b":2}', b"1e999", b"[" * 65 + b"]" * 65])
def test_a_backend_value_is_checked_when_it_is_opened(value: bytes) -> None:
    frame = decode_backend(b'{"jsonrpc":"2.0","id":1,"result":{"a":' + value + b"}}")
    with pytest.raises(Refused):
        open_value(frame.result["a"])  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":null}', "response"),
        (b'{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":""}}', "error"),
    ],
)
def test_a_backends_null_beside_the_real_member_counts_as_absent(body: bytes, kind: str) -> None:
    assert decode_backend(body).kind == kind


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" + REQUEST + b"]", "no-batch"),
        (b" []", "no-batch"),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', "bad-result"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "too-deep"),
        (b"\xef\xbb\xbf" + REQUEST, "not-json"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"a":"\\ud800"}}', "not-json"),
        (b'{"jsonrpc":"2.0","id":' + b"1" * 100_000 + b',"result":{}}', "bad-id"),
        (b"", "not-json"),
    ],
)
def test_a_backend_body_that_is_no_message_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        decode_backend(body)
    assert refusal.value.reason == reason


def test_sizes_are_capped_apart_for_clients_and_backends() -> None:
    limits = WireLimits(body=10, backend_body=len(REQUEST))
    assert decode_backend(REQUEST, limits).kind == "request"
    for decode, body in ((decode_strict, REQUEST), (decode_backend, REQUEST + b" ")):
        with pytest.raises(Refused) as refusal:
            decode(body, limits)
        assert refusal.value.reason == "too-large"


# Writing


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (request(1, "ping"), '{"jsonrpc":"2.0","id":1,"method":"ping"}'),
        (request("a", "x", {"p": {"q": 1}}), '{"jsonrpc":"2.0","id":"a","method":"x","params":{"p":{"q":1}}}'),
        (notification("n", {"r": Raw(b"[1.0]")}), '{"jsonrpc":"2.0","method":"n","params":{"r":[1.0]}}'),
        (response(2, {}), '{"jsonrpc":"2.0","id":2,"result":{}}'),
        (error_response(3, -1, "m"), '{"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"m"}}'),
        (
            error_response(UNSET, -32700, "m", {"origin": "broker"}),
            '{"jsonrpc":"2.0","error":{"code":-32700,"message":"m","data":{"origin":"broker"}}}',
        ),
    ],
)
def test_a_frame_is_written_compactly_with_the_version_first(frame: Frame, text: str) -> None:
    assert encode(frame) == text.encode()
    assert one(encode(frame)) == frame


_trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
_ids = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20))
_names = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), max_size=4)


@given(_ids, _names, st.dictionaries(_names, _trees, max_size=4), st.booleans())
def test_what_is_written_is_read_back(ident: Any, method: str, members: dict[str, Any], spaced: bool) -> None:
    frame = request(ident, method, members)
    text = encode(frame)
    if spaced:
        text = json.dumps(json.loads(text)).encode()
    read = one(text)
    assert (read.id, read.method) == (ident, method)
    assert {name: open_value(raw) for name, raw in read.params.items()} == members  # type: ignore[union-attr]
    assert decode_backend(text).kind == "request"


_members = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "x"])
_envelopes = st.dictionaries(_members, st.one_of(_trees, st.just("2.0"), _ids), max_size=6)


@given(st.one_of(_envelopes, st.lists(_envelopes, max_size=3), _trees), st.booleans())
def test_any_json_is_a_frame_a_list_of_frames_or_refused(tree: Any, indent: bool) -> None:
    body = json.dumps(tree, indent=1 if indent else None).encode()
    for decode in (decode_strict, decode_backend):
        try:
            read = decode(body)
        except Refused:
            continue
        for item in read if isinstance(read, list) else [read]:
            assert isinstance(item, Refused) or one(encode(item)) == item


@given(st.binary(max_size=60), st.integers(0, len(REQUEST)), st.integers(0, 5))
def test_any_damage_to_a_message_is_survived(piece: bytes, place: int, width: int) -> None:
    body = REQUEST[:place] + piece + REQUEST[place + width :]
    for decode in (decode_strict, decode_backend):
        try:
            read = decode(body)
        except Refused:
            continue
        assert isinstance(read, Frame | list)
