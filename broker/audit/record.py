"""One call as the audit log knows it, and what is read of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from broker.audit.lines import SUCCESS, Lost
from broker.gate_edge import TARGET
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.audit.shapes import Shape


class Record(msgspec.Struct, gc=False):
    """One call. `named` is what it is about, as the request holds it; `target` reads it."""

    uid: str
    method: str
    started: float
    client_id: int | str
    peer: str = ""
    named: Any = None
    server_id: int = 0
    actor: Raw | None = None
    shape: Any = None
    texts: tuple[bytes, bytes] = (b"", b"")
    """Its id and its client's id, as they stand in a template."""
    seen: Any = None
    """What whoever measures knows of it."""
    client_revision: str = ""
    client_version: str = ""
    revision: str = ""
    held: bool = False
    admitted: bool = False
    ended: bool = False
    denied: bool = False
    cancelled: bool = False
    cause: str = ""
    """Why somebody else than its client ended it; empty if nobody did."""
    parked: bool = False
    """Whether this request takes up a call that is open, which has a record of its own."""
    requests: int = 0
    round: int = 1
    code: int | None = None
    status: int = SUCCESS
    reason: str = ""
    rule: str = ""
    executed: str = ""
    resumes: str = ""
    suspends: str = ""
    losses: list[Lost] | None = None
    left_out: int = 0
    cut: int = 0
    arguments: str | None = None

    @property
    def target(self) -> str | None:
        """The name or URI the call is about; None if it is about none, or it cannot be read."""
        value = jsonrpc.plain(self.named)
        if isinstance(value, dict):
            value = value.get("name", value.get("uri"))
        return None if value is None else str(value)

    @property
    def ordinary(self) -> Shape | None:
        """The template of its outcome, if that has nothing to say but numbers."""
        if (
            self.status != SUCCESS or self.denied or self.cancelled or self.reason or self.suspends
            or self.losses is not None or self.requests != 1 or self.executed != "yes"
        ):  # fmt: skip
            return None
        return self.shape  # type: ignore[no-any-return]


def about(record: Record, frame: Frame, log: AuditLog) -> None:
    """Note what a request is about, and read its arguments if they are wanted."""
    params: Any = frame.params
    if params is UNSET:
        return
    member = TARGET.get(record.method)
    if member is not None:
        record.named = params.get(member)
    if log.arguments_bytes:
        given = params.get("arguments")
        if given is not None:
            record.arguments, record.cut = log.redactor.text(given, log.arguments_bytes)
