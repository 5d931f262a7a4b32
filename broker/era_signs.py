"""What a backend's answers say about its era: sessions (to 2025-11-25), or stateless requests (2026-07-28 on).

Follows 2026-07-28 basic/versioning (backward compatibility) and basic/transports/streamable-http (the same). Pure: the
decisions alone; `era` keeps them and `era_probe` asks. Invariant: a refusal that any intermediary could have written
decides nothing about the server behind it, and a working request proves nothing either, only a discovery does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw

from broker import sse
from broker.backends.http1_types import BackendFailure
from protocol_versions import REVISIONS, jsonrpc
from protocol_versions.jsonrpc import Frame

Kind = Literal["modern", "legacy", "retry", "fail", "auth", "inconclusive"]
Face = Literal["modern", "legacy"]

MODERN: Final = tuple(revision.id for revision in REVISIONS if not revision.traits.sessions)
"""Stateless revisions this broker speaks, oldest first."""

LEGACY: Final = tuple(revision.id for revision in REVISIONS if revision.traits.sessions)

NO_POST: Final = "no-post"
"""The reason of a verdict on an address that takes no POST."""

HEADER_MISMATCH, CAPABILITY_MISSING, VERSION_UNSUPPORTED = -32020, -32021, -32022
METHOD_NOT_FOUND, INVALID_REQUEST = -32601, -32600
SERVER_ERROR = -32000
"""What SDK servers say of an HTTP request that they refuse before they look for a method."""

MAX_STYLE_BYTES: Final = 64 * 1024
"""Content that is searched for a sentence of an SDK; a result that carries data is not one of these failures."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one probe says.

    `modern`: `revision` is what both speak, `discovery` the result (None when -32021 said so). `legacy`: it speaks
    sessions; with `candidate`, only a successful `initialize` will tell. `retry`: ask once more, in `revision`. `fail`:
    no revision in common, or something between spoils every request. `auth`: credentials first. `inconclusive`: it
    says nothing, whatever was believed before still holds. `reason` is a slug for the operator.
    """

    kind: Kind
    reason: str
    revision: str = ""
    candidate: bool = False
    discovery: dict[str, Raw] | None = None


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """The verdict of one answer to `server/discover`. Names in `headers` are lower case; `body` is JSON or events."""
    if status in (401, 402, 403):
        return Verdict(kind="auth", reason="unauthorized")
    if 300 <= status < 400:
        return Verdict(kind="fail", reason="redirect")
    if speaks_for_no_server(status):
        return Verdict(kind="inconclusive", reason="unavailable")
    frame = _answer(headers, body)
    if frame is None:
        return Verdict(kind="legacy", reason=NO_POST if status in (404, 405) else "no-answer", candidate=True)
    if frame.error is not UNSET:
        return _refused(frame.error, status)
    versions = _versions((frame.result or {}).get("supportedVersions"))
    if status != 200 or not versions:
        return Verdict(kind="legacy", reason="no-discovery", candidate=True)
    found = _shared(versions, "discovered")
    return msgspec.structs.replace(found, kind="modern", discovery=frame.result) if found.kind == "retry" else found


def speaks_for_no_server(status: int) -> bool:
    """Whether a status may be an intermediary's, or a server's that is not up yet, and is forgotten with the next."""
    return status in (401, 402, 403, 408, 425, 429) or (status >= 500 and status != 501)


def unanswered(failure: BackendFailure) -> Verdict:
    """The verdict of a probe that got no answer: none, since the server may just be away, or wants a person first."""
    if failure.reason in ("sign-in", "credential"):
        return Verdict(kind="auth", reason=failure.reason)
    return Verdict(kind="inconclusive", reason=failure.reason)


def _refused(error: jsonrpc.ErrorObject, status: int) -> Verdict:
    if error.code == CAPABILITY_MISSING:
        return Verdict(kind="modern", reason="capability-missing", revision=MODERN[-1])
    if error.code == HEADER_MISMATCH:
        # We sent them all: something between takes headers away, and would do so to every call.
        return Verdict(kind="fail", reason="headers-stripped")
    if error.code == VERSION_UNSUPPORTED and error.data is not UNSET:
        data = jsonrpc.plain(error.data)
        versions = _versions(data.get("supported")) if isinstance(data, dict) else []
        if versions:
            return _shared(versions, "version-unsupported")
    no_post = status == 405 or (status == 404 and error.code == SERVER_ERROR)
    return Verdict(kind="legacy", reason=NO_POST if no_post else "refused", candidate=True)


def _shared(versions: Sequence[str], reason: str) -> Verdict:
    """What a server's list of versions leaves: a stateless one in common, sessions, or nothing."""
    mutual = [revision for revision in MODERN if revision in versions]
    if mutual:
        return Verdict(kind="retry", reason=reason, revision=mutual[-1])
    if any(revision in LEGACY for revision in versions):
        return Verdict(kind="legacy", reason=reason)
    return Verdict(kind="fail", reason="no-common-version")


