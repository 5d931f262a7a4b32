"""One call as the audit log knows it, and what is read of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Raw

from broker.audit.lines import SUCCESS, Lost
from broker.gate_edge import TARGET, text_of
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.audit.log import AuditLog


class Record:
    """One call."""

    __slots__ = (
        "actor", "admitted", "arguments", "cancelled", "client_id", "client_revision", "client_version", "code",
        "cut", "denied", "executed", "left_out", "losses", "method", "parked", "peer", "reason", "requests",
        "resumes", "revision", "round", "rule", "server_id", "started", "status", "suspends", "target", "uid",
    )  # fmt: skip

    def __init__(self, uid: str, method: str, started: float, client_id: int | str) -> None:
        self.uid = uid
        self.method = method
        self.started = started
        self.target: str | None = None
        self.client_id = client_id
        self.server_id = 0
        self.actor: Raw | None = None
        self.peer: Raw | None = None
        self.client_revision = self.client_version = self.revision = ""
        self.admitted = self.denied = self.cancelled = False
        self.parked = False
        """Whether this request takes up a call that is open, which has a record of its own."""
        self.requests = 0
        self.round = 1
        self.code: int | None = None
        self.status = SUCCESS
        self.reason = self.rule = self.executed = self.resumes = self.suspends = ""
        self.losses: list[Lost] = []
        self.left_out = self.cut = 0
        self.arguments: str | None = None


def about(record: Record, frame: Frame, log: AuditLog) -> None:
    """Read what a request is about, and its arguments if they are wanted."""
    params: Any = frame.params
    if params is UNSET:
        return
    member = TARGET.get(record.method)
    if member is not None and member in params:
        record.target = text_of(frame, member)
    if log.arguments_bytes:
        given = params.get("arguments")
        if given is not None:
            record.arguments, record.cut = log.redactor.text(given, log.arguments_bytes)


def plain(value: Any) -> Any:
    """The value itself, read if it is still bytes; None for one that cannot be read."""
    if type(value) is not Raw:
        return value
    try:
        return jsonrpc.open_value(value)
    except jsonrpc.Refused:
        return None
