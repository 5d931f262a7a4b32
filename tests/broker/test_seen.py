"""Lists recognised as bytes: always the frame that reading gives, and the same value each time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.backends.seen import ALIKE, LONG, MAX_LIST_BYTES, MET, START, Seen
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import DEFAULT_LIMITS, WireLimits

LIST = msgspec.json.encode([{"name": f"tool-{number}", "title": "[]{}"} for number in range(200)])
OTHER = LIST.replace(b"tool-199", b"tool-x99")
LIMITS = WireLimits(backend_body=100_000)


def page(items: bytes = LIST, before: bytes = b"", after: bytes = b"", ident: int = 7) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":{%b"tools":%b%b}}' % (ident, before, items, after)


def knowing(*items: bytes) -> Seen:
    seen = Seen()
    for text in items:
        for _ in range(2):
            seen.decode(page(text), LIMITS)
    return seen


def read(decode: Any, body: bytes) -> Any:
    """What a reader makes of a body: the frame as text, or the reason it is refused for."""
    try:
        return jsonrpc.encode(decode(body, LIMITS))
    except jsonrpc.Refused as refused:
        return refused.reason, refused.id


def test_a_list_that_comes_again_is_the_same_object_beside_whatever_else() -> None:
    seen = knowing(LIST)
    first, second = seen.decode(page(ident=1), LIMITS), seen.decode(page(after=b',"nextCursor":"c"', ident=2), LIMITS)
    assert (first.id, second.id) == (1, 2)
    assert first.result != second.result
    assert isinstance(first.result, dict)
    assert isinstance(second.result, dict)
    assert bytes(first.result["tools"]) == LIST
    assert second.result["tools"] is first.result["tools"]
    assert list(second.result) == ["tools", "nextCursor"]


@pytest.mark.parametrize(
    "body",
    [
        page(after=b',"tools":[]'),
        page(before=b'"tools":[],'),
        page(before=b'"tools":0,'),
        page(after=b',"more":[{"tools":%b}]' % LIST),
        page(before=b'"a":{"tools":%b},' % LIST),
        page(before=b'"resources":[],'),
        page(before=b'"a":"', after=b'"'),
        page()[:-1],
        page() + b"x",
        page() + b"}",
        page(LIST + b","),
        page(LIST[:-1]),
        page(LIST + LIST),
        page(b" " + LIST),
        page(LIST.replace(b"tool-150", b"tool-\xff")),
        page(before=b'"\xff":0,'),
        page(before=b'"a":%b,' % (b"[" * 20_000)),
        page(after=b',"a":"%b"' % (b"x" * 100_000)),
        b'{"jsonrpc":"2.0","id":7,"method":"x","params":{"tools":%b}}' % LIST,
        b'{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"","data":{"tools":%b}}}' % LIST,
        b'{"jsonrpc":"2.0","id":7,"result":"{\\"tools\\":%b"}' % LIST,
        b'{"jsonrpc":"2.0","id":7,"x":"\\""tools":%b,"result":{}}' % LIST,
        b'{"jsonrpc":"2.0","id":7,"x":{"tools":%b},"result":{"tools":1}}' % LIST,
        b'{"result":{"tools":%b},"jsonrpc":"2.0","id":null}' % LIST,
    ],
)
def test_every_message_is_read_as_if_no_list_were_known(body: bytes) -> None:
    assert read(knowing(LIST, OTHER).decode, body) == read(jsonrpc.decode_backend, body)


KNOWING = knowing(LIST, OTHER)
PARTS = st.sampled_from(
    [LIST, OTHER, b'"tools":', b'"result":', b"{", b"}", b"[", b"]", b",", b'"', b'"a":', b"0", b"\\"]
)


@given(st.lists(PARTS, max_size=9))
def test_whatever_stands_around_a_known_list_decides_as_ever(parts: list[bytes]) -> None:
    body = b'{"jsonrpc":"2.0","id":7,"result":{' + b"".join(parts) + b"}}" + b" " * LONG
    assert read(KNOWING.decode, body) == read(jsonrpc.decode_backend, body)


def test_a_list_is_kept_when_it_comes_again_and_not_before() -> None:
    seen = Seen()
    for number in range(2 * MET):
        seen.decode(page(LIST.replace(b"tool-0", b"tool-%d" % (number + 1000))), LIMITS)
    assert seen.held == 0
    for _ in range(2):
        seen.decode(page(), LIMITS)
    assert seen.held == len(LIST)


def test_what_is_kept_is_bounded() -> None:
    seen = Seen(max_bytes=10 * len(LIST))
    for number in range(100):
        for _ in range(2):
            seen.decode(page(LIST.replace(b"tool-0", b"tool-%d" % number)), LIMITS)
            seen.decode(page(LIST.replace(b"tool-150", b"tool-%d" % number)), LIMITS)
    assert len(LIST) < seen.held <= 10 * len(LIST)
    alike = knowing(*(LIST.replace(b"tool-150", b"tool-%d" % (number + 150)) for number in range(3 * ALIKE)))
    assert alike.held == ALIKE * len(LIST)
    large = b"[%b]" % b",".join([b'"%b"' % (b"x" * START)] * (MAX_LIST_BYTES // START))
    for _ in range(3):
        alike.decode(page(large), DEFAULT_LIMITS)
    assert alike.held == ALIKE * len(LIST)
