"""The four words every revision is described in: Wire, Slot, Traits, Revision.

Spelling on the wire comes from `rename="camel"`; a member that is absent on the wire is UNSET, never None.
Unknown members are ignored by the Structs (the schemas are open); translation never goes through them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Part = Literal["params", "notification", "result", "error"]
Side = Literal["client", "server"]


class Wire(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base of every wire shape."""


class Slot(msgspec.Struct, frozen=True, order=True):
    """The address of a body shape: which part of which method's exchange, travelling toward whom.

    `params` is a request's parameters, `result` the answer to that request, `notification` a notification's
    parameters, `error` the error object that answers the request. `toward` names the reader.
    """

    part: Part
    method: str
    toward: Side


def params(method: str, toward: Side = "server") -> Slot:
    """A request's parameters; client requests travel toward the server."""
    return Slot("params", method, toward)


def result(method: str, toward: Side = "client") -> Slot:
    """A request's result; answers to client requests travel toward the client."""
    return Slot("result", method, toward)


def error(method: str, toward: Side = "client") -> Slot:
    """A request's error object; errors of client requests travel toward the client."""
    return Slot("error", method, toward)


def notification(method: str, toward: Side = "client") -> Slot:
    """A notification's parameters."""
    return Slot("notification", method, toward)


def ask(method: str) -> Slot:
    """The parameters of a server's request to the client."""
    return Slot("params", method, "client")


def answer(method: str) -> Slot:
    """The client's result for a server's request."""
    return Slot("result", method, "server")


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """The questions the broker may ask about a revision instead of comparing dates."""

    sessions: bool  # lifecycle is initialize + session; False: per-request `_meta` and server/discover
    batching: bool  # a reader of this revision MUST accept JSON-RPC batches
    get_stream: bool  # standing GET stream, DELETE, Mcp-Session-Id
    resumable: bool  # SSE event ids and Last-Event-ID
    priming: bool  # the reader knows empty priming events, `retry` and server-side stream closing
    server_requests: bool  # servers send requests to clients
    version_header: bool  # MCP-Protocol-Version is required after initialize
    method_headers: bool  # Mcp-Method / Mcp-Name mirror the body
    http_sse: bool  # the HTTP+SSE transport pair belongs to this revision
    structured_errors_without_id: bool  # an error response may omit its id
    origin_status_named: bool  # the page names 403 for a bad Origin


class Revision(msgspec.Struct, frozen=True, kw_only=True, dict=True, eq=False):
    """Everything true of one revision: identity and facts, never order."""

    id: str
    traits: Traits
    types: dict[Slot, type[msgspec.Struct]]
    client_capabilities: type[msgspec.Struct]
    server_capabilities: type[msgspec.Struct]
    alternatives: dict[Slot, tuple[type[msgspec.Struct], ...]] = {}  # further shapes of a slot's body
    embedded: frozenset[Slot] = frozenset()  # slots whose bodies travel only inside other bodies
    errors: dict[int, type[msgspec.Struct]] = {}  # error objects with defined `data`, by code

    def __repr__(self) -> str:
        """By id: the tables would fill pages."""
        return f"Revision({self.id!r})"

    def knows(self, slot: Slot) -> bool:
        """True if this revision defines the slot."""
        return slot in self.types

    def shapes(self, slot: Slot) -> tuple[type[msgspec.Struct], ...]:
        """Every shape a body of this slot may have, the usual one first; () for an unknown slot."""
        usual = self.types.get(slot)
        return () if usual is None else (usual, *self.alternatives.get(slot, ()))
