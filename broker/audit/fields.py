"""What the members of an audit line mean: the one table the reference page is made from.

Invariant: a line has no member that is not listed here (a test reads real lines against this table).
"""

from __future__ import annotations

from typing import Final

EVENTS: Final = {
    "started": "A process begins to write: which one, and the head of the lines before it.",
    "stopped": "It ended in good order; every call before has its outcome.",
    "rotated": "First line of a new file: the file before it, its head, and the calls that are still open.",
    "admitted": "A call passed policy and is about to be sent to the server; written before a byte of it is.",
    "outcome": "How an admitted call ended; one for each `admitted`, unless the process was killed.",
    "lost": "An earlier process was killed before it knew how this admitted call ended.",
    "denied": "A request was refused and nothing of it reached a server: by policy, at the door, or as malformed.",
    "resumed": "A request brought what an open call waits for (`resumes`); that call has a pair of lines.",
    "unsent": "A call ended before it was sent: its client had left, or no server could be reached.",
    "answered": "The broker answered a request itself, from what it knows; no server was asked.",
    "asked": "A server asks the client something (`api.operation`): of a URL to open, the name is where it leads.",
    "replied": "The client answered such a question; `status_detail` is decline, cancel or other if it did not accept.",
    "degraded": "A translation lost something in a message that belongs to no call.",
    "dropped": "A message that is no call was not passed on: its writer may not send it, or nobody can take it.",
    "suppressed": "So many of those or refusals came at once that these were counted instead of written one by one.",
    "gap": "A sink failed for longer than lines could be kept for it: how many are missing before this one.",
}
"""`metadata.event_code` -> what happened."""

FIELDS: Final = {
    "time": "Wall clock, milliseconds since the epoch (UTC). It may step back; `metadata.sequence` does not.",
    "category_uid": "6: Application Activity.",
    "class_uid": "6003: API Activity.",
    "activity_id": "1 create, 2 read, 3 update, 4 delete, 99 other; a tool call is 99, whatever its server says of it.",
    "type_uid": "class_uid * 100 + activity_id.",
    "severity_id": "1 informational, 2 low (denied, degraded), 3 medium (lost, gap).",
    "status_id": "0 not known yet (admitted), 1 success, 2 failure, 99 other (cancelled, lost).",
    "status_code": "The JSON-RPC error code of the answer, or the HTTP status of a refusal at the door.",
    "status_detail": "Why: a slug of the broker. `tool-error` is a result with isError, `error` one of the server.",
    "action_id": "1 allowed, 2 denied, 99 neither.",
    "duration": "Milliseconds from the request to its outcome.",
    "metadata.version": "Version of the schema (OCSF).",
    "metadata.profiles": "`security_control`: action_id is there.",
    "metadata.product.name": "`dragoman`.",
    "metadata.product.vendor_name": "`dragoman`.",
    "metadata.product.version": "Version of the broker.",
    "metadata.event_code": "What happened, see the table of events.",
    "metadata.sequence": "Number of the line in its process, from 1 without a gap.",
    "metadata.uid": "The line's own id: PROCESS-SEQUENCE.",
    "metadata.correlation_uid": "The broker's id of the call, PROCESS.NUMBER; the same in all lines of the call.",
    "actor.user.uid": "The caller, as the broker verified it: `key:NAME`, `local`, `anonymous`.",
    "actor.user.type": "How it was verified: key, token, certificate, local, anonymous, shared.",
    "actor.user.name": "What the client says its own name is. Not verified.",
    "actor.session.uid": "Digest of the session id. Equal for equal sessions, and of no use to open one.",
    "api.operation": "The method; of a line that is about none, its event.",
    "api.service.name": "The server, as the configuration names it.",
    "api.version": "The revision spoken with the server.",
    "api.request.uid": "The client's own JSON-RPC id.",
    "api.response.code": "The JSON-RPC error code of the answer.",
    "resources[].name": "What the call is about: the name of a tool or prompt, or a URI.",
    "resources[].type": "tool, prompt, resource or reference.",
    "src_endpoint.ip": "Address of the client that sent the request, or that opened its session. Absent on a pipe.",
    "http_request.http_method": "The HTTP method, for refusals at the door.",
    "unmapped.client_revision": "The revision spoken with the client.",
    "unmapped.client_version": "What the client says its own version is. Not verified.",
    "unmapped.server_request_id": "The JSON-RPC id the server saw.",
    "unmapped.decision": "allow or deny.",
    "unmapped.rule": "Which rule decided: the reason a policy gave; absent where none applied.",
    "unmapped.round": "Which request of its call this is, above 1; retries that answer what the server asked.",
    "unmapped.requests": "How many requests the server saw for this one call, if more than one.",
    "unmapped.resumes": "Digest of the requestState the client brought; see `suspends`.",
    "unmapped.suspends": "Digest of the requestState this answer gave; the line that continues has it as `resumes`.",
    "unmapped.executed": "no: the server saw nothing of it; yes: it answered; unknown: it may have run.",
    "unmapped.latency_us": "Microseconds from the request to its outcome.",
    "unmapped.clock_us": "Monotonic clock of the process in microseconds, for order where the wall clock steps.",
    "unmapped.arguments": "The arguments, if the configuration asks for them: redacted, cut to `arguments_bytes`.",
    "unmapped.arguments_cut": "How many bytes of the arguments were left out.",
    "unmapped.losses[].change": "Which Change of a translation acted.",
    "unmapped.losses[].path": "Where in the message.",
    "unmapped.losses[].loss": "What kind of loss: cosmetic, carried, stashed, degraded.",
    "unmapped.losses_left_out": "How many losses more there were.",
    "unmapped.process": "The process that begins, ends, or was killed.",
    "unmapped.fsync": "When lines are forced to the disk: off, interval, each.",
    "unmapped.file": "The file a new file follows.",
    "unmapped.head": "The hash of the last line before this process, or before this file.",
    "unmapped.torn_bytes": "Bytes of a last line that was not written whole, put aside.",
    "unmapped.torn_sha256": "SHA-256 of those bytes.",
    "unmapped.open": "Ids of the calls that were open when the file was begun.",
    "unmapped.scanned_all": "False: the last file was longer than what is scanned for calls without an outcome.",
    "unmapped.count": "How many refusals were not written, or lines are missing.",
    "unmapped.sink": "The sink that missed them.",
    "unmapped.after": "The hash of the last line that sink has.",
    "unmapped.prev": "The hash of the line before this one.",
    "unmapped.hash": "SHA-256 of this line without this member. `dragoman audit verify` recomputes it.",
}
"""Path of a member -> what it holds."""


def reference() -> str:
    """The reference page, as Markdown."""
    head = (
        "# Audit lines\n\n"
        "One JSON object a line, printable ASCII alone, in the API Activity class (6003) of the Open Cybersecurity\n"
        "Schema Framework; what that class has no place for is under `unmapped`. Printed by `dragoman audit fields`.\n"
    )
    parts = [head, "## Events (`metadata.event_code`)\n", _table(EVENTS), "## Members\n", _table(FIELDS)]
    return "\n".join(parts)


def _table(rows: dict[str, str]) -> str:
    lines = [f"| `{name}` | {text} |" for name, text in rows.items()]
    return "\n".join(["| name | meaning |", "|---|---|", *lines, ""])
