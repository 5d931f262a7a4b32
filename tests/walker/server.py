"""The server's books: which requests are open at it, what it asked; every message to it is judged here."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions import by_id, jsonrpc
from protocol_versions.base import params as slot_of
from protocol_versions.jsonrpc import Frame
from tests.walker.round import Mark

MODERN = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
SESSION_ONLY = frozenset(
    ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/get")
)
MARKED = ("tools/call", "prompts/get", "resources/read")
LISTEN = "subscriptions/listen"

Params = dict[str, Raw]


class Leg(msgspec.Struct):
    """A request that is open at the server. `heard` is whether a listen stream was acknowledged."""

    id: int
    method: str
    params: Params
    mark: Mark | None = None
    token: Any = None
    heard: bool = False


class Server:
    """One stateless server."""

    def __init__(self, offers: dict[str, Any]) -> None:
        self.revision = by_id(MODERN)
        self.offers = offers
        self.open: dict[int, Leg] = {}
        self.closed: list[int] = []
        self.seen: set[int] = set()
        self.declared: dict[str, Any] = {}
        self.level: str | None = None

    def receive(self, leg: int, frame: Frame, marks: dict[int, Mark]) -> None:
        """Judge a request and write it down."""
        body = jsonrpc.encode(frame)
        assert b'"c-' not in body, "an id or token of the client reached the server"
        assert frame.id is not UNSET, "a stateless server was sent a notification or an answer"
        assert frame.method is not UNSET, "a stateless server was sent a notification or an answer"
        assert leg == frame.id
        assert leg not in self.seen, "the id of a leg was used again"
        self.seen.add(leg)
        method = frame.method
        assert method not in SESSION_ONLY, f"{method} reached a stateless server"
        assert self.revision.knows(slot_of(method)), f"{method} is not of the server's revision"
        params = msgspec.json.decode(body, type=dict[str, Raw])["params"]
        opened: Params = msgspec.json.decode(params, type=Params)
        assert method != "tools/call" or "task" not in opened, "a wish for a task reached a stateless server"
        found = Leg(leg, method, opened)
        self._envelope(found, msgspec.json.decode(opened["_meta"]))
        if method in MARKED:
            self._marked(found, marks)
        else:
            assert "inputResponses" not in opened, "answers on a request that cannot ask"
            assert "requestState" not in opened, "a state on a request that cannot ask"
        if method == LISTEN:
            self._filter(msgspec.json.decode(opened["notifications"]))
        self.open[leg] = found

    def close(self, leg: int) -> None:
        """The broker closed the connection of a leg, which cancels it."""
        assert leg in self.open, "a leg was closed that is not open"
        del self.open[leg]
        self.closed.append(leg)

    def end(self, leg: int) -> Leg:
        """The server ends a leg."""
        self.closed.append(leg)
        return self.open.pop(leg)

    def _envelope(self, leg: Leg, meta: dict[str, Any]) -> None:
        assert meta[f"{PREFIX}protocolVersion"] == MODERN
        assert isinstance(meta[f"{PREFIX}clientCapabilities"], dict)
        assert isinstance(meta[f"{PREFIX}clientInfo"], dict)
        if leg.method == "server/discover":
            self.declared = meta[f"{PREFIX}clientCapabilities"]
        else:
            assert meta[f"{PREFIX}clientCapabilities"] == self.declared, "other capabilities than at the handshake"
            assert meta.get(f"{PREFIX}logLevel") == self.level, "another level than the client set"
        assert "evil" not in str(meta), "what the client wrote under a reserved name reached the server"
        leg.token = meta.get("progressToken")

    def _marked(self, leg: Leg, marks: dict[int, Mark]) -> None:
        member = {"tools/call": "arguments", "prompts/get": "arguments", "resources/read": "uri"}[leg.method]
        value = msgspec.json.decode(leg.params[member])
        mark = leg.mark = marks[int(value["n"] if member == "arguments" else value.removeprefix("test://n"))]
        assert mark.method == leg.method
        assert not mark.over, "a leg of a call that is over"
        assert all(other.mark is not mark for other in self.open.values()), "two legs of one call at once"
        if mark.owed is not None:
            mark.owed.check(leg.params)
        else:
            assert "inputResponses" not in leg.params, "answers to nothing"
            assert "requestState" not in leg.params, "a state nobody gave"

    def _filter(self, wanted: dict[str, Any]) -> None:
        flags = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}
        offered = {flag for kind, flag in flags.items() if self.offers.get(kind, {}).get("listChanged") is True}
        assert wanted, "a stream for nothing"
        assert {name for name in wanted if name != "resourceSubscriptions"} <= offered
        assert sum(leg.method == LISTEN for leg in self.open.values()) < 2, "more streams than the old and the new one"
