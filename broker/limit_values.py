"""The default of every limit, and what is made of limits, without a library of settings.

`broker.settings_limits` has the table with bounds and reasons; a process that nobody configures needs these alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from broker.backends import http1_types
    from protocol_versions.jsonrpc import WireLimits

KIB = 1024
MIB = 1024 * KIB
MINUTE = 60.0
HOUR = 60 * MINUTE


def wire_of(limits: Any) -> WireLimits:
    """What the strict decoder is told."""
    from protocol_versions.jsonrpc import WireLimits

    return WireLimits(
        body=limits.body_bytes,
        backend_body=limits.result_bytes,
        depth=limits.depth,
        nodes=limits.nodes,
        number=limits.number_chars,
        batch=limits.batch,
    )


def pool_of(limits: Any) -> http1_types.Limits:
    """What one backend's connection pool is told."""
    from broker.backends.http1_types import Limits as PoolLimits

    return PoolLimits(
        max_connections=limits.pool_connections,
        max_waiting=limits.pool_waiting,
        max_streams=limits.pool_streams,
        idle_expiry_s=limits.pool_idle_s,
        max_body_bytes=limits.result_bytes,
    )


class LimitValues(msgspec.Struct, frozen=True):
    """The defaults."""

    head_receipt_s: float = 10.0
    body_receipt_s: float = 20.0
    keep_alive_s: float = 75.0
    linger_s: float = 1.0
    connections: int = 10_000
    connections_per_address: int = 10_000
    callers: int = 10_000
    header_bytes: int = 16 * KIB
    header_count: int = 100
    body_bytes: int = 4 * MIB
    depth: int = 64
    nodes: int = 200_000
    number_chars: int = 64
    batch: int = 50
    connect_s: float = 10.0
    call_head_s: float = 300.0
    call_idle_s: float = 300.0
    call_total_s: float = HOUR
    start_s: float = 60.0
    get_stream_idle_s: float = HOUR
    result_bytes: int = 16 * MIB
    pool_connections: int = 4_096
    pool_streams: int = 5_000
    pool_waiting: int = 1_024
    pool_idle_s: float = 4.0
    channel_waiting_bytes: int = 16 * MIB
    session_ttl_s: float = 30 * MINUTE
    session_lifetime_s: float = 24 * HOUR
    sessions_per_principal: int = 1_000
    sessions: int = 10_000
    streams_per_session: int = 100
    calls_per_principal: int = 2_048
    streams_per_principal: int = 2_048
    held_questions: int = 32
    stream_queue_bytes: int = 64 * KIB
    pipe_unread_bytes: int = 256 * MIB
    event_store_s: float = 5 * MINUTE
    event_store_events: int = 1_000
    event_store_bytes: int = 1 * MIB
    comment_interval_s: float = 15.0
    commit_to_sse_s: float = 5.0
    drain_s: float = 8.0
    backend_sessions_per_principal: int = 32
    backend_sessions: int = 5_000
    backend_calls_per_principal: int = 512
    backend_session_idle_s: float = 300.0
    park_s: float = 600.0
    parked: int = 2_048
    parked_per_principal: int = 32
    parked_per_session: int = 8
    park_batch_s: float = 0.04
    sign_in_s: float = 300.0
    sign_in_request_s: float = 10.0
    token_bytes: int = 8 * KIB
    token_leeway_s: float = 30.0
    tokens_known: int = 4_096
    issuer_bytes: int = 256 * KIB
    issuer_answer_s: float = 5.0
    issuer_refresh_s: float = 5 * MINUTE
    issuer_retry_s: float = 30.0
    issuer_stale_s: float = 24 * HOUR
    introspection_fresh_s: float = 2.0
    introspection_refused_s: float = 2.0
    introspection_away_s: float = 60.0
    introspections: int = 32
    introspections_waiting: int = 1_024
    revocation_s: float = 2.0
    revocations: int = 100_000


DEFAULTS = LimitValues()
