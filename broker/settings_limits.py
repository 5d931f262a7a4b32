"""Every deadline and every limit of the broker, in one table: name, unit, default, bounds and why.

The unit is the end of the name (`_s` seconds, `_bytes`; anything else is a count). Each description ends with
the precedent the default follows. Invariant: nothing the broker keeps for a peer grows without one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from broker.backends import http1_types
    from protocol_versions.jsonrpc import WireLimits

KIB = 1024
MIB = 1024 * KIB
MINUTE = 60.0
HOUR = 60 * MINUTE


class Limits(BaseModel):
    """The `limits` section of the configuration; every member has a default that is safe to keep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # What a client may send, and how slowly.
    head_receipt_s: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="A request's head must be complete this long after its first byte, and "
        "the first byte this long after the connection. Precedent: Go net/http guides, ReadHeaderTimeout 10 s.",
    )
    body_receipt_s: float = Field(
        default=20.0,
        gt=0,
        le=600,
        description="A request's body must be complete this long after its head. "
        "Precedent: Apache mod_reqtimeout, body=20.",
    )
    keep_alive_s: float = Field(
        default=75.0,
        gt=0,
        le=3600,
        description="An idle client connection is closed after this. Precedent: nginx keepalive_timeout 75 s.",
    )
    linger_s: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="How long an unread body is swallowed after an early answer. "
        "Precedent: Envoy delayed_close_timeout 1 s.",
    )
    connections: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Open client connections; further ones are closed at once. "
        "Precedent: Envoy edge guide, global downstream connection limit.",
    )
    header_bytes: int = Field(
        default=16 * KIB,
        ge=1 * KIB,
        le=256 * KIB,
        description="Longest request line and longest header field. Precedent: Node.js --max-http-header-size 16 KiB.",
    )
    header_count: int = Field(
        default=100,
        ge=16,
        le=1_000,
        description="Header fields of one request. Precedent: Envoy max_headers_count 100.",
    )
    body_bytes: int = Field(
        default=4 * MIB,
        ge=1 * KIB,
        le=256 * MIB,
        description="Body of one client request. Precedent: the MCP Python and TypeScript SDKs, 4 MiB.",
    )
    depth: int = Field(
        default=64,
        ge=8,
        le=200,
        description="Nesting of arrays and objects. Precedent: Jackson caps 1,000, serde 128; "
        "no MCP shape needs more than a dozen.",
    )
    nodes: int = Field(
        default=200_000,
        ge=1_000,
        le=10_000_000,
        description="JSON values in one message. Precedent: CVE-2026-111768, "
        "4 MiB of array elements exhausts a validator.",
    )
    number_chars: int = Field(
        default=64,
        ge=20,
        le=1_000,
        description="Length of one number literal. Precedent: CPython's digit limit exists "
        "because conversion is quadratic; a double needs 24.",
    )
    batch: int = Field(
        default=50,
        ge=1,
        le=1_000,
        description="Messages in one 2025-03-26 batch. Precedent: the Ethereum JSON-RPC "
        "nodes' batch caps; advisory GHSA-f897-62hf-6gxq.",
    )

    # What a backend may send, and how slowly.
    connect_s: float = Field(
        default=10.0, gt=0, le=120, description="TCP and TLS set-up to a backend. Precedent: gRPC's 20 s, Envoy's 5 s."
    )
    call_head_s: float = Field(
        default=300.0,
        gt=0,
        le=24 * HOUR,
        description="From the request to the head of the backend's answer; a tool that "
        "answers in JSON works during it. Precedent: MCP Python SDK, 300 s read timeout.",
    )
    call_idle_s: float = Field(
        default=300.0,
        gt=0,
        le=24 * HOUR,
        description="Silence inside a backend's answer. "
        "Precedent: MCP Python SDK, sse_read_timeout 300 s; Envoy stream_idle_timeout 300 s.",
    )
    call_total_s: float = Field(
        default=HOUR,
        gt=0,
        le=7 * 24 * HOUR,
        description="One call from its arrival to its end, however busy it is. "
        "Precedent: the cancellation page, a maximum timeout whatever the progress.",
    )
    get_stream_idle_s: float = Field(
        default=HOUR,
        gt=0,
        le=24 * HOUR,
        description="Silence on a backend's standing stream before it is opened anew. "
        "Precedent: AWS and GCP load balancers drop idle connections within an hour.",
    )
    result_bytes: int = Field(
        default=16 * MIB,
        ge=1 * KIB,
        le=1024 * MIB,
        description="One message from a backend. "
        "Precedent: four times the client's cap, room for base64 images and audio.",
    )
    pool_connections: int = Field(
        default=512,
        ge=1,
        le=10_000,
        description="Connections to one backend. Precedent: half of Envoy's circuit "
        "breaker and of the usual limit on open files, 1,024; clients need the other half.",
    )
    pool_streams: int = Field(
        default=1024,
        ge=1,
        le=100_000,
        description="Standing streams from one backend, counted apart from calls. "
        "Precedent: Envoy circuit breaker, max_connections 1024.",
    )
    pool_waiting: int = Field(
        default=1024,
        ge=0,
        le=100_000,
        description="Calls waiting for a connection to one backend; further ones are "
        "refused. Precedent: Envoy circuit breaker, max_pending_requests 1024.",
    )
    pool_idle_s: float = Field(
        default=4.0,
        ge=0,
        le=HOUR,
        description="An unused backend connection is closed after this, below the server's "
        "own 5 s. Precedent: Node.js keepAliveTimeout 5 s, uvicorn --timeout-keep-alive 5 s.",
    )

    # What is kept for a client.
    session_ttl_s: float = Field(
        default=30 * MINUTE,
        gt=0,
        le=24 * HOUR,
        description="A session nobody used is forgotten. Precedent: ToolHive, 30 min.",
    )
    session_lifetime_s: float = Field(
        default=24 * HOUR,
        gt=0,
        le=30 * 24 * HOUR,
        description="A session ends this long after its start, used or not. "
        "Precedent: OWASP session management, absolute timeout.",
    )
    sessions_per_principal: int = Field(
        default=1_000, ge=1, le=1_000_000, description="Live sessions of one caller. Precedent: ToolHive, 1,000 a pod."
    )
    sessions: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Live sessions of the whole process. Precedent: at 40 KB each, 400 MB.",
    )
    streams_per_session: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Open SSE streams and calls in flight of one session. "
        "Precedent: Envoy edge guide, 100 concurrent streams.",
    )
    held_questions: int = Field(
        default=32,
        ge=1,
        le=1_000,
        description="A backend's requests waiting for one session's client. "
        "Precedent: far above what a person answers at once.",
    )
    stream_queue_bytes: int = Field(
        default=64 * KIB,
        ge=4 * KIB,
        le=64 * MIB,
        description="Bytes waiting for a slow reader of one stream, the event "
        "being written not counted; beyond it the stream is ended, to be resumed. "
        "Precedent: Envoy edge guide, 64 KiB windows.",
    )
    event_store_s: float = Field(
        default=5 * MINUTE,
        ge=0,
        le=HOUR,
        description="How long a stream's events can be replayed after a break. "
        "Precedent: mobile and proxy reconnects happen within seconds; 5 min covers a laptop's lid.",
    )
    event_store_events: int = Field(
        default=1_000,
        ge=0,
        le=1_000_000,
        description="Events kept for replay per stream. Precedent: NATS and Mercure history sizes.",
    )
    event_store_bytes: int = Field(
        default=1 * MIB,
        ge=0,
        le=256 * MIB,
        description="Bytes kept for replay per stream. "
        "Precedent: 1 MiB times the streams of a busy session stays below a result's cap.",
    )
    comment_interval_s: float = Field(
        default=15.0,
        gt=0,
        le=600,
        description="A comment is sent on a silent client stream this often, so that no box "
        "between closes it. Precedent: WHATWG server-sent events, 'every 15 seconds or so'.",
    )
    commit_to_sse_s: float = Field(
        default=5.0,
        ge=0,
        le=300,
        description="A call whose answer may still be plain JSON becomes an SSE stream after "
        "this. Precedent: below the 10 s at which hosts show a call as stuck.",
    )

    # How the process ends.
    drain_s: float = Field(
        default=8.0,
        ge=0,
        le=600,
        description="Calls in flight may finish this long after SIGTERM. Precedent: docker stop kills after 10 s.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Limits:
        for low, high in (
            ("sessions_per_principal", "sessions"),
            ("session_ttl_s", "session_lifetime_s"),
            ("call_idle_s", "call_total_s"),
            ("call_head_s", "call_total_s"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not be above {high}")
        return self

    def wire(self) -> WireLimits:
        """What the strict decoder is told."""
        from protocol_versions.jsonrpc import WireLimits

        return WireLimits(
            body=self.body_bytes,
            backend_body=self.result_bytes,
            depth=self.depth,
            nodes=self.nodes,
            number=self.number_chars,
            batch=self.batch,
        )

    def pool(self) -> http1_types.Limits:
        """What one backend's connection pool is told."""
        from broker.backends.http1_types import Limits as PoolLimits

        return PoolLimits(
            max_connections=self.pool_connections,
            max_waiting=self.pool_waiting,
            max_streams=self.pool_streams,
            idle_expiry_s=self.pool_idle_s,
            max_body_bytes=self.result_bytes,
        )

    def call_timeouts(self) -> http1_types.Timeouts:
        """Deadlines of one call to a backend."""
        from broker.backends.http1_types import Timeouts

        return Timeouts(
            connect_s=self.connect_s,
            head_s=self.call_head_s,
            idle_s=self.call_idle_s,
            total_s=self.call_total_s,
        )

    def stream_timeouts(self) -> http1_types.Timeouts:
        """Deadlines of a standing stream from a backend."""
        from broker.backends.http1_types import Timeouts

        return Timeouts(connect_s=self.connect_s, head_s=self.call_head_s, idle_s=self.get_stream_idle_s, total_s=None)
