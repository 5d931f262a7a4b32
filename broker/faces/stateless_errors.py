"""Errors on the modern face: the HTTP status each code is given, and which codes of a backend may be given on at all.

Follows 2026-07-28 basic/index (error codes) and basic/transports/streamable-http (statuses). Invariants: only codes
this revision defines leave in its reserved band; codes of earlier revisions never leave; an error always carries the
id of the request it answers.
"""

from __future__ import annotations

from typing import Any, Final

from broker.faces.classify import HEADER_MISMATCH, UNSUPPORTED_VERSION
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.reply import broken, reason_of
from translators.stateless_client import LOST, bad_state

MISSING_CAPABILITY: Final = -32021
RESOURCE_NOT_FOUND: Final = -32002

_STATUS: Final = {
    jsonrpc.METHOD_NOT_FOUND: 404,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
}
# One answer to every state that is not right: it must not say whether the seal or the machine behind it refused it.
_BAD_STATE: Final = bad_state(0).error.data  # type: ignore[union-attr]
_RESERVED: Final = range(-32099, -32019)
"""-32099 to -32020: "Implementations MUST NOT emit any code from this sub-range that is not defined"."""


_FAULTS: Final = frozenset((jsonrpc.INVALID_REQUEST, jsonrpc.INVALID_PARAMS, jsonrpc.METHOD_NOT_FOUND))
_LIMITS: Final = frozenset(("overloaded", LOST))


def fault_of(frame: Frame) -> str:
    """Why the broker refused what the client sent; empty for every other error."""
    reason, error = reason_of(frame), frame.error
    assert isinstance(error, jsonrpc.ErrorObject)
    return reason if error.code in _FAULTS or reason in _LIMITS else ""


def is_away(frame: Frame) -> bool:
    """True for an error that says of the backend that it cannot be had now."""
    reason = reason_of(frame)
    return reason.startswith("backend-") or reason == "overloaded"


def status_of(frame: Frame) -> int:
    """The HTTP status of an answer that is one JSON object: mandated for some errors, 200 for all else."""
    error: Any = frame.error
    if type(error) is not jsonrpc.ErrorObject:
        return 200
    if error.code == jsonrpc.INVALID_PARAMS and error.data == _BAD_STATE:
        return 400
    return _STATUS.get(error.code, 200)


def given_on(frame: Frame) -> Frame:
    """A backend's (or a hook's) error as it may leave this face; `frame.id` is still the broker's."""
    error: Any = frame.error
    code = error.code
    if code == RESOURCE_NOT_FOUND:  # renumbered; servers and rules of earlier revisions still say it
        error.code = jsonrpc.INVALID_PARAMS
    elif code == UNSUPPORTED_VERSION:  # the request named what this broker serves: its own way to the backend broke
        return broken(frame.id, "backend-revision")  # type: ignore[arg-type]
    elif code in _RESERVED and code not in (HEADER_MISMATCH, MISSING_CAPABILITY):
        reply = broken(frame.id, "backend-error-code", message="The server answered with an undefined error code")  # type: ignore[arg-type]
        assert isinstance(reply.error, jsonrpc.ErrorObject)
        data = {"origin": "broker", "reason": "backend-error-code", "legacyCode": code}
        return jsonrpc.error_response(frame.id, reply.error.code, reply.error.message, data)
    return frame
