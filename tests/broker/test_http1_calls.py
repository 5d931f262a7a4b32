"""Calls that are answered: heads, framings, reuse, and many at once."""

from __future__ import annotations

import asyncio
import sys
from subprocess import run

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.backends.http1 import Limits, Timeouts
from tests.broker.http1_world import OK, Backend, Clock, Seen, backend, exchange, pool_for, post, turn, within


async def test_a_request_is_one_sound_head_and_its_body() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, headers={"Authorization": "Bearer x"}) as pool:
        seen, _ = post(pool, b'{"id":1}', headers=b"accept: application/json\r\nmcp-session-id: 7\r\n")
        peer = await world.accept()
        head, body = await peer.request()
        assert head.decode().split("\r\n") == [
            "POST /mcp HTTP/1.1",
            f"host: 127.0.0.1:{world.port}",
            "accept-encoding: identity",
            "user-agent: dragoman",
            "Authorization: Bearer x",
            "accept: application/json",
            "mcp-session-id: 7",
            "content-length: 8",
            "",
            "",
        ]
        assert body == b'{"id":1}'
        await peer.write(OK)
        await seen.ended()
        assert (seen.status, seen.data, seen.is_done) == (200, b"{}", True)
        assert seen.headers["content-type"] == "application/json"


async def test_get_and_delete_carry_no_body() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        for method in (b"GET", b"DELETE"):
            seen = Seen()
            pool.send(method, b"mcp-session-id: 7\r\n", b"", seen, timeouts=Timeouts(), stream=False)
            peer = await world.accept()
            head = await peer.head()
            assert head.startswith(method + b" /mcp HTTP/1.1\r\n")
            assert b"content-length" not in head
            await peer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            assert (await seen.ended()).is_done
            assert await peer.gone()


async def test_a_hundred_calls_in_a_row_take_one_connection() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        await seen.ended()
        for number in range(99):
            body = b"%d" % number
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            assert (await exchange(pool, peer, answer, body)).data == body
        assert (world.accepted, pool.connections) == (1, 1)


async def test_a_thousand_calls_at_once_share_sixteen_connections() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, Limits(max_connections=16)) as pool:
        calls = [post(pool, b"%d" % number)[0] for number in range(1000)]

        async def serve() -> None:
            peer = await world.accept()
            while True:
                _, body = await peer.request()
                await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        servers = [asyncio.ensure_future(serve()) for _ in range(16)]
        await within(asyncio.gather(*(seen.ended() for seen in calls)))
        for server in servers:
            server.cancel()
        await asyncio.gather(*servers, return_exceptions=True)
        assert [seen.data for seen in calls] == [b"%d" % number for number in range(1000)]
        assert (world.accepted, pool.connections) == (16, 16)


async def test_calls_beyond_the_queue_are_refused_as_not_executed() -> None:
    clock = Clock()
    limits = Limits(max_connections=1, max_waiting=2)
    async with backend() as world, pool_for(world.port, clock, limits) as pool:
        first, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        waiting = [post(pool)[0] for _ in range(3)]
        assert await waiting[2].why() == ("pool-full", "no")
        await peer.write(OK)
        await first.ended()
        for seen in waiting[:2]:
            await peer.request()
            await peer.write(OK)
            assert (await seen.ended()).is_done


async def test_standing_streams_leave_the_calls_their_connections() -> None:
    clock = Clock()
    limits = Limits(max_connections=1, max_streams=2, max_waiting=0)
    async with backend() as world, pool_for(world.port, clock, limits) as pool:
        streams = [Seen(), Seen(), Seen()]
        for seen in streams:
            pool.send(b"GET", b"", b"", seen, timeouts=Timeouts())
        assert await streams[2].why() == ("pool-full", "no")
        standing = [await world.accept(), await world.accept()]
        for peer in standing:
            await peer.head()
            await peer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
        call, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        assert (await call.ended()).is_done
        assert pool.connections == 3


