"""What a gate needs of the edge it stands at, and what it reads of a message there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import UNSET

from broker.hooks.base import Caller
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.machine import ToServer

if TYPE_CHECKING:
    from broker.watch import Watch
    from translators.machine import Origin

TARGET = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
    "completion/complete": "ref",
}
"""The member that names what a call is about, itself or by a reference."""


class Edge(Protocol):
    """The backend's edge of one session: whoever sends to a backend and hears from it."""

    name: str
    watch: Watch

    def caller(self, call: int) -> Caller: ...
    def to_backend(self, effect: ToServer) -> None: ...
    def from_backend(self, stream: int, frame: Frame, origin: Origin = "peer") -> None: ...
    def accept(self, exchange: int) -> None: ...
    def is_open(self, call: int) -> bool: ...


class Rounds(Protocol):
    """What an edge knows of a call whose questions travel inside its results, and their answers inside its retries."""

    def round_of(self, call: int) -> int:
        """Which request of its call this is, counted from 1."""

    def asked(self, call: int) -> Mapping[str, str]:
        """The method of each question that this request may answer, by key."""

    def settle(self, call: int, answers: dict[str, Any]) -> None:
        """Questions of the result that comes next are answered already; the answers go with the call's next request."""


def text_of(frame: Frame, member: str) -> str | None:
    """The name a request's member holds, itself or in a reference."""
    value = value_of(frame, member)
    if isinstance(value, dict):
        value = value.get("name", value.get("uri"))
    return None if value is None else str(value)


def value_of(frame: Frame, member: str) -> Any:
    """A member of a request, opened; None if it is not there or cannot be."""
    if frame.params is UNSET or member not in frame.params:
        return None
    return jsonrpc.plain(frame.params[member])
