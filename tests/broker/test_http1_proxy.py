"""Backends behind an HTTP proxy: when one is used, and that it changes nothing but the way."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from subprocess import run

import pytest

from broker.backends.http1 import DirectPool, Limits, Pool, Timeouts, make_pool, parse_url
from broker.backends.http1_proxy import proxy_for
from broker.backends.tls import client_context
from tests.broker.http1_world import OK, Backend, Clock, Seen, backend, post, turn, within
from tests.broker.test_http1_tls import CA, server_context


class Proxy:
    """A tiny CONNECT proxy: whatever name is asked for, it leads to one loopback port."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.target = 0
        self.refuse = False
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.decode().split("\r\n")[0])
            if self.refuse:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                far_writer.write(head)
            try:
                await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
            finally:
                far_writer.transport.abort()
        finally:
            writer.close()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.transport.abort()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy() -> AsyncIterator[Proxy]:
    world = Proxy()
    server = await asyncio.start_server(world._connected, "127.0.0.1", 0)
    world.port = server.sockets[0].getsockname()[1]
    try:
        yield world
    finally:
        server.close()
        await world.stop()


@asynccontextmanager
async def proxied(
    scheme: str = "https", *, limits: Limits | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Backend, Proxy, Pool, Clock]]:
    """A backend that is only reached through the proxy, under the name backend.test."""
    clock = Clock()
    async with backend(server_context("server") if scheme == "https" else None) as world, proxy() as between:
        between.target = world.port
        pool = make_pool(
            f"{scheme}://backend.test:{world.port}/mcp",
            wheel=clock.wheel,
            tls=tls or client_context(ca_file=CA),
            proxy_env={f"{scheme}_proxy": f"http://127.0.0.1:{between.port}"},
            limits=limits,
            headers={"Authorization": "Bearer x"},
        )
        try:
            yield world, between, pool, clock
        finally:
            await within(pool.close())
            assert len(clock.wheel) == 0


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_call_through_the_proxy_is_the_same_call(scheme: str) -> None:
    async with proxied(scheme) as (world, between, pool, _):
        seen, _ = post(pool, b'{"id":1}', headers=b"mcp-session-id: 7\r\n")
        peer = await world.accept()
        head, body = await within(_request(peer.reader))
        where = f"backend.test:{world.port}"
        assert between.asked == [
            f"CONNECT {where} HTTP/1.1" if scheme == "https" else f"POST http://{where}/mcp HTTP/1.1"
        ]
        fields = dict(line.lower().split(": ") for line in head.decode().split("\r\n")[1:-2])
        assert {name: fields[name] for name in ("host", "accept-encoding", "mcp-session-id", "authorization")} == {
            "host": where,
            "accept-encoding": "identity",
            "mcp-session-id": "7",
            "authorization": "bearer x",
        }
        assert body == b'{"id":1}'
        await peer.write(OK)
        await seen.ended()
        assert (seen.status, seen.data, seen.is_done) == (200, b"{}", True)
        assert seen.headers["content-type"] == "application/json"


async def _request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def test_a_redirect_and_a_content_coding_are_treated_as_without_a_proxy() -> None:
    async with proxied() as (world, _, pool, _):
        seen, _ = post(pool)
        peer = await world.accept()
        await within(_request(peer.reader))
        await peer.write(b"HTTP/1.1 302 Go\r\nLocation: https://elsewhere.test/\r\nContent-Length: 0\r\n\r\n")
        await seen.ended()
        assert (seen.status, seen.is_done) == (302, True)
        coded, _ = post(pool)
        await within(_request(peer.reader))
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")
        assert await coded.why() == ("protocol", "unknown")


async def test_a_proxy_that_refuses_means_not_executed() -> None:
    async with proxied() as (_, between, pool, _):
        between.refuse = True
        assert await post(pool)[0].why() == ("connect", "no")


async def test_a_proxy_that_is_not_there_means_not_executed() -> None:
    clock = Clock()
    async with proxy() as between:
        port = between.port
    pool = make_pool("http://backend.test/", wheel=clock.wheel, proxy_env={"http_proxy": f"127.0.0.1:{port}"})
    assert await post(pool)[0].why() == ("connect", "no")
    await within(pool.close())


async def test_the_backend_s_certificate_is_verified_through_the_tunnel() -> None:
    async with proxied(tls=client_context()) as (_, _, pool, _):
        assert await post(pool)[0].why() == ("tls", "no")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "closed"),
        (b"<html>", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "too-large"),
    ],
)
async def test_broken_answers_fail_with_the_outcome_unknown(answer: bytes, reason: str) -> None:
    async with proxied(limits=Limits(max_body_bytes=10)) as (world, _, pool, _):
        seen, _ = post(pool)
        peer = await world.accept()
        await within(_request(peer.reader))
        peer.writer.write(answer)
        if reason == "closed":
            await peer.writer.drain()
            peer.close()
        assert await seen.why() == (reason, "unknown")


