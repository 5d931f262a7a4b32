"""The streams of the HTTP+SSE pair and their connections: what is left of them once they are over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from broker.backends.hidden import MARK, NOTHING, Hidden
from broker.backends.http1 import Pool, make_pool
from broker.backends.sse_reach import SWEEP_S, SseReach
from broker.limit_values import DEFAULTS, LimitValues, wire_of
from tests.broker.http1_world import Backend, Clock, Peer, backend, turn, within

STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b"1d\r\nevent: endpoint\ndata: /post\n\n\r\n"
)
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


class Owner:
    """What a session's owner was told, by name."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *said: self.told.append((name, *said))

    async def until(self, name: str) -> tuple[Any, ...]:
        """The first word of that name."""

        async def told() -> tuple[Any, ...]:
            while True:
                for each in self.told:
                    if each[0] == name:
                        return each
                await turn()

        return await within(told())


class Pair:
    """A raw server of the pair, the way to it, and the clock both live by."""

    def __init__(self, server: Backend, clock: Clock, limits: LimitValues, hidden: Hidden) -> None:
        self.server = server
        self.clock = clock
        self.url = f"http://127.0.0.1:{server.port}/sse"
        self.pool = self.pool_for(self.url)
        self.reach = SseReach(self.url, self.pool, self.pool_for, wire_of(limits), clock.wheel, limits, hidden)

    def pool_for(self, url: str) -> Pool:
        return make_pool(url, wheel=self.clock.wheel)

    async def opened(self, owner: Owner) -> tuple[Any, Peer, Peer]:
        """A session whose first message has been posted: itself, its stream, and the connection of its posts."""
        session = self.reach.session(owner)
        session.request(1, b"{}", initialize=True)
        stream = await self.server.accept()
        await stream.head()
        await stream.write(STREAM)
        posts = await self.server.accept()
        await posts.request()
        await posts.write(ACCEPTED)
        return session, stream, posts


@asynccontextmanager
async def pair(*, hidden: Hidden = NOTHING, **limits: Any) -> AsyncIterator[Pair]:
    """All of it; at the end everything is closed."""
    async with backend() as server:
        here = Pair(server, Clock(), msgspec.structs.replace(DEFAULTS, **limits), hidden)
        try:
            yield here
        finally:
            await within(here.reach.close())
            await within(here.pool.close())


async def test_what_waits_for_the_address_is_bounded_in_bytes_and_all_that_was_taken_is_posted() -> None:
    async with pair(channel_waiting_bytes=100_000) as here:
        owner = Owner()
        session = here.reach.session(owner)
        session.request(1, b"{}", initialize=True)
        for number in (2, 3):
            session.request(number, b"%d" % number * 60_000)
        assert await owner.until("backend_failed") == ("backend_failed", 3, "backend-closed", "no")
        session.request(4, b"4" * 30_000)
        stream = await here.server.accept()
        await stream.head()
        await stream.write(STREAM)
        posts = [await here.server.accept() for _ in range(3)]
        assert sorted([(await each.request())[1][:1] for each in posts]) == [b"2", b"4", b"{"]


async def test_c155_what_a_stream_says_of_the_credentials_is_hidden() -> None:
    async with pair(hidden=Hidden(["sk-canary-4711"])) as here:
        owner = Owner()
        _, stream, _ = await here.opened(owner)
        said = b'data: {"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"of sk-canary-4711"}}\n\n'
        await stream.write(b"%x\r\n%b\r\n" % (len(said), said))
        _, call, frame = await owner.until("backend_message")
        assert (call, frame.error.message) == (1, f"of {MARK}")


async def test_a_lost_stream_leaves_no_connection_and_no_timer_behind() -> None:
    async with pair() as here:
        owner = Owner()
        _, stream, posts = await here.opened(owner)
        stream.reset()
        assert await owner.until("backend_failed") == ("backend_failed", 1, "backend-closed", "unknown")
        here.clock.advance(2 * SWEEP_S)
        assert await posts.gone()
        here.clock.advance(2 * SWEEP_S)
        assert len(here.clock.wheel) == 0


async def test_calls_given_up_because_another_was_do_not_end_the_sweep() -> None:
    class GivesUp(Owner):
        def backend_failed(self, call: int, reason: str, _executed: str) -> None:
            self.told.append(("backend_failed", call, reason))
            session.close()

    async with pair() as here:
        owner = GivesUp()
        session, _, _ = await here.opened(owner)
        session.request(2, b"{}")
        here.clock.advance(here.reach.head_s + here.reach.start_s + 1)
        assert owner.told == [("backend_failed", 1, "backend-timeout")]
        other = Owner()
        await here.opened(other)
        here.clock.advance(here.reach.head_s + here.reach.start_s + 1)
        assert other.told == [("backend_failed", 1, "backend-timeout", "unknown")]


async def test_an_owner_that_raises_costs_the_calls_of_others_no_deadline() -> None:
    class Raises(Owner):
        def backend_failed(self, *_said: Any) -> None:
            raise RuntimeError("of ours")

    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    async with pair() as here:
        await here.opened(Raises())
        here.clock.advance(here.reach.start_s + SWEEP_S)
        assert len(faults) == 1
        other = Owner()
        await here.opened(other)
        here.clock.advance(here.reach.start_s + SWEEP_S)
        assert other.told == [("backend_failed", 1, "backend-timeout", "unknown")]
