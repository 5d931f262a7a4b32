"""The bytes and shapes of the benchmarks' backend: HTTP answers, chunks, events, asked messages, counters.

Follows basic/transports (Streamable HTTP). The invariant: only what the tools need is decoded.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Params(msgspec.Struct):
    """The few parameters the tools read."""

    name: str = ""
    arguments: dict[str, Any] = {}
    cursor: str = ""
    meta: dict[str, Any] = msgspec.field(name="_meta", default_factory=dict)


class Ask(msgspec.Struct):
    """One client message; a notification has no id, an answer to us has no method."""

    method: str = ""
    id: int | str | None = None
    params: Params = msgspec.field(default_factory=Params)


class Stats(msgspec.Struct):
    """Counters since the start; `open_streams` and `sessions` are what is open now."""

    connections: int = 0
    requests: int = 0
    calls: int = 0
    refused: int = 0
    open_streams: int = 0
    sessions: int = 0


DECODE = msgspec.json.Decoder(Ask)
ENCODE = msgspec.json.Encoder()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def http(status: str, body: bytes = b"", extra: bytes = b"") -> bytes:
    """A whole answer with a JSON body (or none)."""
    kind = b"Content-Type: application/json\r\n" if body else b""
    return b"HTTP/1.1 %b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        status.encode(),
        kind,
        extra,
        len(body),
        body,
    )


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(message: bytes) -> bytes:
    """One server-sent event in a chunk of its own, as the SDKs' servers write them."""
    return chunk(b"event: message\ndata: %b\n\n" % message)
