"""Hostile HTTP before the whole broker: at every address and verb, what is refused has run nothing.

`exchange` writes bytes on a socket; `{host}` is what the broker listens on.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.adversarial.doors import HTTP, KEYS, MODERN, PAIR, Cell, Door, before, entered, ran
from tests.broker.modern_world import envelope
from tests.broker.test_edge import exchange, status

BACKENDS = ("2024-11-05", "2025-11-25", MODERN)
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x", "_meta": envelope()}}
BODY = json.dumps(CALL).encode()
ADDRESSES = (
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("OPTIONS", "/mcp"),
    ("GET", "/sse"),
    ("POST", "/messages?session=x"),
)
ORIGINS = ("http://evil.example", "null", "http://localhost.evil", "http://localhost:80@evil", "HTTP://LOCALHOST:1",
           "http://[::1]:1", "http://127.0.0.1.evil")  # fmt: skip
HOSTS = ("evil.example", "127.0.0.1:abc", "localhost.:{port}", "xn--localhost-:{port}", "127.0.0.1@evil:{port}", "")


def request(verb: str, path: str, *lines: str, body: bytes = b"", host: str = "{host}") -> bytes:
    """Bytes of a request; a good one but for `lines`."""
    said = [f"{verb} {path} HTTP/1.1", f"Host: {host}", "Accept: application/json, text/event-stream", *lines]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        said.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*said, "", ""]).encode("latin-1") + body


def stateless(*lines: str) -> tuple[str, ...]:
    """The headers of `BODY`, of a client with a key, and these."""
    good = [
        "Content-Type: application/json",
        f"MCP-Protocol-Version: {MODERN}",
        "Mcp-Method: tools/call",
        "Mcp-Name: x",
    ]
    names = {line.split(":")[0].lower() for line in lines}
    kept = [line for line in good if line.split(":")[0].lower() not in names]
    key = [] if "authorization" in names else [f"Authorization: Bearer {KEYS['ann']}"]
    return (*kept, *key, *lines)


async def sent(port: int, data: bytes) -> bytes:
    """The first answer to these bytes."""
    return await exchange(port, data.replace(b"{host}", b"127.0.0.1:%d" % port).replace(b"{port}", b"%d" % port))


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_page_of_another_place_is_kept_out_at_every_address(backend: str) -> None:
    """C041, C043: before a key is looked at, and before a body is read."""
    async with before(Cell(MODERN, HTTP, backend), keys=True) as here:
        for verb, path in ADDRESSES:
            for origin in ORIGINS:
                answer = await sent(here.port, request(verb, path, *stateless(f"Origin: {origin}")))
                assert status(answer) == 403, (verb, path, origin)
                assert b"access-control-allow" not in answer.lower()
            twice = await sent(here.port, request(verb, path, "Origin: http://{host}", "Origin: http://{host}"))
            assert status(twice) in (400, 403), (verb, path)
            for host in HOSTS:
                assert status(await sent(here.port, request(verb, path, host=host))) in (400, 421), (verb, path, host)
        assert ran(here) == []
        assert status(await sent(here.port, request("POST", "/mcp", *stateless(), body=BODY))) == 200


EDGES: tuple[tuple[str, bytes, tuple[int, ...]], ...] = (
    ("C042", request("POST", "/mcp", *stateless("Authorization: Bearer wrong"), body=BODY), (401,)),
    ("C042", request("POST", "/mcp", *stateless()[:4], body=BODY), (401,)),
    ("C044", request("POST", "http://evil.example/mcp", *stateless(), body=BODY), (400,)),
    ("C044", request("POST", "http://{host}/mcp", *stateless(), body=BODY), (400,)),
    ("C046", request("POST", "/mcp", *stateless("Content-Type: text/plain"), body=BODY), (400, 415)),
    ("C047", request("POST", "/mcp", *stateless("Content-Type: application/jsonfoo"), body=BODY), (400, 415)),
    ("C047", request("POST", "/mcp", *stateless("Content-Type: application/json;charset=utf-16"), body=BODY), (415,)),
    ("C047", request("POST", "/mcp", *stateless("Content-Type:"), body=BODY), (400, 415)),
    ("C047", request("POST", "/mcp", *stateless(), "Content-Type: application/json", body=BODY), (400, 415)),
    ("C048", request("POST", "/mcp", *stateless(), body=BODY).replace(b"text/event-stream", b"text/html"), (400, 406)),
    *(("C049", request("POST", "/mcp", *stateless(f"Content-Encoding: {coding}"), body=BODY), (415,))
      for coding in ("gzip", "deflate", "br", "zstd", "identity, gzip")),
    ("C053", request("TRACE", "/mcp", *stateless()), (400, 405)),
    ("C053", request("CONNECT", "evil.example:80", *stateless()), (400, 404, 405)),
    ("C053", request("post", "/mcp", *stateless(), body=BODY), (400, 405)),
    ("C053", request("GET", "/mcp", *stateless(), body=BODY), (400, 405)),
    ("C053", request("DELETE", "/mcp", *stateless(), body=BODY), (400, 405)),
    ("C053", request("POST", "/sse", *stateless(), body=BODY), (400, 404, 405)),
    ("C060", request("POST", "/mcp", *stateless("Mcp-Name: \xff\xfe"), body=BODY), (400,)),
    ("C066", request("POST", "/mcp", *stateless("Origin: http://evil.example"), "Expect: 100-continue",
                     "Content-Length: 9"), (403,)),
    ("C066", request("POST", "/mcp", *stateless("Authorization: Bearer wrong"), "Expect: 100-continue",
                     "Content-Length: 9"), (401,)),
    ("C067", request("GET", "/mcp", *stateless()[1:]), (400, 405)),
    ("C067", request("DELETE", "/mcp", *stateless()[1:]), (400, 405)),
    ("C069", request("POST", "/mcp", *stateless("Content-Length: 5000000")), (413,)),
    ("C069", request("POST", "/mcp", *stateless("Content-Length: 99999999999999999999")), (400, 413)),
    ("C070", request("OPTIONS", "/mcp", "Origin: http://evil.example"), (403,)),
    ("C071", request("POST", "/mcp", *stateless(), body=b'{"jsonrpc":"2.0","id":1,"result":{}}'), (400,)),
)  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_request_that_is_not_as_it_has_to_be_runs_nothing(backend: str) -> None:
    async with before(Cell(MODERN, HTTP, backend), keys=True) as here:
        wrong = []
        for case, data, expected in EDGES:
            answer = await sent(here.port, data)
            if status(answer) not in expected or ran(here) or b" 100 " in answer[:16]:
                wrong.append((case, data[:60], status(answer), ran(here)))
        assert wrong == []


FRAMING = (
    ("Content-Length: {n}", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: {n}"),
    ("Content-Length: {n}", "Content-Length: 0"),
    ("Content-Length: +{n}",),
    ("Content-Length: 0x20",),
    ("Content-Length: {n}, {n}",),
    ("Transfer-Encoding: chunked, identity",),
    ("Transfer-Encoding: xchunked",),
    ("Transfer-Encoding : chunked",),
    ("Content-Length : {n}",),
    ("X-Folded: a", " Transfer-Encoding: chunked", "Content-Length: {n}"),
    ("X-Bare: a\nTransfer-Encoding: chunked", "Content-Length: {n}"),
    ("X-Nul: a\0b", "Content-Length: {n}"),
)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_where_a_body_ends_is_never_guessed(backend: str) -> None:
    """C050: what a second reader would take for the next request is not executed either."""
    async with before(Cell(MODERN, HTTP, backend), keys=True) as here:
        hidden = request("POST", "/mcp", *stateless(), body=BODY)
        body = b"0\r\n\r\n" + hidden
        for lines in FRAMING:
            said = [line.format(n=len(body)) for line in lines]
            answer = await exchange(
                here.port, _whole(here.port, request("POST", "/mcp", *stateless(*said), body=body)), whole=False
            )
            assert status(answer) == 400, lines
            assert answer.count(b"HTTP/1.1 ") == 1, lines
            assert ran(here) == [], lines
        chunks = (
            b"5\r\nabcde\rX0\r\n\r\n",
            b"5;a\nb\r\nabcde\r\n0\r\n\r\n",
            b"ffffffffffffffffff\r\n",
            b"-1\r\n",
            b"5 \r\nabcde\r\n",
        )
        for chunk in chunks:
            data = request("POST", "/mcp", *stateless("Transfer-Encoding: chunked"), body=chunk + hidden)
            answer = await exchange(here.port, _whole(here.port, data), whole=False)
            assert answer.count(b"HTTP/1.1 ") == 1, chunk
            assert status(answer) >= 400, chunk
            assert ran(here) == [], chunk


def _whole(port: int, data: bytes) -> bytes:
    return data.replace(b"{host}", b"127.0.0.1:%d" % port)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_heads_that_are_too_large_are_refused(backend: str) -> None:
    """C051."""
    async with before(Cell(MODERN, HTTP, backend), keys=True) as here:
        for lines in (
            ["X-Big: " + "a" * 65_536],
            [f"X-{n}: a" for n in range(20_000)],
            [f"Cookie: a{n}=b" for n in range(10_000)],
        ):
            data = request("POST", "/mcp", *stateless(*lines), body=BODY)
            assert status(await sent(here.port, data)) in (400, 431), lines[0][:10]
        assert ran(here) == []


@pytest.mark.parametrize("transport", [HTTP, PAIR])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_refusal_quotes_nothing_and_an_id_of_a_session_is_in_no_answer(
    backend: str, transport: str, journal: Any
) -> None:
    """C055, C107, C115, C222: a key is in no answer and in no line of the log."""
    cell = Cell("2025-11-25", transport, backend)
    async with before(cell, keys=True) as here, entered(here, cell, "ann") as door:
        assert not (await door.call("x")).refused
        for path in ("/mcp?access_token=canary-4711", "/canary-4711", "/mcp?token=canary-4711"):
            assert b"canary-4711" not in await sent(here.port, request("POST", path, *stateless(), body=BODY))
        said = json.dumps(journal())
        assert "canary-4711" not in said
        assert not any(key in said for key in KEYS.values())
        assert not door.client.session or door.client.session not in said
        assert isinstance(door, Door)
