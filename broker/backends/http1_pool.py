"""The keep-alive pool of one backend: which connection takes which call, and when to open or close one.

One idle stack (the connection used last is used next, so that surplus ones expire), two lanes: calls, and
long-lived streams, each with its own bound and queue. No task per call; one task per connection being opened.
Invariant: every call that entered `send` ends exactly once; a call is repeated at most once, and only when it
is marked repeatable and a reused connection died before any byte of the answer.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Final

from broker.backends.http1_call import WAITING, Call
from broker.backends.http1_connection import Connection
from broker.backends.http1_dial import dial
from broker.backends.http1_head import Origin, constant_heads, lines_are_sound
from broker.backends.http1_types import Limits, Reason, Sink, Timeouts
from broker.wheel import Handle, Wheel
from broker.writes import Writes

# How long `close` waits for TLS goodbyes; aiohttp gives its connections the same two seconds.
CLOSE_GRACE_S: Final = 2.0
# Checked header blocks remembered: a session's never change.
_REMEMBERED: Final = 256
_KEEP_ALIVE: Final = re.compile(r"timeout=([0-9]{1,6})(?![0-9])")
# Ours must be gone before the backend's is: the margin taken off the time-out it announces.
_MARGIN_S: Final = 1.0


class Lane:
    """The connections and the queue of one class of calls."""

    __slots__ = ("connecting", "dials", "limit", "open", "waiting")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0
        self.connecting = 0
        self.waiting: deque[Call] = deque()
        self.dials: dict[asyncio.Task[None], Connection] = {}


class DirectPool:
    """`Pool` over plain or TLS sockets. Use from one event loop.

    Raises:
        ValueError: a configured header cannot be sent.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        wheel: Wheel,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = origin
        self.limits = limits or Limits()
        self._tls = tls
        self.wheel = wheel
        self.writes = Writes()
        self._heads = constant_heads(origin, headers or {})
        self._sound: set[bytes] = {b""}
        self._calls = Lane(self.limits.max_connections)
        self._streams = Lane(self.limits.max_streams)
        self._idle: list[Connection] = []
        self._alive: set[Connection] = set()
        self._sweeper: Handle | None = None
        self._hint: tuple[str, float] = ("", 0.0)
        self._closed = False
        self._emptied: asyncio.Future[None] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open, idle ones included."""
        return self._calls.open + self._streams.open

    @property
    def waiting(self) -> int:
        """How many calls wait for a connection."""
        return len(self._calls.waiting) + len(self._streams.waiting)

    def send(
        self,
        method: bytes,
        headers: bytes,
        body: bytes,
        sink: Sink,
        *,
        timeouts: Timeouts,
        repeatable: bool = False,
        stream: bool | None = None,
        max_body: int | None = None,
    ) -> Call:
        """See `Pool`."""
        if stream is None:
            stream = method == b"GET"
        started = self.wheel.clock()
        call = Call(self, self.wheel, method, headers, body, sink, timeouts, repeatable, max_body, stream, started)
        if headers not in self._sound and not self._is_sound(headers):
            return self._refused(call, "protocol", "a request header cannot be sent")
        if method not in self._heads:
            return self._refused(call, "protocol", "not a method of this client")
        if self._closed:
            return self._refused(call, "aborted", "the pool is closed")
        lane = self._streams if stream else self._calls
        if not stream:
            idle = self._idle
            while idle:
                connection = idle.pop()
                if connection.usable and connection.expires_at > started:
                    connection.reused = True
                    connection.start(call, self._heads[method], started)
                    return call
                connection.close()
        if len(lane.waiting) >= self.limits.max_waiting + lane.limit - lane.open:
            return self._refused(call, "pool-full", "too many calls wait for a connection")
        lane.waiting.append(call)
        call.watch()
        self._dial(lane)
        return call

    async def close(self) -> None:
        """See `Pool`."""
        self._closed = True
        if self._sweeper is not None:
            self.wheel.cancel(self._sweeper)
            self._sweeper = None
        for lane in (self._calls, self._streams):
            for call in list(lane.waiting):
                call.fail("aborted", "the pool is closing")
            for task in list(lane.dials):
                task.cancel()
        for connection in list(self._alive):
            if connection.call is not None:
                connection.call.fail("aborted", "the pool is closing")
            else:
                connection.close()
        dials = [task for lane in (self._calls, self._streams) for task in lane.dials]
        if dials:
            await asyncio.wait(dials)
        if self._alive:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=CLOSE_GRACE_S)
            for connection in list(self._alive):
                connection.drop()

    # What calls and connections report.

    def forget(self, call: Call) -> None:
        """A waiting call is over."""
        lane = self._streams if call.stream else self._calls
        if call in lane.waiting:
            lane.waiting.remove(call)
            # One whose connection is open may carry a call already, before its task was told.
            attempts = [task for task, made in lane.dials.items() if not made.opened and not task.cancelling()]
            if len(attempts) > len(lane.waiting):
                attempts[0].cancel()  # nobody would use it, and one into a black hole must end with its call

    def connecting(self, call: Call) -> bool:
        """Whether a connection is being opened for calls of this class."""
        return (self._streams if call.stream else self._calls).connecting > 0

    def repeat(self, call: Call) -> None:
        """Give a call whose reused connection died unheard one more chance, on a fresh connection."""
        call.repeated = True
        call.phase = WAITING
        call.connection = None
        call.waits_since = self.wheel.clock()
        lane = self._streams if call.stream else self._calls
        lane.waiting.appendleft(call)
        self._dial(lane)
        call.watch()

    def made(self, connection: Connection) -> None:
        """The connection is open (over TLS: the handshake is done)."""
        connection.opened = True
        self._alive.add(connection)
        lane = connection.lane
        lane.connecting -= 1
        lane.open += 1
        if self._closed or (lane is self._streams and not lane.waiting):
            connection.drop()
            return
        now = self.wheel.clock()
        connection.expires_at = now + self.limits.idle_expiry_s
        self._place(connection, now)

    def release(self, connection: Connection, keep_alive: str | None) -> None:
        """The connection is free again after a complete answer; `keep_alive` is that field of the answer."""
        connection.reused = True
        if self._closed:
            connection.close()
            return
        lane = connection.lane
        if lane is self._streams and not lane.waiting:
            if self._calls.open + self._calls.connecting >= self._calls.limit:
                connection.close()
                return
            lane.open -= 1
            connection.lane = lane = self._calls
            lane.open += 1
        hold_s = self.limits.idle_expiry_s
        if keep_alive is not None:
            hold_s = min(hold_s, self._announced(keep_alive))
        now = self.wheel.clock()
        connection.expires_at = now + hold_s
        self._place(connection, now)

    def retire(self, connection: Connection) -> None:
        """The connection takes no more calls; its place is free."""
        if connection.retired:
            return
        connection.retired = True
        if not connection.opened:
            return  # `_connect` keeps the books of an attempt
        lane = connection.lane
        lane.open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial(lane)

    def lost(self, connection: Connection) -> None:
        """The connection's socket is closed."""
        self._alive.discard(connection)
        if self._emptied is not None and not self._alive and not self._emptied.done():
            self._emptied.set_result(None)

    # Within

    def _place(self, connection: Connection, now: float) -> None:
        waiting = connection.lane.waiting
        if waiting:
            call = waiting.popleft()
            connection.start(call, self._heads[call.method], now)
            return
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self.wheel.add(connection.expires_at, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self.wheel.clock()
        for connection in [connection for connection in self._idle if connection.expires_at <= now]:
            connection.close()
        if self._idle:
            self._sweeper = self.wheel.add(min(idle.expires_at for idle in self._idle), self._sweep)

    def _announced(self, keep_alive: str) -> float:
        if keep_alive != self._hint[0]:
            match = _KEEP_ALIVE.search(keep_alive)
            seconds = int(match[1]) - _MARGIN_S if match else self.limits.idle_expiry_s
            self._hint = (keep_alive, max(0.0, seconds))
        return self._hint[1]

    def _is_sound(self, headers: bytes) -> bool:
        if not lines_are_sound(headers):
            return False
        if len(self._sound) >= _REMEMBERED:
            self._sound.clear()
        self._sound.add(headers)
        return True

    def _refused(self, call: Call, reason: Reason, detail: str) -> Call:
        asyncio.get_running_loop().call_soon(call.fail, reason, detail)
        return call

    def _dial(self, lane: Lane) -> None:
        """Open connections for the calls that wait, as far as the bound allows."""
        while lane.connecting < len(lane.waiting) and lane.open + lane.connecting < lane.limit and not self._closed:
            lane.connecting += 1
            connection = Connection(self, lane)
            task = asyncio.get_running_loop().create_task(self._connect(lane, connection))
            lane.dials[task] = connection
            task.add_done_callback(lane.dials.pop)

    async def _connect(self, lane: Lane, connection: Connection) -> None:
        failure: tuple[Reason, str] | None = None
        try:
            await dial(self.origin, self._tls, connection)
        except ssl.SSLError as error:
            failure = ("tls", error.reason or type(error).__name__)
        except Exception as error:
            # UnicodeError for a name IDNA refuses, and whatever a resolver raises: all mean "not connected".
            failure = ("connect", getattr(error, "strerror", None) or type(error).__name__)
        finally:
            if not connection.opened:
                connection.drop()
                lane.connecting -= 1
                if failure is not None and lane.waiting:
                    lane.waiting.popleft().fail(*failure)
                self._dial(lane)
