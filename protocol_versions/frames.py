"""The JSON-RPC 2.0 message as the broker holds it, and how it is written.

Invariant: the envelope that is sent is always ours, `jsonrpc` first; the values in it are bytes that were
scanned, or that travel unopened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

Id = int | str
Kind = Literal["request", "notification", "response", "error"]

_write: Final = msgspec.json.Encoder().encode


class ErrorObject(msgspec.Struct):
    """The `error` member; `data` stays bytes."""

    code: int
    message: str
    data: Raw | UnsetType = UNSET


class Frame(msgspec.Struct, tag_field="jsonrpc", tag="2.0"):
    """One JSON-RPC message. Raw values point into the body they came from: copy() those that outlive it.

    An error without `id` answers a request whose id its sender could not read.
    """

    id: int | str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: dict[str, Raw] | UnsetType = UNSET
    result: dict[str, Raw] | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET

    @property
    def kind(self) -> Kind:
        """What the message is; exactly one of method, result and error is present."""
        if self.method is not UNSET:
            return "notification" if self.id is UNSET else "request"
        return "response" if self.result is not UNSET else "error"


def encode(frame: Frame) -> bytes:
    """The compact text of one message, `jsonrpc` first."""
    return _write(frame)


def encode_batch(frames: list[Frame]) -> bytes:
    """The compact text of a 2025-03-26 batch."""
    return _write(frames)


def request(id: Id, method: str, params: Mapping[str, Any] | UnsetType = UNSET) -> Frame:  # noqa: A002
    """A request; values that are not yet bytes are encoded."""
    return Frame(id, method, _raw_members(params))


def notification(method: str, params: Mapping[str, Any] | UnsetType = UNSET) -> Frame:
    """A notification; values that are not yet bytes are encoded."""
    return Frame(UNSET, method, _raw_members(params))


def response(id: Id, result: Mapping[str, Any]) -> Frame:  # noqa: A002
    """A successful answer; values that are not yet bytes are encoded."""
    return Frame(id, UNSET, UNSET, _raw_members(result))


def error_response(id: Id | UnsetType, code: int, message: str, data: Any = UNSET) -> Frame:  # noqa: A002
    """An error answer; UNSET as id answers a request whose id could not be read, and writes no `id`."""
    raw = data if data is UNSET or type(data) is Raw else Raw(_write(data))
    return Frame(id, UNSET, UNSET, UNSET, ErrorObject(code, message, raw))


def _raw_members(members: Mapping[str, Any] | UnsetType) -> Any:
    if members is UNSET:
        return UNSET
    return {key: value if type(value) is Raw else Raw(_write(value)) for key, value in members.items()}