async def test_deadlines_and_giving_up_work_through_the_proxy() -> None:
    async with proxied() as (world, _, pool, clock):
        late, _ = post(pool, timeouts=Timeouts(head_s=5))
        peer = await world.accept()
        await within(_request(peer.reader))
        clock.advance(5.5)
        assert await late.why() == ("head-timeout", "unknown")
        assert await peer.gone()
        given_up, ticket = post(pool)
        peer = await world.accept()
        await within(_request(peer.reader))
        ticket.abort()
        assert await given_up.why() == ("aborted", "unknown")
        assert await peer.gone()


async def test_a_paused_stream_resumes_where_it_stopped() -> None:
    async with proxied() as (world, _, pool, _):
        seen = Seen()
        ticket = pool.send(b"GET", b"accept: text/event-stream\r\n", b"", seen, timeouts=Timeouts())
        peer = await world.accept()
        await peer.head()
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await seen.headed()
        ticket.pause()
        for number in range(1, 4):
            await peer.write(b"data: %d\n\n" % number)
            for _ in range(20):
                await turn()
        # A read that was under way when the pause came may still deliver, a second one must not.
        assert seen.data in (b"", b"data: 1\n\n")
        ticket.resume()
        await seen.received(27)
        peer.close()
        assert (await seen.ended()).is_done


async def test_calls_beyond_the_bound_are_refused() -> None:
    async with proxied(limits=Limits(max_connections=1, max_waiting=1)) as (_, _, pool, _):
        calls = [post(pool)[0] for _ in range(3)]
        assert await calls[2].why() == ("pool-full", "no")
        await within(pool.close())
        assert [(await seen.why())[0] for seen in calls[:2]] == ["aborted", "aborted"]


@pytest.mark.parametrize(
    ("url", "env", "expected"),
    [
        ("https://a.test/", {}, None),
        ("https://a.test/", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.test/", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://a.test/", {"HTTP_PROXY": "p:1"}, "http://p:1"),
        ("http://a.test/", {"HTTP_PROXY": "http://p:1", "http_proxy": "https://u:s@q:2/"}, "https://u:s@q:2/"),
        ("http://a.test/", {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        ("http://localhost/", {"http_proxy": "p:1"}, None),
        ("http://127.8.0.1/", {"http_proxy": "p:1"}, None),
        ("http://[::1]/", {"http_proxy": "p:1"}, None),
        ("http://a.test/", {"http_proxy": "p:1", "no_proxy": "*"}, None),
        ("http://a.test/", {"http_proxy": "p:1", "NO_PROXY": "b.test, a.test"}, None),
        ("http://x.a.test/", {"http_proxy": "p:1", "no_proxy": "a.test"}, None),
        ("http://xa.test/", {"http_proxy": "p:1", "no_proxy": "a.test"}, "http://p:1"),
        ("http://a.test/", {"http_proxy": "p:1", "no_proxy": ".a.test"}, "http://p:1"),
        ("http://x.a.test/", {"http_proxy": "p:1", "no_proxy": "*.A.test"}, None),
        ("http://a.test:81/", {"http_proxy": "p:1", "no_proxy": "a.test:80"}, "http://p:1"),
        ("http://a.test:81/", {"http_proxy": "p:1", "no_proxy": "a.test:81"}, None),
        ("http://10.1.2.3/", {"http_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, None),
        ("http://10.1.2.3:81/", {"http_proxy": "p:1", "no_proxy": "10.1.2.3:81"}, None),
        ("http://11.1.2.3/", {"http_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, "http://p:1"),
    ],
)
def test_the_environment_decides_which_proxy(url: str, env: Mapping[str, str], expected: str | None) -> None:
    assert proxy_for(parse_url(url), env) == expected


@pytest.mark.parametrize("proxy_url", ["socks5://p:1", "http://", "http://p:1/path", "http://p p"])
def test_a_proxy_that_cannot_be_used_is_refused_at_once(proxy_url: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        make_pool("http://a.test/", wheel=Clock().wheel, proxy_env={"http_proxy": proxy_url})


def test_without_a_proxy_the_pool_is_direct_and_aiohttp_stays_unloaded() -> None:
    code = """
import sys
from broker.backends.http1 import DirectPool, make_pool
from broker.wheel import Wheel
pool = make_pool("https://a.test/", wheel=Wheel(), proxy_env={"http_proxy": "p:1"})
sys.exit(not isinstance(pool, DirectPool) or "aiohttp" in sys.modules)
"""
    assert run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
    assert isinstance(make_pool("http://a.test/", wheel=Clock().wheel), DirectPool)
