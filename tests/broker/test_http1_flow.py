"""Giving up, pausing, large bodies, sinks with bugs, and closing the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from broker.backends.http1 import BackendFailure, Limits, Ticket, Timeouts
from tests.broker.http1_world import OK, Clock, Seen, backend, exchange, pool_for, post, turn, within


async def test_aborting_a_sent_call_closes_its_connection_and_leaves_the_outcome_unknown() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, ticket = post(pool)
        peer = await world.accept()
        await peer.request()
        ticket.abort()
        assert seen.failure == BackendFailure("aborted", "unknown", "the caller gave the call up")
        assert await peer.gone()
        ticket.abort()
        ticket.pause()
        ticket.resume()
        assert seen.ends == 1


async def test_aborting_a_waiting_call_says_it_was_not_executed() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, Limits(max_connections=1)) as pool:
        first, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        second, ticket = post(pool)
        ticket.abort()
        assert await second.why() == ("aborted", "no")
        await peer.write(OK)
        await first.ended()
        assert world.accepted == 1


async def test_aborting_while_connecting_gives_the_attempt_up() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, ticket = post(pool)
        ticket.abort()
        assert await seen.why() == ("aborted", "no")
        assert pool.waiting == 0


class Aborting(Seen):
    """Gives its call up at the first sign of an answer."""

    ticket: Ticket

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        super().head(status, headers)
        if self.at == "head":
            self.ticket.abort()

    def body(self, data: bytes) -> None:
        super().body(data)
        self.ticket.abort()


@pytest.mark.parametrize("at", ["head", "body"])
async def test_a_sink_may_abort_from_within_its_callbacks(at: str) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        sink = Aborting(at)
        _, sink.ticket = post(pool, sink=sink)
        peer = await world.accept()
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
        assert await sink.why() == ("aborted", "unknown")
        assert len(sink.bodies) == (at == "body")
        assert await peer.gone()


class Chained(Seen):
    """Starts its next call from within the end of the last one."""

    def __init__(self, start: Any) -> None:
        super().__init__()
        self.start = start

    def done(self) -> None:
        super().done()
        self.start()


async def test_a_call_started_when_another_ends_takes_the_same_connection() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        last = Seen()
        first = Chained(lambda: post(pool, b"next", sink=last))
        post(pool, sink=first)
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        assert (await peer.request())[1] == b"next"
        await peer.write(OK)
        assert (await last.ended()).is_done
        assert world.accepted == 1


class Broken(Seen):
    """A sink with a bug in one of its callbacks."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def _maybe(self, where: str) -> None:
        if where == self.where:
            raise LookupError(where)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        super().head(status, headers)
        self._maybe("head")

    def body(self, data: bytes) -> None:
        super().body(data)
        self._maybe("body")

    def done(self) -> None:
        super().done()
        self._maybe("done")

    def failed(self, failure: BackendFailure) -> None:
        super().failed(failure)
        self._maybe("failed")


@pytest.mark.parametrize("where", ["head", "body", "done", "failed"])
async def test_a_sink_that_raises_fails_its_own_call_and_is_reported(where: str) -> None:
    loop = asyncio.get_running_loop()
    told: list[str] = []
    loop.set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        sink = Broken(where)
        post(pool, sink=sink)
        peer = await world.accept()
        await peer.request()
        await peer.write(b"junk\r\n" if where == "failed" else OK)
        await sink.ended()
        assert sink.is_done == (where == "done")
        if where in ("head", "body"):
            assert await sink.why() == ("aborted", "unknown")
        assert told == [f"LookupError('{where}')"]
        fine, _ = post(pool)
        peer = peer if where == "done" else await world.accept()
        await peer.request()
        await peer.write(OK)
        assert (await fine.ended()).is_done


async def test_a_paused_call_holds_the_backend_back_and_loses_nothing() -> None:
    clock = Clock()
    size = 64 * 1024 * 1024
    limits = Limits(max_body_bytes=size)
    async with backend() as world, pool_for(world.port, clock, limits) as pool:
        seen, ticket = post(pool, timeouts=Timeouts(idle_s=5, total_s=None))
        peer = await world.accept()
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        await seen.headed()
        ticket.pause()
        block = bytes(1024 * 1024)
        sent = 0
        # Writes until neither kernel nor client takes more, which `pause_writing` of the stream makes visible.
        while sent < size:
            peer.writer.write(block)
            sent += len(block)
            await turn()
            await turn()
            if peer.writer.transport.get_write_buffer_size() > 4 * len(block):
                break
        assert sent < size
        assert sum(map(len, seen.bodies)) <= 1024 * 1024
        clock.advance(60)  # the silence is ours: no idle time-out
        assert not seen.ends
        ticket.resume()
        while sent < size:
            await peer.write(block)
            sent += len(block)
        await seen.ended()
        assert seen.is_done
        assert sum(map(len, seen.bodies)) == size
        assert (await exchange(pool, peer)).is_done


async def test_a_call_paused_before_it_has_a_connection_stays_paused() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, ticket = post(pool)
        ticket.pause()
        peer = await world.accept()
        await peer.request()
        await peer.write(OK)
        await turn()
        await turn()
        assert not seen.status
        ticket.resume()
        assert (await seen.ended()).is_done


async def test_a_large_request_is_written_as_the_backend_reads_it() -> None:
    clock = Clock()
    body = bytes(range(256)) * 128 * 1024
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool, body)
        peer = await world.accept()
        received = (await peer.request())[1]
        assert received == body
        await peer.write(OK)
        assert (await seen.ended()).is_done
        assert (await exchange(pool, peer)).is_done


async def test_an_answer_before_the_whole_request_was_read_counts_but_ends_the_connection() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool, bytes(64 * 1024 * 1024))
        peer = await world.accept()
        await peer.head()
        await peer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await seen.ended()
        assert (seen.status, seen.is_done, pool.connections) == (413, True, 0)


async def test_closing_the_pool_ends_every_call_and_refuses_new_ones() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, Limits(max_connections=1)) as pool:
        sent, _ = post(pool)
        waiting, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        await within(pool.close())
        assert await sent.why() == ("aborted", "unknown")
        assert await waiting.why() == ("aborted", "no")
        assert await peer.gone()
        late, _ = post(pool)
        assert await late.why() == ("aborted", "no")
        assert pool.connections == 0


@pytest.mark.parametrize(
    "headers",
    [b"x: a\r\nevil\r\n", b"x: a\nhost: b\r\n", b"x: a\x00\r\n", b"x: a", b"x : a\r\n", b"Host: b\r\n", b"\r\n",
     b"content-length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b"x: a\r\n\r\nGET / HTTP/1.1\r\n"],
)  # fmt: skip
async def test_a_header_that_would_break_the_request_is_never_sent(headers: bytes) -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen, _ = post(pool, headers=headers)
        assert not seen.ends  # never from within send
        assert await seen.why() == ("protocol", "no")
        assert world.accepted == 0


async def test_a_method_the_client_does_not_know_is_never_sent() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock) as pool:
        seen = Seen()
        pool.send(b"HEAD", b"", b"", seen, timeouts=Timeouts())
        assert await seen.why() == ("protocol", "no")
        assert world.accepted == 0