def _versions(raw: Any) -> list[str]:
    value = jsonrpc.plain(raw)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _answer(headers: Mapping[str, str], body: bytes) -> Frame | None:
    """The response in a body, matched by its exchange: legacy servers answer with `null` or "server-error" as id."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream":
        try:
            events = sse.Parser().feed(body)
        except sse.TooLarge as error:
            events = error.events
        return next((frame for event in events if (frame := answer_in(event)) is not None), None)
    return _response(body)


def answer_in(event: sse.Event) -> Frame | None:
    """The response an event carries, if it carries one."""
    return _response(event.data) if event.name == "message" and event.data else None


def _response(body: bytes) -> Frame | None:
    try:
        frame = jsonrpc.decode_backend(body)
    except jsonrpc.Refused:
        return None
    return frame if frame.method is UNSET else None


_SESSION_TEXT: Final = re.compile(
    r"(missing|no|invalid|unknown|no valid|bad|expired) (mcp[- ])?session"
    r"|session( id)? (not found|is required|required|missing)|not initialized|initialization request",
    re.IGNORECASE,
)
_VERSION_TEXT: Final = re.compile(r"(unsupported|invalid|bad|unknown) (mcp[- ])?protocol[- ]version", re.IGNORECASE)


def evidence(status: int, code: int | None, text: str, *, face: Face = "modern", method: str = "") -> bool:
    """Whether a later refusal contradicts the face that was used, so that a new probe is due.

    `code` is that of the JSON-RPC error, None if there was none; `text` is its message, or the start of the body. What
    takes more than one answer (sessions lost again and again, another `serverInfo.version`) is the caller's to count.
    """
    if face == "legacy":
        if code in (HEADER_MISMATCH, CAPABILITY_MISSING, VERSION_UNSUPPORTED):
            return True
        return method == "initialize" and (code == METHOD_NOT_FOUND or (code is None and status in (404, 405)))
    if code is None:
        return status in (400, 404, 405)
    if code == METHOD_NOT_FOUND:
        return method == "server/discover"
    return status in (400, 404) and _SESSION_TEXT.search(text) is not None


def lacks_result_type(result: Mapping[str, Any]) -> bool:
    """Whether a result is none of a stateless server: it MUST name its `resultType`."""
    return "resultType" not in result


def undispatched(status: int, code: int | None, text: str, *, foreign_id: bool = False) -> bool:
    """Whether a refusal proves that no handler ran, so that the call may be sent once more, in the other era.

    Handlers themselves answer -32600, -32602, -32603 and -32021, after any amount of work.
    """
    if code is None:
        return status in (404, 405, 406, 415)
    if code in (METHOD_NOT_FOUND, HEADER_MISMATCH, VERSION_UNSUPPORTED):
        return True
    if status != 400:
        return False
    return foreign_id or _SESSION_TEXT.search(text) is not None or _VERSION_TEXT.search(text) is not None


_PUSH: Final = re.compile(
    r"no back-channel|Server-to-client requests are not available on protocol revision", re.IGNORECASE
)
_MRTR: Final = re.compile(r"client\b.{0,200}\bdid not declare the required", re.IGNORECASE | re.DOTALL)


def style_of(frame: Frame, face: Face, *, sessionless: bool = False) -> Literal["push", "mrtr"] | None:
    """How a tool of a server with both faces wants to ask its client, if this response gives it away.

    `push`: it pushes requests, and failed on the modern face. `mrtr`: it answers with input requests, and failed on a
    legacy face without sessions. Only the next call may go elsewhere: this one has run.
    """
    if frame.error is not UNSET:
        if face == "modern" and frame.error.code != INVALID_REQUEST:
            return None
        text = frame.error.message
    elif frame.result is not UNSET and jsonrpc.plain(frame.result.get("isError")) is True:
        content = frame.result.get("content")
        if content is None or len(bytes(content)) > MAX_STYLE_BYTES:
            return None
        blocks = jsonrpc.plain(content)
        texts = [block.get("text") for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
        text = "\n".join(text for text in texts if isinstance(text, str))
    else:
        return None
    if face == "modern":
        return "push" if _PUSH.search(text) else None
    return "mrtr" if sessionless and _MRTR.search(text) else None
