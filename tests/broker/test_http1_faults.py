"""Backends that break the rules, stop, or vanish: each call ends once, with the right reason and the right doubt."""

from __future__ import annotations

import asyncio

import pytest

from broker.backends.http1 import Limits, Timeouts
from tests.broker.http1_world import OK, Clock, Seen, backend, exchange, pool_for, post, turn, within

HEAD = b"HTTP/1.1 200 OK\r\n"
GARBAGE = {
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x0a",
    "another protocol": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a status of no class": b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "a control character": HEAD + b"X: a\x01b\r\nContent-Length: 2\r\n\r\n{}",
    "a folded field": HEAD + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a space before the colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a length and chunks": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "an unknown transfer coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks that are not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n{}",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a broken chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
    "a content coding": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "a thousand fields": HEAD + b"X: y\r\n" * 1000 + b"\r\n",
    "a huge field": HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    "a flood of interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 100_000,
    "more interim answers than allowed": b"HTTP/1.1 102 Processing\r\n\r\n" * 17 + OK,
    "endless chunk extensions": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 400_000,
    "endless trailers": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 50_000,
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_an_answer_that_breaks_the_rules_fails_the_call_and_the_connection(kind: str) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool, repeatable=True)
        peer = await world.accept()
        await peer.request()
        peer.writer.write(GARBAGE[kind])
        assert await seen.why() == ("protocol", "unknown")
        assert pool.connections == 0
        assert world.accepted == 1


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 11\r\n\r\n",
        HEAD + b"Content-Length: 11\r\n\r\nabcdefghijk",
        HEAD + b"\r\nabcdefghijk",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nb\r\nabcdefghijk\r\n0\r\n\r\n",
    ],
)
async def test_a_body_above_the_cap_is_refused_and_not_handed_over(answer: bytes) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool, max_body=10)
        peer = await world.accept()
        await peer.request()
        await peer.write(answer)
        assert await seen.why() == ("too-large", "unknown")
        assert len(seen.data) <= 10


async def test_an_event_stream_has_its_own_cap() -> None:
    clock = Clock()
    limits = Limits(max_body_bytes=10, max_stream_bytes=100)
    async with backend() as world, pool_for(world.port, clock, limits) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(HEAD + b"Content-Type: Text/Event-Stream; charset=utf-8\r\n\r\n" + b"x" * 60)
        await seen.received(60)
        await peer.write(b"x" * 60)
        assert await seen.why() == ("too-large", "unknown")


@pytest.mark.parametrize("cut", ["before", "in the head", "in the body", "in a chunk"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_lost_before_the_end_of_the_answer_leaves_the_outcome_unknown(cut: str, how: str) -> None:
    sent = {
        "before": b"",
        "in the head": HEAD,
        "in the body": HEAD + b"Content-Length: 9\r\n\r\nabc",
        "in a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
    }[cut]
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool, repeatable=True)  # the connection is new: no repetition
        peer = await world.accept()
        await peer.request()
        await peer.write(sent)
        if b"\r\n\r\n" in sent:
            await seen.received(3)
        peer.close() if how == "close" else peer.reset()
        assert await seen.why() == ("closed", "unknown")
        assert (pool.connections, world.accepted) == (0, 1)


async def test_an_answer_without_length_that_is_reset_is_not_complete() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(HEAD + b"\r\nabc")
        await seen.received(3)
        peer.reset()
        assert await seen.why() == ("closed", "unknown")


async def test_a_complete_answer_counts_even_when_the_backend_dies_with_it() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        peer.writer.write(OK)
        peer.close()
        assert (await seen.ended()).is_done


async def test_a_refused_connection_is_not_executed() -> None:
    clock = Clock()
    async with backend() as world:
        port = world.port
    async with pool_for(port, clock) as pool:
        calls = [post(pool)[0] for _ in range(3)]
        assert [await seen.why() for seen in calls] == [("connect", "no")] * 3


async def test_a_name_that_does_not_exist_is_not_executed() -> None:
    clock = Clock()
    async with pool_for(80, clock, host="a" * 70 + ".invalid") as pool:
        assert await post(pool)[0].why() == ("connect", "no")


async def test_a_repeatable_call_survives_an_idle_connection_that_dies_under_it() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        first, _ = post(pool)
        old = await world.accept()
        await old.request()
        await old.write(OK)
        await first.ended()
        again, _ = post(pool, b"again", repeatable=True)
        await old.request()
        old.close()
        new = await world.accept()
        assert (await new.request())[1] == b"again"
        await new.write(OK)
        assert (await again.ended()).is_done
        assert world.accepted == 2


async def test_a_call_is_repeated_once_only_and_then_its_outcome_is_unknown() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        first, _ = post(pool)
        old = await world.accept()
        await old.request()
        await old.write(OK)
        await first.ended()
        again, _ = post(pool, repeatable=True)
        await old.request()
        old.close()
        new = await world.accept()
        await new.request()
        new.close()
        assert await again.why() == ("closed", "unknown")
        assert world.accepted == 2


async def test_a_repeated_call_keeps_the_deadline_of_its_first_attempt() -> None:
    clock = Clock()
    timeouts = Timeouts(connect_s=100, head_s=10, total_s=None)
    async with backend() as world, pool_for(world.port, clock, Limits(max_connections=1)) as pool:
        first, _ = post(pool)
        old = await world.accept()
        await old.request()
        await old.write(OK)
        await first.ended()
        again, _ = post(pool, repeatable=True, timeouts=timeouts)
        await old.request()
        clock.advance(6)
        old.close()
        new = await world.accept()
        await new.request()
        clock.advance(3.5)
        assert not again.ends
        clock.advance(1)
        assert await again.why() == ("head-timeout", "unknown")


async def test_a_repeated_call_that_gets_no_connection_ends_at_a_deadline() -> None:
    clock = Clock()
    timeouts = Timeouts(connect_s=10, head_s=None, total_s=None)
    async with backend() as world, pool_for(world.port, clock) as pool:
        first, _ = post(pool)
        old = await world.accept()
        await old.request()
        await old.write(OK)
        await first.ended()
        again, _ = post(pool, repeatable=True, timeouts=timeouts)
        await old.request()
        clock.advance(60)
        old.close()
        while not pool.waiting:
            await turn()
        clock.advance(9.5)
        assert not again.ends
        clock.advance(1)
        assert await again.why() == ("connect-timeout", "unknown")


async def test_a_repeated_call_does_not_take_another_stale_connection() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, Limits(max_connections=2)) as pool:
        pair = [post(pool)[0], post(pool)[0]]
        peers = [await world.accept(), await world.accept()]
        for peer in peers:
            await peer.request()
        for peer in peers:
            await peer.write(OK)
        for seen in pair:
            await seen.ended()
        again, _ = post(pool, b"again", repeatable=True)
        asked = [asyncio.ensure_future(peer.head()) for peer in peers]
        await within(asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED))
        for peer, task in zip(peers, asked, strict=True):
            if task.done():
                peer.close()
        new = await world.accept()
        assert (await new.request())[1] == b"again"
        await new.write(OK)
        assert (await again.ended()).is_done
        assert pool.connections <= 2
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.parametrize("said", [b"", b"H"])
async def test_a_call_that_must_not_be_repeated_or_was_answered_at_all_is_not_repeated(said: bytes) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        first, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        await first.ended()
        again, _ = post(pool, repeatable=bool(said))
        await peer.request()
        await peer.write(said)
        await turn()
        peer.close()
        assert await again.why() == ("closed", "unknown")
        assert world.accepted == 1


