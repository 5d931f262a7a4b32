"""Who closes a backend connection's socket: its transport, once, and nobody a second time.

A descriptor's number is given to the next connection as soon as it is free: a second close would end that one.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from typing import Any

import pytest

from broker.backends import http1_dial, http1_pool
from broker.backends.http1_head import parse_url
from tests.broker.http1_world import OK, Clock, backend, pool_for, post, turn, within


class Fickle(asyncio.Protocol):
    """Gives its connection up the moment it has it, as a pool does whose call has gone meanwhile."""

    def __init__(self, *, aborts: bool) -> None:
        self.aborts = aborts
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.aborts:
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(None)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that were connected."""
    found: list[socket.socket] = []
    connect = http1_dial.first_connected

    async def first_connected(addresses: list[http1_dial.Address]) -> socket.socket:
        found.append(await connect(addresses))
        return found[-1]

    monkeypatch.setattr(http1_dial, "first_connected", first_connected)
    return found


@pytest.mark.parametrize("aborts", [True, False])
async def test_a_descriptor_is_left_to_its_transport(aborts: bool, sockets: list[socket.socket]) -> None:
    async with backend() as server:
        protocol = Fickle(aborts=aborts)
        await http1_dial.dial(parse_url(f"http://127.0.0.1:{server.port}/"), None, protocol)
        if not aborts:
            assert not protocol.transport.is_closing()
            protocol.transport.close()
        await within(protocol.lost)
        await turn()
        # The number is free, and stays the next owner's whatever becomes of the old socket object.
        left, right = os.pipe()
        numbers = [each.fileno() for each in sockets]
        sockets.clear()
        protocol.transport = None
        gc.collect()
        assert os.write(right, b"x") == 1
        assert os.read(left, 1) == b"x"
        os.close(left)
        os.close(right)
        assert numbers == [-1]


async def test_neither_a_handshake_that_fails_nor_a_call_that_goes_leaves_one(sockets: list[socket.socket]) -> None:
    async with backend() as server:
        origin = parse_url(f"https://127.0.0.1:{server.port}/")
        dialling = asyncio.ensure_future(http1_dial.dial(origin, ssl.create_default_context(), asyncio.Protocol()))
        peer = await server.accept()
        peer.writer.transport.abort()
        with pytest.raises(ConnectionError):
            await within(dialling)
        cancelled = asyncio.ensure_future(http1_dial.dial(origin, ssl.create_default_context(), asyncio.Protocol()))
        await server.accept()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(cancelled)
        for _ in range(5):
            await turn()
        assert [each.fileno() for each in sockets] == [-1, -1]


async def test_a_call_given_up_while_connections_are_opened_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real, hole = http1_dial.dial, asyncio.Event()
    dials = 0

    async def second_never(*arguments: Any) -> None:
        nonlocal dials
        dials += 1
        if dials == 2:
            await hole.wait()
        await real(*arguments)

    monkeypatch.setattr(http1_pool, "dial", second_never)
    async with backend() as server, pool_for(server.port, Clock()) as pool:
        first, _ = post(pool)
        _, second = post(pool)
        while not pool.connections:
            await turn()
        second.abort()  # in the very turn in which the other's connection was made
        peer = await server.accept()
        await peer.request()
        await peer.write(OK)
        await first.ended()
        assert first.data == b"{}"
        assert not hole.is_set()


async def test_attempts_into_a_black_hole_end_with_the_calls_they_were_made_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_way = 0

    async def never(*_arguments: Any) -> None:
        nonlocal under_way
        under_way += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            under_way -= 1

    async def until(number: int) -> None:
        while under_way != number:
            await turn()

    monkeypatch.setattr(http1_pool, "dial", never)
    async with pool_for(1, Clock()) as pool:
        tickets = [post(pool)[1] for _ in range(3)]
        await within(until(3))
        for ticket in tickets[:2]:
            ticket.abort()
        await within(until(1))
        tickets[2].abort()
        await within(until(0))
