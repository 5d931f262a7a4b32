"""URLs, request heads and the order of addresses."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.backends.http1 import make_pool, parse_url
from broker.backends.http1_dial import alternating, first_connected
from broker.backends.http1_head import Origin, constant_heads, lines_are_sound
from tests.broker.http1_world import Clock, backend, within


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("http://a", Origin("http", "a", 80, "/"), "a"),
        ("HTTPS://Example.COM/mcp", Origin("https", "example.com", 443, "/mcp"), "example.com"),
        ("http://a:8080/m%20cp?x=1", Origin("http", "a", 8080, "/m%20cp?x=1"), "a:8080"),
        ("http://a?x", Origin("http", "a", 80, "/?x"), "a"),
        ("https://[::1]:8443/", Origin("https", "::1", 8443, "/"), "[::1]:8443"),
        ("http://[2001:DB8::0:1]/", Origin("http", "2001:db8::1", 80, "/"), "[2001:db8::1]"),
        ("http://127.0.0.1:1/mcp", Origin("http", "127.0.0.1", 1, "/mcp"), "127.0.0.1:1"),
    ],
)
def test_a_url_is_read_into_its_origin(url: str, origin: Origin, authority: str) -> None:
    assert parse_url(url) == origin
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    ["", "a", "ftp://a/", "http://", "http:///x", "http://u@a/", "http://u:p@a/", "http://a:0/", "http://a:65536/",
     "http://a:x/", "http://a b/", "http://a/\n", "http://a\r\n", "http://a/#f", "http://[::1", "http://[::g]/",
     "http://a..b/", "http://-a/", "http://a/é", "http://a/\x00", " http://a/", "http://a\\b/"],
)  # fmt: skip
def test_a_url_that_could_be_read_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_url(url)


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection", "a b", "", "a\n", "é"])
def test_a_configured_header_that_is_ours_or_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        make_pool("http://a/", wheel=Clock().wheel, headers={name: "x"})


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\n", "\x00", "é", "\x7f"])
def test_a_configured_value_with_control_characters_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        make_pool("http://a/", wheel=Clock().wheel, headers={"x": value})


def test_a_configured_user_agent_replaces_ours() -> None:
    head = constant_heads(parse_url("http://a/"), {"User-Agent": "me"})[b"POST"]
    assert head.lower().count(b"user-agent") == 1
    assert b"User-Agent: me\r\n" in head


@given(st.binary(max_size=60))
def test_sound_lines_never_hold_a_line_that_is_empty_or_without_a_name(lines: bytes) -> None:
    if lines_are_sound(lines) and lines:
        *whole, rest = lines.split(b"\r\n")
        assert rest == b""
        for line in whole:
            name, colon, value = line.partition(b":")
            assert name
            assert colon
            assert not set(value) & (set(range(32)) - {9} | {127})


def test_families_take_turns_in_the_resolver_s_order() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(six, ("a",)), (six, ("b",)), (four, ("c",)), (six, ("d",))]
    assert alternating(found) == [(six, ("a",)), (four, ("c",)), (six, ("b",)), (six, ("d",))]


async def test_a_refused_address_gives_way_to_the_next_at_once() -> None:
    async with backend() as refused:
        nobody = refused.port
    async with backend() as world:
        addresses = [(socket.AF_INET, ("127.0.0.1", port)) for port in (nobody, nobody, world.port)]
        sock = await within(first_connected(addresses))
        assert sock.getpeername()[1] == world.port
        sock.close()
        with pytest.raises(OSError, match="Connect"):
            await within(first_connected(addresses[:2]))


async def test_a_black_hole_does_not_hold_up_the_next_address() -> None:
    """A listener with a full backlog answers no connection attempt, as a black hole would."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
            fillers.append(filler)
        async with backend() as world:
            addresses = [(socket.AF_INET, hole.getsockname()), (socket.AF_INET, ("127.0.0.1", world.port))]
            sock = await within(first_connected(addresses))
            assert sock.getpeername()[1] == world.port
            sock.close()
        for filler in fillers:
            filler.close()
    assert len(asyncio.all_tasks()) == 1
