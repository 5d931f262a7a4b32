"""The words both HTTP clients share: what a caller hands in, what it is told, and every limit with its
precedent.

A call is one HTTP exchange. It is followed by callbacks of a `Sink`, in this order: `head` at most once,
`body` any number of times, then exactly one of `done` and `failed`. Callbacks run on the loop, must not
block, and may call the ticket or the pool. A sink that raises fails its own call and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

import msgspec

# Envoy's circuit breaker opens at 1,024 connections and 1,024 waiting requests. Half of it for connections:
# 1,024 is also the usual soft limit on open files, and the client side of the broker needs the other half.
MAX_CONNECTIONS: Final = 512
MAX_WAITING: Final = 1024
MAX_STREAMS: Final = 1024
# uvicorn and node close an idle connection after 5 s; ours must be gone before theirs is.
IDLE_EXPIRY_S: Final = 4.0
# node and Go's example servers read at most 16 KiB to 1 MiB of head; llhttp servers commonly allow 64 KiB.
MAX_HEAD_BYTES: Final = 64 * 1024
# Apache and nginx style servers stop at 100 fields (LimitRequestFields).
MAX_HEADERS: Final = 100
# Go's client gave up after 5 interim answers for years; room for a server that repeats 102.
MAX_INTERIM: Final = 16
# ToolHive caps bodies at 8 MiB; twice that, since base64 images come home in results.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024

Reason = Literal[
    "connect",
    "tls",
    "connect-timeout",
    "head-timeout",
    "idle-timeout",
    "total-timeout",
    "closed",
    "protocol",
    "too-large",
    "aborted",
    "pool-full",
    "sign-in",
    "credential",
]


class BackendFailure(msgspec.Struct, frozen=True):
    """Why a call ended without a complete answer.

    `executed` is "no" only when no byte of the request was handed to a connection, else "unknown". `detail`
    is for the operator's log: it never quotes bytes of the backend and must not be shown to clients.
    """

    reason: Reason
    executed: Literal["no", "unknown"]
    detail: str = ""


class Sink(Protocol):
    """Receiver of one call's answer."""

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The final status (never 1xx, 3xx is just a status) and the fields: names lower case, repeats
        comma-joined.
        """

    def body(self, data: bytes) -> None:
        """The next bytes of the body, never empty, without any transfer coding."""

    def done(self) -> None:
        """The answer is complete.

        An answer without a length also ends here when the backend closes the connection, so completeness is
        the sink's to judge: only a JSON-RPC response ends a call.
        """

    def failed(self, failure: BackendFailure) -> None:
        """There will be no more."""


class Ticket(Protocol):
    """The caller's hold on a call; every method is harmless after the call has ended."""

    def abort(self) -> None:
        """Close the call's connection and report `failed` with reason "aborted" before returning."""

    def pause(self) -> None:
        """Stop reading; bytes already read (at most one socket read) may still arrive. The idle time-out
        rests.
        """

    def resume(self) -> None:
        """Read again."""


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds, None for no limit; each expires up to one granule of the wheel late.

    `connect_s`: from `send` until a connection takes the call (name look-up, TLS and waiting for a free
    connection included). `head_s`: from there until the final head. `idle_s`: silence within the body.
    `total_s`: from `send` to the end, whatever happens.
    """

    connect_s: float | None = 10.0
    head_s: float | None = 60.0
    idle_s: float | None = 60.0
    total_s: float | None = 300.0


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one pool. Streams are counted apart from calls, so that standing GETs cannot starve them.

    `max_body_bytes` does not count `text/event-stream` answers: they live long, and the event reader bounds
    each event; `max_stream_bytes` is their cap, None for none.
    """

    max_connections: int = MAX_CONNECTIONS
    max_waiting: int = MAX_WAITING
    max_streams: int = MAX_STREAMS
    idle_expiry_s: float = IDLE_EXPIRY_S
    max_head_bytes: int = MAX_HEAD_BYTES
    max_headers: int = MAX_HEADERS
    max_interim: int = MAX_INTERIM
    max_body_bytes: int = MAX_BODY_BYTES
    max_stream_bytes: int | None = None


class Pool(Protocol):
    """Connections to one backend. Belongs to one event loop."""

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
    ) -> Ticket:
        """Start one exchange; never raises and never calls the sink before it returns.

        `headers` are whole lines (`b"name: value\\r\\n"...`) besides the constant part. `repeatable` allows
        one repetition on a fresh connection when a reused one dies before any byte of the answer. `stream`
        counts the call as a long-lived stream, by default every GET. `max_body` replaces the pool's cap on
        the body, in bytes.
        """

    async def close(self) -> None:
        """Fail every call with "aborted" and close every connection."""
