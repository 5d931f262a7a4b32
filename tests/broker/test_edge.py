"""The door: Host, Origin, targets, fields and bodies over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from broker import edge, serve
from broker.edge import EdgeSettings, Refusal, check_request, read_body
from broker.settings import Settings

BACKEND = "http://127.0.0.1:9/mcp"
PAGE = "https://app.example.com"
SMALL = 2048


def settings(**members: Any) -> Settings:
    limits = {"body_bytes": SMALL, "body_receipt_s": 0.3, "linger_s": 0.1, **members.pop("limits", {})}
    return Settings.for_proxy(BACKEND, port=0, allowed_origins=[PAGE], limits=limits, **members)


def create(given: Settings, port: int) -> web.Application:
    """An application that says what it got past the door."""
    door = EdgeSettings.of(given, port)

    async def handle(request: web.Request) -> web.StreamResponse:
        refusal = check_request(request, door)
        if refusal is not None:
            return refusal.response()
        if request.method == "OPTIONS":
            return edge.preflight(request, door)
        body = await read_body(request, given.limits)
        return body.response() if isinstance(body, Refusal) else web.Response(body=b"%d" % len(body))

    app = web.Application()
    edge.install_cors(app, door)
    app.router.add_route("*", "/{rest:.*}", handle)
    return app


@pytest.fixture
async def broker() -> AsyncIterator[serve.Running]:
    running = await serve.start(settings(), create)
    yield running
    await running.close()


async def exchange(port: int, data: bytes, *, whole: bool = True) -> bytes:
    """Everything the broker says to these bytes, until it closes or has said one whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(5):
            if not whole:
                return await reader.read()
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            return head + (await reader.readexactly(int(length[0].split(b":")[1])) if length else b"")
    finally:
        writer.close()
        await writer.wait_closed()


def post(port: int, *fields: str, target: str = "/mcp", body: bytes = b"{}", host: str | None = "") -> bytes:
    lines = [f"POST {target} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host or f'127.0.0.1:{port}'}")
    if not any(field.lower().startswith("content-type") for field in fields):
        lines.append("Content-Type: application/json")
    lines += [f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_a_plain_post_passes(broker: serve.Running) -> None:
    answer = await exchange(broker.port, post(broker.port))
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\n2")


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "[::1]:{}", "LOCALHOST:{}", "[0:0:0:0:0:0:0:1]:{}"])
async def test_the_loopback_names_are_one_place(broker: serve.Running, host: str) -> None:
    assert status(await exchange(broker.port, post(broker.port, host=host.format(broker.port)))) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{}",
        "localhost",
        "localhost:abc",
        "localhost:1",
        "localhost.:{}",
        "xn--localhost-:{}",
    ],
)
async def test_another_host_is_refused(broker: serve.Running, host: str) -> None:
    assert status(await exchange(broker.port, post(broker.port, host=host.format(broker.port)))) in {400, 421}


async def test_the_host_is_judged_for_each_request_of_a_connection(broker: serve.Running) -> None:
    good, bad = post(broker.port), post(broker.port, "Connection: close", host="evil.example")
    answer = await exchange(broker.port, good + bad, whole=False)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 421") == 1


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://localhost.evil:{}",
        "http://localhost:{}@evil",
        "http://localhost:1",
        "https://localhost:{}",
        "http://localhost:{}/path",
        "HTTPS://APP.EXAMPLE.COM.evil",
        "https://app.example.com:444",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS"])
async def test_an_unlisted_origin_is_forbidden_on_every_method(broker: serve.Running, method: str, origin: str) -> None:
    head = f"{method} /mcp HTTP/1.1\r\nHost: 127.0.0.1:{broker.port}\r\nOrigin: {origin.format(broker.port)}\r\n\r\n"
    assert status(await exchange(broker.port, head.encode())) == 403


