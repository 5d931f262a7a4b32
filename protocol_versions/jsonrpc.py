"""Reading JSON-RPC 2.0: one scan splits a message into its members, whose values stay bytes.

Follows the base protocol page of every revision and JSON-RPC 2.0. Invariants: a client's body was scanned
whole before any part of it is believed; ids keep their type and their digits; extra top-level members are
dropped; a message is classified by all of its members, never by the first one seen.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from protocol_versions.frames import (
    ErrorObject,
    Frame,
    Id,
    Kind,
    encode,
    encode_batch,
    error_response,
    notification,
    request,
    response,
)
from protocol_versions.strict import (
    DEFAULT_LIMITS,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Refused,
    WireLimits,
    check_utf8,
    first_byte,
    load,
)

__all__ = [
    "DEFAULT_LIMITS",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "ErrorObject",
    "Frame",
    "Id",
    "Kind",
    "Refused",
    "WireLimits",
    "decode_backend",
    "decode_strict",
    "encode",
    "encode_batch",
    "error_response",
    "notification",
    "open_value",
    "request",
    "response",
]

# Ids and error codes that every peer's integers hold; also the range in which digits survive unchanged.
_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1


class _Envelope(msgspec.Struct):
    """What a peer may write: as Frame, with the nulls that some peers put where a member is absent."""

    jsonrpc: Literal["2.0"]
    id: int | str | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: dict[str, Raw] | UnsetType | None = UNSET
    result: dict[str, Raw] | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


class _BackendEnvelope(msgspec.Struct):
    """As _Envelope; a null `result` beside an error, or `error` beside a result, counts as absent."""

    jsonrpc: Literal["2.0"]
    id: int | str | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: dict[str, Raw] | UnsetType | None = UNSET
    result: dict[str, Raw] | UnsetType | None = UNSET
    error: ErrorObject | UnsetType | None = UNSET


_read: Final = msgspec.json.Decoder(_Envelope).decode
_read_backend: Final = msgspec.json.Decoder(_BackendEnvelope).decode
_read_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_read_elements: Final = msgspec.json.Decoder(list[Raw]).decode
_read_any: Final = msgspec.json.Decoder().decode
_CONTROL: Final = frozenset(map(chr, range(0x20)))
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)


def decode_strict(body: bytes, limits: WireLimits = DEFAULT_LIMITS) -> Frame | list[Frame | Refused]:
    """A client's body: one Frame, or for a JSON array one Frame or Refused per element.

    Raises:
        Refused: the body as a whole is not accepted.
    """
    tree = load(body, limits)
    escaped = b"\\" in body
    if type(tree) is not list:
        return _frame(tree, body, escaped, limits)
    if not tree:
        raise Refused("empty-batch")
    if len(tree) > limits.batch:
        raise Refused("long-batch")
    texts = _read_elements(body)
    return [_element(part, text, escaped, limits) for part, text in zip(tree, texts, strict=True)]


def _element(tree: Any, text: Raw, escaped: bool, limits: WireLimits) -> Frame | Refused:
    try:
        return _frame(tree, text, escaped, limits)
    except Refused as refused:
        return refused


def _frame(tree: Any, text: bytes | Raw, escaped: bool, limits: WireLimits) -> Frame:
    """The frame of one scanned message: `tree` and `text` are the same document."""
    if type(tree) is not dict:
        raise Refused("not-object")
    if escaped:  # JSON spells a control character only with an escape
        _check_keys(tree)
    try:
        read = _read(text)
    except msgspec.ValidationError:
        raise _diagnosis(tree, limits) from None
    method, result, error, ident = read.method, read.result, read.error, read.id
    params = UNSET if read.params is None else read.params
    if method is not UNSET and result is UNSET and error is UNSET:
        if type(ident) is int and _MIN_INT <= ident <= _MAX_INT:
            return Frame(ident, method, params)
        if ident is None or not _valid_id(ident, limits):
            raise Refused("bad-id")
        return Frame(ident, method, params)
    if method is not UNSET or (result is UNSET) == (error is UNSET):
        raise _diagnosis(tree, limits)
    if error is not UNSET and ident is None:
        ident = UNSET  # JSON-RPC 2.0 section 5: "null" if the id could not be detected
    if ident is None or not _valid_id(ident, limits) or (ident is UNSET and error is UNSET):
        raise Refused("bad-id")
    if error is not UNSET and not _MIN_INT <= error.code <= _MAX_INT:
        raise Refused("bad-error", _readable_id(tree, limits))
    return Frame(ident, UNSET, UNSET, result, error)


def _check_keys(tree: dict[str, Any]) -> None:
    """Refuses control characters in protocol-level names: a peer that reads C strings sees another name."""
    for key, value in tree.items():
        if not _CONTROL.isdisjoint(key):
            raise Refused("control-in-key")
        if type(value) is dict and not all(map(_CONTROL.isdisjoint, value)):
            raise Refused("control-in-key")


def _valid_id(ident: Id | UnsetType, limits: WireLimits) -> bool:
    if isinstance(ident, str):
        return len(ident) <= limits.id_text
    return ident is UNSET or _MIN_INT <= ident <= _MAX_INT


def _readable_id(tree: dict[str, Any], limits: WireLimits) -> Id | None:
    ident = tree.get("id")
    if type(ident) is str or type(ident) is int:
        return ident if _valid_id(ident, limits) else None
    return None


def _diagnosis(tree: dict[str, Any], limits: WireLimits) -> Refused:
    """Why this message is refused; the envelope's faults come before those of its parts."""
    ident = _readable_id(tree, limits)
    if tree.get("jsonrpc") != "2.0":
        return Refused("bad-version", ident)
    if tree.get("id") is not None and ident is None:
        return Refused("bad-id")
    kinds = [name for name in ("method", "result", "error") if name in tree]
    if len(kinds) != 1:
        return Refused("ambiguous" if kinds else "no-kind", ident)
    if kinds == ["method"] and type(tree["method"]) is str:
        return Refused("bad-params", ident)
    return Refused(f"bad-{kinds[0]}", ident)