FRAMINGS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Empty:\r\n\r\nabcdef",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n5\r\nbcdef\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n6\r\nabcdef\r\n0\r\nX-Late: 1\r\n\r\n",
    "interim": b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
}


@pytest.mark.parametrize("name", FRAMINGS)
async def test_an_answer_delivered_byte_by_byte_is_the_same_answer(name: str) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        whole, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(FRAMINGS[name])
        await whole.ended()
        split, _ = post(pool)
        await peer.request()
        for at in range(len(FRAMINGS[name])):
            await peer.write(FRAMINGS[name][at : at + 1])
            await turn()
        await split.ended()
        assert (whole.status, whole.headers, whole.data) == (split.status, split.headers, split.data)
        assert (whole.data, whole.is_done, split.is_done, world.accepted) == (b"abcdef", True, True, 1)
        assert "x-late" not in whole.headers
        assert "link" not in whole.headers


async def test_an_answer_without_length_ends_when_the_backend_closes() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nab")
        await seen.received(2)
        assert not seen.ends
        peer.close()
        assert (await seen.ended()).is_done
        assert pool.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        OK + b"junk",
        OK + b"HTTP/1.1 200 OK\r\nX",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}junk",
    ],
)
async def test_a_connection_that_said_more_or_goodbye_is_not_used_again(answer: bytes) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(answer)
        assert (await seen.ended()).data == b"{}"
        assert await peer.gone()
        assert pool.connections == 0
        again, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        assert (await again.ended()).data == b"{}"


async def test_bytes_on_an_idle_connection_close_it() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        await seen.ended()
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        assert await peer.gone()
        assert pool.connections == 0


@pytest.mark.parametrize(("announced", "hold_s"), [(b"", 4.0), (b"Keep-Alive: timeout=3, max=9\r\n", 2.0)])
async def test_an_idle_connection_is_closed_before_the_backend_would(announced: bytes, hold_s: float) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\n" + announced + b"Content-Length: 0\r\n\r\n")
        await seen.ended()
        clock.advance(hold_s - 0.5)
        assert pool.connections == 1
        clock.advance(0.75)
        assert pool.connections == 0
        assert await peer.gone()


async def test_an_expired_connection_is_not_used_even_before_the_wheel_turns() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        old = await world.accept()
        await old.request()
        await old.write(OK)
        await seen.ended()
        clock.now += 4.1
        again, _ = post(pool)
        new = await world.accept()
        await new.request()
        await new.write(OK)
        assert (await again.ended()).is_done
        assert await old.gone()


async def test_a_redirect_is_just_a_status() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        await seen.ended()
        assert (seen.status, seen.headers["location"], world.accepted) == (307, "http://127.0.0.1:1/", 1)


async def test_repeated_fields_are_joined_and_odd_bytes_kept_as_latin_1() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nX-A: 1 \r\nx-a: \xe9\r\nContent-Length: 0\r\n\r\n")
        await seen.ended()
        assert seen.headers["x-a"] == "1, \xe9"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.booleans()), min_size=1, max_size=8))
def test_bodies_arrive_whole_and_in_order_over_any_framing(plan: list[tuple[bytes, bool]]) -> None:
    async def story(world: Backend, clock: Clock) -> None:
        async with pool_for(world.port, clock) as pool:
            peer = None
            for body, chunked in plan:
                seen, _ = post(pool)
                peer = peer or await world.accept()
                await peer.request()
                if chunked:
                    await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for at in range(0, len(body), 7):
                        await peer.write(b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]))
                    await peer.write(b"0\r\n\r\n")
                else:
                    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                assert (await seen.ended()).data == body
            assert world.accepted == 1

    async def main() -> None:
        async with backend() as world:
            await story(world, Clock())

    asyncio.run(main())


def test_the_direct_client_loads_neither_aiohttp_nor_pydantic() -> None:
    code = "import sys, broker.backends.http1; sys.exit(bool({'aiohttp', 'pydantic'} & set(sys.modules)))"
    assert run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
