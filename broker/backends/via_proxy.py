"""The same `Pool` over aiohttp's client, for backends that are only reached through an HTTP proxy.

A rare path, so it may cost ten times the direct pool's CPU and a task per call; it must only behave the same:
no redirects, no decompression, same rules for heads and bodies, same failures, same deadlines on the wheel.
Import this module only when a proxy is used: it loads aiohttp.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Final

import aiohttp
from yarl import URL

from broker.backends.http1_call import OVER, Call, blame
from broker.backends.http1_head import METHODS, USER_AGENT, Origin, checked_headers, lines_are_sound
from broker.backends.http1_rules import Refused, body_rules
from broker.backends.http1_types import Limits, Reason, Sink, Timeouts
from broker.wheel import Wheel

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)


class ProxyPool:
    """`Pool` through the proxy at `proxy` (an http or https URL). Use from one event loop.

    Nothing is repeated by us; aiohttp repeats a GET or DELETE, never a POST, whose reused connection died
    unheard.

    Raises:
        ValueError: a configured header cannot be sent.
    """

    def __init__(
        self,
        origin: Origin,
        proxy: str,
        *,
        wheel: Wheel,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = origin
        self.limits = limits or Limits()
        self.url = URL(f"{origin.scheme}://{origin.authority}{origin.target}", encoded=True)
        self.proxy = proxy
        self._tls = tls
        self.wheel = wheel
        headers = headers or {}
        checked_headers(headers)
        agent = {} if any(name.lower() == "user-agent" for name in headers) else {"User-Agent": USER_AGENT}
        self.headers = {**agent, "Accept-Encoding": "identity", **headers}
        # One session per class, so that standing streams cannot take the calls' connections.
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._exchanges: dict[Call, Exchange] = {}
        self._streams = 0
        self._closed = False

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
        stream = method == b"GET" if stream is None else stream
        started = self.wheel.clock()
        call = Call(self, self.wheel, method, headers, body, sink, timeouts, repeatable, max_body, stream, started)
        limits = self.limits
        limit, taken = limits.max_connections, len(self._exchanges) - self._streams
        if stream:
            limit, taken = limits.max_streams, self._streams
        refusal: tuple[Reason, str] | None = None
        if method not in METHODS or not lines_are_sound(headers):
            refusal = ("protocol", "the request cannot be sent")
        elif self._closed:
            refusal = ("aborted", "the pool is closed")
        elif taken >= limit + limits.max_waiting:
            refusal = ("pool-full", "too many calls wait for a connection")
        loop = asyncio.get_running_loop()
        if refusal is not None:
            loop.call_soon(call.fail, *refusal)
            return call
        exchange = Exchange(self, call)
        self._exchanges[call] = exchange
        self._streams += stream
        exchange.task = loop.create_task(exchange.run(self._session(stream)))
        exchange.task.add_done_callback(lambda _: self._ended(call))
        call.watch()
        return call

    async def close(self) -> None:
        """See `Pool`."""
        self._closed = True
        tasks = [exchange.task for exchange in self._exchanges.values() if exchange.task is not None]
        for call in list(self._exchanges):
            call.fail("aborted", "the pool is closing")
        if tasks:
            await asyncio.wait(tasks)
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def forget(self, call: Call) -> None:
        """A call that was not sent yet is over."""
        exchange = self._exchanges.get(call)
        if exchange is not None:
            exchange.drop()

    def connecting(self, call: Call) -> bool:
        """Whether this call has a place, so that only the connection is missing."""
        del call
        return len(self._exchanges) - self._streams <= self.limits.max_connections

    def _ended(self, call: Call) -> None:
        del self._exchanges[call]
        self._streams -= call.stream

    def _session(self, stream: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(stream)
        if session is None:
            limits = self.limits
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_connected)
            trace.on_connection_reuseconn.append(_connected)
            session = self._sessions[stream] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=limits.max_streams if stream else limits.max_connections,
                    keepalive_timeout=limits.idle_expiry_s,
                    ssl=self._tls if self._tls is not None else True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=_NO_TIMEOUT,
                trace_configs=[trace],
                skip_auto_headers=("Content-Type", "Accept", "User-Agent"),
                max_field_size=limits.max_head_bytes,
                max_headers=limits.max_headers,
            )
        return session


class Exchange:
    """One call on its way through the proxy."""

    def __init__(self, pool: ProxyPool, call: Call) -> None:
        self.pool = pool
        self.call = call
        self.task: asyncio.Task[None] | None = None
        self._reading = asyncio.Event()
        if not call.paused:
            self._reading.set()

    def drop(self) -> None:
        """See `Carrier`."""
        if self.task is not None:
            self.task.cancel()

    def pause(self) -> None:
        """See `Carrier`."""
        self._reading.clear()

    def resume(self) -> None:
        """See `Carrier`."""
        self._reading.set()

    def wake_by(self, deadline: float) -> None:
        """See `Carrier`."""
        alarm = self.call.handle
        if alarm is None or alarm.deadline > deadline:
            if alarm is not None:
                self.call.wheel.cancel(alarm)
            self.call.handle = self.call.wheel.add(deadline, self.call.woken)

    def sent(self) -> None:
        """A connection was found; the request is being written."""
        if self.call.paused:
            self._reading.clear()
        self.call.sent(self, self.call.wheel.clock())

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Carry the call to its end; never raises but for cancellation."""
        call = self.call
        try:
            await self._carry(session, call)
        except Refused as refused:
            call.fail(refused.reason, refused.detail)
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            call.fail("tls", type(error).__name__)
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            call.fail("connect", type(error).__name__)
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError) as error:
            call.fail("closed", type(error).__name__)
        except Exception as error:
            # What aiohttp's parser refuses, and anything else that kept the answer from being read.
            call.fail("protocol", type(error).__name__)
        else:
            call.finish()

    async def _carry(self, session: aiohttp.ClientSession, call: Call) -> None:
        pool = self.pool
        fields = [*pool.headers.items(), *_fields(call.headers)]
        async with session.request(
            call.method.decode("ascii"),
            pool.url,
            headers=fields,
            data=call.body if call.method == b"POST" else None,
            proxy=pool.proxy,
            allow_redirects=False,
            trace_request_ctx=self,
        ) as answer:
            headers: dict[str, str] = {}
            for name, value in answer.headers.items():
                key = name.lower()
                headers[key] = f"{headers[key]}, {value}" if key in headers else value
            version = answer.version
            spoken = f"{version.major}.{version.minor}" if version is not None else ""
            cap, _ = body_rules(answer.status, spoken, headers, pool.limits, call.max_body)
            self._told(lambda: call.head(answer.status, headers))
            seen = 0
            while call.phase != OVER:
                await self._reading.wait()
                data = await answer.content.readany()
                if not data:
                    break
                seen += len(data)
                if cap is not None and seen > cap:
                    raise Refused("too-large", "the body exceeds the cap")
                call.last_read = pool.wheel.clock()
                self._told(lambda data=data: call.sink.body(data))  # type: ignore[misc]
                call.watch()

    def _told(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:
            blame(self.call.sink, error)
            raise Refused("aborted", "the receiver of the answer raised") from error


async def _connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    del session, params
    exchange = context.trace_request_ctx
    assert isinstance(exchange, Exchange)
    exchange.sent()


def _fields(lines: bytes) -> list[tuple[str, str]]:
    """Checked header lines as pairs; aiohttp writes values as UTF-8, so that is how they are read."""
    pairs = (line.partition(b":") for line in lines.split(b"\r\n") if line)
    return [(name.decode("ascii"), value.strip().decode()) for name, _, value in pairs]
