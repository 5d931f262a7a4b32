"""Every deadline and every limit of the broker, in one table: name, unit, default, bounds and why.

The unit is the end of the name (`_s` seconds, `_bytes`; anything else is a count). Each description ends with
the precedent the default follows. Invariant: nothing the broker keeps for a peer grows without one of these.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from broker.limit_values import DEFAULTS as V
from broker.limit_values import HOUR, KIB, MIB


def within(default: float, low: float, high: float) -> Any:
    """A member with its bounds; the text below it in the table is its description."""
    return Field(default=default, ge=low, le=high)


class Limits(BaseModel):
    """The `limits` section of the configuration; every member has a default that is safe to keep."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    # What a client may send, and how slowly.
    head_receipt_s: float = within(V.head_receipt_s, 0.001, 300)
    """A request's head must be complete this long after its first byte, and the first byte this long after the
    connection. Precedent: Go net/http guides, ReadHeaderTimeout 10 s."""
    body_receipt_s: float = within(V.body_receipt_s, 0.001, 600)
    """A request's body must be complete this long after its head. Precedent: Apache mod_reqtimeout, body=20."""
    keep_alive_s: float = within(V.keep_alive_s, 0.001, 3_600)
    """An idle client connection is closed after this. Precedent: nginx keepalive_timeout 75 s."""
    linger_s: float = within(V.linger_s, 0, 10)
    """How long an unread body is swallowed after an early answer. Precedent: Envoy delayed_close_timeout 1 s."""
    connections: int = within(V.connections, 1, 1_000_000)
    """Open client connections; further ones are closed at once. Precedent: Envoy edge guide, global downstream
    connection limit."""
    callers: int = within(V.callers, 1, 1_000_000)
    """Callers of one backend for whom its catalogue, their task ids and their shared streams are remembered; those who
    came longest ago are forgotten. Precedent: one for each of `connections`."""
    connections_per_address: int = within(V.connections_per_address, 1, 1_000_000)
    """Open connections from one address, or one IPv6 /64; further ones are closed at once. Precedent: nginx
    limit_conn, which is off as well unless it is set; behind a proxy all come from one address."""
    header_bytes: int = within(V.header_bytes, 1 * KIB, 256 * KIB)
    """Longest request line and longest header field. Precedent: Node.js --max-http-header-size 16 KiB."""
    header_count: int = within(V.header_count, 16, 1_000)
    """Header fields of one request. Precedent: Envoy max_headers_count 100."""
    body_bytes: int = within(V.body_bytes, 1 * KIB, 256 * MIB)
    """Body of one client request. Precedent: the MCP Python and TypeScript SDKs, 4 MiB."""
    depth: int = within(V.depth, 8, 200)
    """Nesting of arrays and objects. Precedent: Jackson caps 1,000, serde 128; no MCP shape needs more than a
    dozen."""
    nodes: int = within(V.nodes, 1_000, 10_000_000)
    """JSON values in one message. Precedent: CVE-2026-111768, 4 MiB of array elements exhausts a validator."""
    number_chars: int = within(V.number_chars, 20, 1_000)
    """Length of one number literal. Precedent: CPython's digit limit exists because conversion is quadratic; a
    double needs 24."""
    batch: int = within(V.batch, 1, 1_000)
    """Messages in one 2025-03-26 batch. Precedent: the Ethereum JSON-RPC nodes' batch caps; advisory
    GHSA-f897-62hf-6gxq."""

    # What a backend may send, and how slowly.
    connect_s: float = within(V.connect_s, 0.001, 120)
    """TCP and TLS set-up to a backend. Precedent: gRPC's 20 s, Envoy's 5 s."""
    call_head_s: float = within(V.call_head_s, 0.001, 24 * HOUR)
    """From the request to the head of the backend's answer; a tool that answers in JSON works during it. Precedent:
    MCP Python SDK, 300 s read timeout."""
    call_idle_s: float = within(V.call_idle_s, 0.001, 24 * HOUR)
    """Silence inside a backend's answer. Precedent: MCP Python SDK, sse_read_timeout 300 s; Envoy
    stream_idle_timeout 300 s."""
    call_total_s: float = within(V.call_total_s, 0.001, 7 * 24 * HOUR)
    """One call from its arrival to its end, however busy it is. Precedent: the cancellation page, a maximum timeout
    whatever the progress."""
    start_s: float = within(V.start_s, 0.001, 3_600)
    """How long a command may take to answer `initialize`. Precedent: package runners download before they start."""
    get_stream_idle_s: float = within(V.get_stream_idle_s, 0.001, 24 * HOUR)
    """Silence on a backend's standing stream before it is opened anew. Precedent: AWS and GCP load balancers drop
    idle connections within an hour."""
    result_bytes: int = within(V.result_bytes, 1 * KIB, 1_024 * MIB)
    """One message from a backend. Precedent: four times the client's cap, room for base64 images and audio."""
    pool_connections: int = within(V.pool_connections, 1, 100_000)
    """Connections to one backend. Precedent: one for each of the `parked` calls, whose answers are still to come, and
    as many for others, of which Envoy's circuit breaker allows 1,024."""
    pool_streams: int = within(V.pool_streams, 1, 100_000)
    """Standing streams from one backend, counted apart from calls. Precedent: one for each of `backend_sessions`;
    without it a server's questions are lost."""
    pool_waiting: int = within(V.pool_waiting, 0, 100_000)
    """Calls waiting for a connection to one backend; further ones are refused. Precedent: Envoy circuit breaker,
    max_pending_requests 1024."""
    pool_idle_s: float = within(V.pool_idle_s, 0, HOUR)
    """An unused backend connection is closed after this, below the server's own 5 s. Precedent: Node.js
    keepAliveTimeout 5 s, uvicorn --timeout-keep-alive 5 s."""
    channel_waiting_bytes: int = within(V.channel_waiting_bytes, 64 * KIB, 1_024 * MIB)
    """Bytes that wait for a command that does not read its standard input, or for the HTTP+SSE pair to say where to
    post; further messages are refused. Precedent: as `result_bytes`, the longest message the other way."""

    # What is kept for a client.
    session_ttl_s: float = within(V.session_ttl_s, 0.001, 24 * HOUR)
    """A session nobody used is forgotten. Precedent: ToolHive, 30 min."""
    session_lifetime_s: float = within(V.session_lifetime_s, 0.001, 30 * 24 * HOUR)
    """A session ends this long after its start, used or not. Precedent: OWASP session management, absolute
    timeout."""
    sessions_per_principal: int = within(V.sessions_per_principal, 1, 1_000_000)
    """Live sessions of one caller. Precedent: ToolHive, 1,000 a pod."""
    sessions: int = within(V.sessions, 1, 1_000_000)
    """Live sessions of the whole process. Precedent: at 40 KB each, 400 MB."""
    streams_per_session: int = within(V.streams_per_session, 1, 10_000)
    """Open SSE streams and calls in flight of one session. Precedent: Envoy edge guide, 100 concurrent streams."""
    calls_per_principal: int = within(V.calls_per_principal, 0, 1_000_000)
    """Open calls of one caller, over all its sessions and all servers; 0: any number. Precedent: half of
    `pool_connections`, so that no caller has them all; Envoy's circuit breaker, max_requests 1024."""
    streams_per_principal: int = within(V.streams_per_principal, 0, 1_000_000)
    """Open streams of one caller that belong to no call (standing ones, those of the HTTP+SSE pair, subscriptions),
    over all its sessions and all servers; 0: any number. Precedent: two for each of `sessions_per_principal`, since a
    stream that broke may not be known to have ended when the next is opened."""
    held_questions: int = within(V.held_questions, 1, 1_000)
    """A backend's requests waiting for one session's client. Precedent: far above what a person answers at once."""
    stream_queue_bytes: int = within(V.stream_queue_bytes, 4 * KIB, 64 * MIB)
    """Bytes waiting for a slow reader of one stream, the event being written not counted; beyond it the server's stream
    is stopped. Where others share that, as they do a command, the reader is told nothing but answers beyond sixteen
    times as much. Precedent: Envoy edge guide, 64 KiB windows."""
    pipe_unread_bytes: int = within(V.pipe_unread_bytes, 1 * MIB, 4_096 * MIB)
    """Bytes that wait for the client of `dragoman stdio` that does not read; beyond it the client is taken to be gone.
    Precedent: sixteen of the longest results."""
    event_store_s: float = within(V.event_store_s, 0, HOUR)
    """How long a stream's events can be replayed after a break. Precedent: mobile and proxy reconnects happen
    within seconds; 5 min covers a laptop's lid."""
    event_store_events: int = within(V.event_store_events, 0, 1_000_000)
    """Events kept for replay per stream. Precedent: NATS and Mercure history sizes."""
    event_store_bytes: int = within(V.event_store_bytes, 0, 256 * MIB)
    """Bytes kept for replay per stream. Precedent: 1 MiB times the streams of a busy session stays below a result's
    cap."""
    comment_interval_s: float = within(V.comment_interval_s, 0.001, 600)
    """A comment is sent on a silent client stream this often, so that no box between closes it. Precedent: WHATWG
    server-sent events, 'every 15 seconds or so'."""
    commit_to_sse_s: float = within(V.commit_to_sse_s, 0, 300)
    """A call whose answer may still be plain JSON becomes an SSE stream after this. Precedent: below the 10 s at
    which hosts show a call as stuck."""

    # How the process ends.
    drain_s: float = within(V.drain_s, 0, 600)
    """Calls in flight may finish this long after SIGTERM. Precedent: docker stop kills after 10 s."""

    # Stateless clients before servers with sessions.
    backend_sessions_per_principal: int = within(V.backend_sessions_per_principal, 1, 10_000)
    """Sessions with one backend for one caller's 2026-07-28 requests. Precedent: one for each parked call."""
    backend_sessions: int = within(V.backend_sessions, 1, 1_000_000)
    """Such sessions with one backend for all callers. Precedent: half of `sessions`, each has a client half as well."""
    backend_calls_per_principal: int = within(V.backend_calls_per_principal, 1, 100_000)
    """Such requests of one caller to one backend at once, and never more than half of `pool_connections`. Precedent: an
    eighth of `pool_connections`, so that no caller has them all."""
    backend_session_idle_s: float = within(V.backend_session_idle_s, 0.001, 86_400)
    """Such a session is ended this long after its last request. Precedent: the MCP TypeScript SDK's examples, 5 min."""
    park_s: float = within(V.park_s, 0.001, 600)
    """How long a call waits for a 2026-07-28 client's answers to its questions, each round anew. Precedent: the life of
    a sealed `requestState`, OAuth authorization codes (RFC 6749 section 4.1.2) 10 min."""
    parked: int = within(V.parked, 1, 1_000_000)
    """Calls of one backend that wait so, and never more than half of `pool_connections`. Precedent: 200 callers with
    ten each; at 20 KB and two sockets each, 40 MB."""
    parked_per_principal: int = within(V.parked_per_principal, 1, 100_000)
    """Calls of one caller that wait so. Precedent: far above the dialogs a person has open at once."""
    parked_per_session: int = within(V.parked_per_session, 1, 100_000)
    """Calls of one session that wait so. Precedent: parallel tool calls of one turn of a model."""
    park_batch_s: float = within(V.park_batch_s, 0, 5)
    """Questions that follow each other this closely are asked in one round. Precedent: Nagle's algorithm, 40 ms."""

    # Signing in at servers.
    sign_in_s: float = within(V.sign_in_s, 1, 3_600)
    """How long a call waits for a person to sign in at its server. Precedent: the MCP Python SDK's example client waits
    300 s for the browser; codes live 10 min at most (RFC 6749 section 4.1.2)."""
    sign_in_request_s: float = within(V.sign_in_request_s, 0.001, 300)
    """One exchange with an issuer, or for a server's metadata. Precedent: `connect_s`; the documents are small."""
    # Who calls.
    token_bytes: int = within(V.token_bytes, 512, 64 * KIB)
    """An access token; a longer one is refused unread. Precedent: nginx large_client_header_buffers, 8 KiB."""
    token_leeway_s: float = within(V.token_leeway_s, 0, 60)
    """By how much the clocks of issuers may differ from this one. Precedent: RFC 7519 section 4.1.4, 'no more than a
    few minutes'; Go-jose 1 min."""
    tokens_known: int = within(V.tokens_known, 0, 1_000_000)
    """Verified tokens that are not verified again until they expire. Precedent: 4,096 of
    2 KB are 8 MB."""
    issuer_bytes: int = within(V.issuer_bytes, 1 * KIB, 16 * MIB)
    """An issuer's metadata or keys. Precedent: the largest published sets are below 20 KiB."""
    issuer_answer_s: float = within(V.issuer_answer_s, 0.001, 60)
    """An issuer's whole answer must come within this. Precedent: Envoy jwt_authn remote_jwks, 5 s."""
    issuer_refresh_s: float = within(V.issuer_refresh_s, 1, 24 * HOUR)
    """Keys older than this are read again, beside their use. Precedent: Envoy jwt_authn cache_duration, 5 min."""
    issuer_retry_s: float = within(V.issuer_retry_s, 0.001, HOUR)
    """An issuer is not asked again sooner, whatever tokens name. Precedent: jose's cooldownDuration, 30 s."""
    issuer_stale_s: float = within(V.issuer_stale_s, 1, 30 * 24 * HOUR)
    """How long keys are believed while their issuer cannot be read. Precedent: Kubernetes and Istio keep them for a
    day's outage."""
    introspection_fresh_s: float = within(V.introspection_fresh_s, 0, 4)
    """How long an issuer's word that a token is good is believed, never beyond the token's end; 0: each request asks.
    Precedent: a stolen token must not outlive its revocation by more than 5 s."""
    introspection_refused_s: float = within(V.introspection_refused_s, 0, 60)
    """How long its word that one is not is believed, which keeps guesses from it. Precedent: negative answers of DNS
    resolvers, 5 s and more; nothing is lost by a second question."""
    introspection_away_s: float = within(V.introspection_away_s, 0, HOUR)
    """How long what is open goes on while the issuer cannot be asked about its token. Precedent: restarts of services
    behind a balancer end within a minute."""
    introspections: int = within(V.introspections, 1, 1_000)
    """Questions about tokens that are with one issuer at once. Precedent: the
    idle connections that nginx guides keep to a server, 32."""
    introspections_waiting: int = within(V.introspections_waiting, 0, 100_000)
    """Tokens that wait for their question; requests with further ones are answered 503. Precedent: `pool_waiting`."""
    revocation_s: float = within(V.revocation_s, 0.05, 5)
    """How often it is looked whose credential expired or was revoked while streams or calls are open. Precedent: a
    stolen token must not outlive its revocation by more than 5 s."""
    revocations: int = within(V.revocations, 1, 10_000_000)
    """Revocations made at the status port that the file `revoked` does not have, and whose end was not said or has not
    come; more are refused. Precedent: 100,000 of 150 bytes are 15 MB; a day's revoked sessions of large providers."""

    @model_validator(mode="after")
    def _ordered(self) -> Limits:
        for low, high in (
            ("sessions_per_principal", "sessions"),
            ("session_ttl_s", "session_lifetime_s"),
            ("call_idle_s", "call_total_s"),
            ("backend_sessions_per_principal", "backend_sessions"),
            ("parked_per_principal", "parked"),
            ("call_head_s", "call_total_s"),
            ("issuer_refresh_s", "issuer_stale_s"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not be above {high}")
        return self