async def test_a_connection_the_backend_closed_while_idle_is_never_written_to() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        for _ in range(20):
            seen, _ = post(pool)
            peer = await world.accept()
            await peer.request()
            peer.writer.write(OK)
            peer.close()
            await seen.ended()
            assert await peer.gone()


@pytest.mark.parametrize("phase", ["connect", "queue", "head", "body", "drip"])
async def test_a_backend_that_hangs_is_given_up_at_the_deadline_of_its_phase(phase: str) -> None:
    clock = Clock()
    timeouts = Timeouts(connect_s=5, head_s=10, idle_s=20, total_s=60)
    expected = {
        "connect": ("connect-timeout", "no"),
        "queue": ("pool-full", "no"),
        "head": ("head-timeout", "unknown"),
        "body": ("idle-timeout", "unknown"),
        "drip": ("total-timeout", "unknown"),
    }[phase]
    async with backend() as world, pool_for(world.port, clock, Limits(max_connections=1)) as pool:
        blocker, held = post(pool, timeouts=Timeouts(None, None, None, None))
        peer = await world.accept()
        await peer.request()
        if phase == "queue":
            seen, _ = post(pool, timeouts=timeouts)
            clock.advance(4.5)
            assert not seen.ends
            clock.advance(1)
            assert await seen.why() == expected
            assert not blocker.ends
            return
        held.abort()
        seen, _ = post(pool, timeouts=timeouts)
        if phase == "connect":
            clock.advance(4.5)
            assert not seen.ends
            clock.advance(1)
            assert await seen.why() == expected
            return
        peer = await world.accept()
        await peer.request()
        if phase == "head":
            await peer.write(HEAD)
            await turn()
            clock.advance(9.5)
            assert not seen.ends
            clock.advance(1)
        else:
            await peer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
            await seen.headed()
            if phase == "body":
                clock.advance(19.5)
                assert not seen.ends
                clock.advance(1)
            else:
                for size in range(1, 60):
                    await peer.write(b"x")
                    await seen.received(size)
                    clock.advance(1)
                assert not seen.ends
                clock.advance(1.5)
        assert await seen.why() == expected
        assert await peer.gone()


async def test_no_deadline_ends_a_call_that_has_none() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen = Seen()
        pool.send(b"GET", b"", b"", seen, timeouts=Timeouts(None, None, None, None))
        peer = await world.accept()
        await peer.head()
        clock.advance(1e6)
        await peer.write(OK)
        assert (await seen.ended()).is_done


async def test_a_call_after_a_failure_finds_a_sound_pool() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, Limits(max_connections=1)) as pool:
        seen, _ = post(pool)
        waiting, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await peer.write(b"rubbish\r\n\r\n")
        assert await seen.why() == ("protocol", "unknown")
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        assert (await waiting.ended()).is_done
        assert (await exchange(pool, peer)).is_done