def decode_backend(body: bytes, limits: WireLimits = DEFAULT_LIMITS) -> Frame:
    """A backend's message: size and UTF-8 of the whole body, shape of the envelope; values stay as they came.

    Values that are judged or changed go through `open_value`, which applies the remaining limits.

    Raises:
        Refused: no message can be read from the body.
    """
    if len(body) > limits.backend_body:
        raise Refused("too-large")
    check_utf8(body)
    try:
        read = _read_backend(body)
    except msgspec.ValidationError:
        raise _backend_diagnosis(body, limits) from None
    except RecursionError:
        raise Refused("too-deep") from None
    except _UNREADABLE:
        raise Refused("not-json") from None
    if (
        type(read.result) is dict
        and type(read.id) is int
        and _MIN_INT <= read.id <= _MAX_INT
        and read.method is UNSET
        and read.error is UNSET
    ):  # nearly every message of a backend: the answer to a request whose id is ours
        return Frame(read.id, UNSET, UNSET, read.result)
    method, ident = read.method, UNSET if read.id is None else read.id
    result = UNSET if read.result is None else read.result
    error = UNSET if read.error is None else read.error
    if (method is not UNSET) + (result is not UNSET) + (error is not UNSET) != 1:
        raise _backend_diagnosis(body, limits)
    if not _valid_id(ident, limits) or not _may_lack_id(ident, read):
        raise Refused("bad-id")
    if error is not UNSET and not _MIN_INT <= error.code <= _MAX_INT:
        raise Refused("bad-error", None if ident is UNSET else ident)
    params = UNSET if read.params is None or method is UNSET else read.params
    return Frame(ident, method, params, result, error)


def _may_lack_id(ident: Id | UnsetType, read: _BackendEnvelope) -> bool:
    """False if an id is missing: a null one is accepted of an error alone, an absent one of no result."""
    if ident is not UNSET or (read.error is not None and read.error is not UNSET):
        return True
    return read.id is UNSET and read.method is not UNSET


def _backend_diagnosis(body: bytes, limits: WireLimits) -> Refused:
    """As _diagnosis, but only the members it looks at are opened, and only if they are small."""
    try:
        members = _read_members(body)
    except msgspec.ValidationError:
        return Refused("no-batch" if first_byte(body) == b"[" else "not-object")
    except RecursionError:
        return Refused("too-deep")
    except _UNREADABLE:
        return Refused("not-json")
    seen: dict[str, Any] = {}
    for name in ("jsonrpc", "id", "method", "result", "error"):
        raw = members.get(name)
        if raw is not None:
            seen[name] = _small(raw, limits)
    for name in ("result", "error"):
        if name in seen and seen[name] is None and len(seen.keys() & {"method", "result", "error"}) > 1:
            del seen[name]
    return _diagnosis(seen, limits)


def _small(raw: Raw, limits: WireLimits) -> Any:
    """A scalar member's value; containers and long texts count as an object that is neither id nor name."""
    text = bytes(raw)
    if text[:1] in (b"{", b"[") or len(text) > 8 * limits.id_text:
        return {}
    try:
        return _read_any(text) if text[:1] == b'"' or len(text) <= limits.number else {}
    except _UNREADABLE:
        return {}


def open_value(raw: Raw | bytes, limits: WireLimits = DEFAULT_LIMITS) -> Any:
    """The tree of one value that will be judged or changed, read as strictly as a client's body.

    Raises:
        Refused: the value holds a duplicate member, or breaks a limit.
    """
    return load(bytes(raw), limits, limits.backend_body)


def plain(value: Any) -> Any:
    """A value itself, opened if it is still bytes; None for one that cannot be read."""
    if type(value) is not Raw:
        return value
    try:
        return open_value(value)
    except Refused:
        return None
