"""Frames the broker makes itself: answers and errors with frozen texts, never quoting a peer."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.errors import INTERNAL_ERROR, Refused

PeerId = int | str

_encode = msgspec.json.encode


def broken(frame_id: PeerId, reason: str, *, code: int = INTERNAL_ERROR, message: str = "") -> Frame:
    """An error the broker made: `data` says so, so that nobody takes it for the peer's."""
    data = msgspec.Raw(_encode({"origin": "broker", "reason": reason}))
    return Frame(id=frame_id, error=ErrorObject(code=code, message=message or TEXTS.get(reason, reason), data=data))


def reason_of(frame: Frame) -> str:
    """Why the broker made this error; empty for an error of a peer, and for anything else."""
    if type(frame.error) is not ErrorObject or frame.error.data is UNSET:
        return ""
    try:
        data = tree.deep(frame.error.data)
    except (msgspec.MsgspecError, RecursionError):
        return ""
    if not isinstance(data, dict) or data.get("origin") != "broker":
        return ""
    reason = data.get("reason")
    return reason if isinstance(reason, str) else ""


def refused(frame_id: PeerId, refusal: Refused) -> Frame:
    """The error a gate or operation declared."""
    data = {"origin": "broker", "reason": refusal.reason, **(refusal.data or {})}
    error = ErrorObject(code=refusal.code, message=refusal.message, data=msgspec.Raw(_encode(data)))
    return Frame(id=frame_id, error=error)


def answered(frame_id: PeerId, result: dict[str, Any]) -> Frame:
    """A result the broker gives on a peer's behalf."""
    return Frame(id=frame_id, result=result)


def notify(method: str, params: dict[str, Any] | msgspec.UnsetType = UNSET) -> Frame:
    """A notification the broker sends of its own accord."""
    return Frame(method=method, params=params)


TEXTS = {
    "not-followed": "The server does not report changes of this resource",
    "too-many-inputs": "The server asked too many questions at once",
    "unknown-input-method": "The server asked a question that does not exist",
    "bad-input-requests": "The server's questions are not valid MCP",
    "empty-input-required": "The server asked for input without saying which",
    "bad-request-state": "The server's request state cannot be carried",
    "input-not-allowed": "The server asked for input where none can be asked",
    "too-many-rounds": "The server asked for input too many times",
    "unsupported-result-type": "The server's answer is of a kind this client cannot be given",
    "internal": "Internal error",
    "duplicate-id": "Invalid Request: a request with this id is still open",
    "method-unknown": "Method not found",
    "not-initialized": "Invalid Request: the session is not initialized",
    "already-initialized": "Invalid Request: the session is already initialized",
    "cancelled": "The request was cancelled",
    "session-ended": "The session has ended",
    "revoked": "The credential of this call was revoked; the call may have taken effect",
    "unchecked": "The credential of this call could not be checked any more; the call may have taken effect",
    "expired": "The credential of this call has expired; the call may have taken effect",
    "cursor-expired": "Invalid params: the cursor is not valid any more",
    "shutdown": "The broker is shutting down",
    "unsolicited": "No request of the client is in progress that this could be asked for",
    "backend-revision": "The server answered with a protocol revision this broker does not speak",
    "backend-connect": "The server could not be reached",
    "backend-timeout": "The server did not answer in time",
    "backend-closed": "The server closed the connection before it answered",
    "backend-garbage": "The server's answer is not valid MCP",
    "backend-status": "The server answered with an HTTP error",
    "backend-session-lost": "The server lost its session and it could not be opened again",
    "backend-unauthorized": "The server refused the broker's credentials",
    "backend-credential": "The broker has no credential for the server now; the request was not sent",
    "backend-sign-in": "The server wants a person to sign in: run `dragoman login` with its address, then try again",
    "too-large": "The server's answer is too large",
    "overloaded": "Too many open requests",
    "not-declared": "The client did not declare this capability",
    "client-garbage": "Invalid params: the message is not valid in the negotiated revision",
    "no-stream": "The client has no stream to receive this request",
}