@pytest.mark.parametrize("origin", [PAGE, "HTTPS://APP.EXAMPLE.COM", f"{PAGE}:443", "http://localhost:{}"])
async def test_a_listed_origin_passes(broker: serve.Running, origin: str) -> None:
    assert status(await exchange(broker.port, post(broker.port, f"Origin: {origin.format(broker.port)}"))) == 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["Origin: https://app.example.com", "Origin: https://app.example.com"], 400),
        (["Host: 127.0.0.1"], 400),
        (["Content-Type: application/jsonfoo"], 415),
        (["Content-Type: text/plain"], 415),
        (["Content-Type: application/json; charset=utf-16"], 415),
        (["Content-Type: application/json", "Content-Type: application/json"], 400),
        (["Content-Encoding: gzip"], 415),
        (["Mcp-Name: a", "Mcp-Name: a"], 400),
        (["Mcp-Param-X: a", "mcp-param-x: b"], 400),
        (["Mcp-Name: caf\xe9"], 400),
        (["X-Any: caf\xe9"], 400),
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(
    broker: serve.Running, fields: list[str], expected: int
) -> None:
    assert status(await exchange(broker.port, post(broker.port, *fields))) == expected


async def test_a_duplicate_mcp_header_is_a_header_mismatch(broker: serve.Running) -> None:
    assert b"-32020" in await exchange(broker.port, post(broker.port, "Mcp-Method: a", "Mcp-Method: a"))


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])
async def test_json_in_utf8_may_say_so(broker: serve.Running, kind: str) -> None:
    assert status(await exchange(broker.port, post(broker.port, f"Content-Type: {kind}"))) == 200


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://evil.example/mcp", 400),
        ("/mcp?access_token=x", 400),
        ("/mcp?a=1&Token=x", 400),
        ("/mcp?%74oken=x", 400),
        ("/%6dcp", 404),
        ("//mcp", 404),
        ("/mcp/", 404),
        ("/x/../mcp", 404),
        ("/mcp;a=b", 404),
        ("/mcp%00", 404),
        ("/mcp?a=1", 200),
    ],
)
async def test_a_path_has_one_spelling(broker: serve.Running, target: str, expected: int) -> None:
    assert status(await exchange(broker.port, post(broker.port, target=target))) == expected


async def test_a_refusal_quotes_nothing_of_the_request(broker: serve.Running) -> None:
    for data in (post(broker.port, target="/mcp?token=canary-1"), b"GET canary-1 HTTP/1.1\r\n\r\n"):
        assert b"canary-1" not in await exchange(broker.port, data)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_body_where_there_is_none_is_refused(broker: serve.Running, method: str) -> None:
    data = post(broker.port).replace(b"POST", method.encode(), 1)
    assert status(await exchange(broker.port, data)) == 400


async def test_a_body_above_the_cap_is_refused_before_it_is_read(broker: serve.Running) -> None:
    head = post(broker.port, body=b"").replace(b"Content-Length: 0", b"Content-Length: %d" % (SMALL + 1))
    assert status(await exchange(broker.port, head)) == 413


async def test_a_chunked_body_is_cut_off_at_the_cap(broker: serve.Running) -> None:
    head = post(broker.port, body=b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    answer = await exchange(broker.port, head + b"1000\r\n" + b"a" * 0x1000 + b"\r\n", whole=False)
    assert status(answer) == 413


async def test_a_body_that_drips_meets_its_deadline_and_the_connection_ends(broker: serve.Running) -> None:
    head = post(broker.port, body=b"").replace(b"Content-Length: 0", b"Content-Length: 10")
    assert status(await exchange(broker.port, head + b"{", whole=False)) == 408


async def test_a_listed_page_gets_its_preflight_and_nobody_a_wildcard(broker: serve.Running) -> None:
    head = f"OPTIONS /mcp HTTP/1.1\r\nHost: 127.0.0.1:{broker.port}\r\n"
    granted = (await exchange(broker.port, f"{head}Origin: {PAGE}\r\n\r\n".encode())).lower()
    assert f"access-control-allow-origin: {PAGE}".encode() in granted
    assert b"access-control-expose-headers: mcp-session-id" in granted
    for name in ("mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name", "last-event-id", "authorization"):
        assert name.encode() in granted
    assert b"*" not in granted
    assert b"credentials" not in granted
    assert b"access-control" not in (await exchange(broker.port, f"{head}\r\n".encode())).lower()


async def test_answers_to_a_listed_page_can_be_read_by_it(broker: serve.Running) -> None:
    answer = await exchange(broker.port, post(broker.port, f"Origin: {PAGE}"))
    assert f"Access-Control-Allow-Origin: {PAGE}".encode() in answer
    assert b"Vary: Origin" in answer
    assert b"Access-Control" not in await exchange(broker.port, post(broker.port))
