"""The metrics, by name. Invariant: what is exposed is in this table, and the other way about (a test compares them)."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Metric(NamedTuple):
    """One family. `kind` as Prometheus knows it; histograms are in seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    labels: tuple[str, ...]
    text: str
    bounds: tuple[float, ...] = ()


LONG: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Bounds in seconds that the semantic conventions of MCP ask for."""

SHORT: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
"""Bounds in seconds for what the broker itself takes."""

GAPS: Final = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 1800.0)
"""Bounds in seconds between two messages of one stream."""

_PAIR: Final = ("client_revision", "server_revision")
_CALL: Final = ("server", "mcp_method_name", "gen_ai_tool_name", "error_type", "mcp_protocol_version")

SERVER_DURATION: Final = Metric(
    "mcp_server_operation_duration_seconds",
    "histogram",
    (*_CALL, "dragoman_server_protocol_version", "network_transport"),
    "From a client's request to its answer, over all rounds that were needed for it on one stream. "
    "`mcp_protocol_version` is the client's revision.",
    LONG,
)
CLIENT_DURATION: Final = Metric(
    "mcp_client_operation_duration_seconds",
    "histogram",
    (*_CALL, "dragoman_client_protocol_version", "network_transport"),
    "From a request that was sent to a server to its answer. `mcp_protocol_version` is the server's revision.",
    LONG,
)
SESSION_DURATION: Final = Metric(
    "mcp_server_session_duration_seconds",
    "histogram",
    ("server", "mcp_protocol_version", "reason"),
    "How long sessions of clients over Streamable HTTP lasted, and why they ended.",
    LONG,
)
CALLS: Final = Metric(
    "dragoman_calls_total",
    "counter",
    ("server", "method", *_PAIR, "outcome", "reason"),
    "Requests of clients that ended. `outcome`: ok, error, denied, cancelled, suspended (its client was asked "
    "something), resumed (it took up a call that is counted itself).",
)
RESENT: Final = Metric(
    "dragoman_requests_total",
    "counter",
    ("server", "method", *_PAIR),
    "Requests sent to servers for calls; more than calls where questions were answered, or a call went again.",
)
EVENT_DURATION: Final = Metric(
    "dragoman_stream_event_duration_seconds",
    "histogram",
    ("server", *_PAIR, "way"),
    "From a message of a server that is no answer to its being queued for the client, policy not included. `way`: "
    "call, or standing for the stream that belongs to none.",
    SHORT,
)
EVENT_GAP: Final = Metric(
    "dragoman_stream_gap_seconds",
    "histogram",
    ("server", *_PAIR, "way"),
    "Between two messages of a server on one stream.",
    GAPS,
)

HISTOGRAMS: Final = (SERVER_DURATION, CLIENT_DURATION, SESSION_DURATION, EVENT_DURATION, EVENT_GAP)
COUNTERS: Final = (CALLS, RESENT)

LOSSES: Final = Metric(
    "dragoman_losses_total",
    "counter",
    ("pair", "method", "path", "change", "loss"),
    "What translations lost, by the Change that lost it. `pair` is CLIENT/SERVER.",
)
NOTES: Final = Metric(
    "dragoman_notes_total",
    "counter",
    ("kind", "server", "method", "reason"),
    "Refusals, failures, drops, violations and what else operators are told, by its kind.",
)
INFO: Final = Metric("dragoman_build_info", "info", ("version",), "Which version runs; always 1.")
UPTIME: Final = Metric("dragoman_uptime_seconds", "gauge", (), "Since the broker began to listen.")
ACCEPTING: Final = Metric("dragoman_accepting", "gauge", (), "1 while new calls are accepted, 0 while the broker ends.")
ERA: Final = Metric(
    "dragoman_server_era", "gauge", ("server", "era"), "1 for the era a server was found to be of; unknown before."
)
SESSIONS: Final = Metric("dragoman_sessions", "gauge", ("server",), "Open sessions of clients.")
BACKEND_SESSIONS: Final = Metric(
    "dragoman_server_sessions", "gauge", ("server",), "Sessions at the server that are kept for clients without any."
)
OPEN: Final = Metric("dragoman_open_calls", "gauge", ("server",), "Calls that are being answered.")
PARKED: Final = Metric(
    "dragoman_parked_calls", "gauge", ("server",), "Calls that wait for what a client without a session answers."
)
STREAMS: Final = Metric(
    "dragoman_open_streams",
    "gauge",
    ("server",),
    "Event streams to clients that somebody reads, of calls and standing.",
)
CONNECTIONS: Final = Metric(
    "dragoman_pool_connections", "gauge", ("server",), "Connections to the server, idle ones included."
)
WAITING: Final = Metric("dragoman_pool_waiting", "gauge", ("server",), "Requests that wait for a connection.")
PROCESSES: Final = Metric(
    "dragoman_server_processes", "gauge", ("server",), "Of a command: how many of it run, one for each session."
)
PROGRESS: Final = Metric(
    "dragoman_progress_ratio",
    "gauge",
    ("server",),
    "Of the open calls that report progress and its total, how far the least advanced one is, 0 to 1.",
)
FAILED: Final = Metric(
    "dragoman_last_failure_age_seconds", "gauge", ("server",), "Since a call last failed; absent if none did."
)
FOLDED: Final = Metric(
    "dragoman_folded_series",
    "gauge",
    ("metric",),
    "Sets of labels that were counted as `other`, because there were too many.",
)

METRICS: Final = (
    *HISTOGRAMS, *COUNTERS, LOSSES, NOTES, INFO, UPTIME, ACCEPTING, ERA, SESSIONS, BACKEND_SESSIONS, OPEN, PARKED,
    STREAMS, CONNECTIONS, WAITING, PROCESSES, PROGRESS, FAILED, FOLDED,
)  # fmt: skip
