"""Plays a conversation against the core: messages in as JSON, whole lists of effects out as plain values.

Every message goes through the decoder of its edge, so that members are bytes where they are in the running broker.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import ErrorObject, Frame
from translators.conversation import Conversation
from translators.handshake import Peers
from translators.link import Link
from translators.machine import STANDING, Effect, Event, FromClient, FromServer, ToClient, ToServer
from translators.task_ids import TaskIds

Json = dict[str, Any]

CLIENT_INFO = {"name": "client", "version": "1"}
SERVER_INFO = {"name": "server", "version": "2"}
DATED = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


def text(message: Json | bytes) -> bytes:
    """The bytes of a message; bytes are taken as they are."""
    return message if isinstance(message, bytes) else msgspec.json.encode({"jsonrpc": "2.0", **message})


def frame(**message: Any) -> Frame:
    """A frame of plain values, to compare with."""
    if "error" in message:
        message["error"] = ErrorObject(**message["error"])
    return Frame(**message)


def plain(effect: Any) -> Any:
    """The effect with every value of its frame opened to the bottom."""
    inner = getattr(effect, "frame", None)
    if inner is None:
        return effect
    tree = msgspec.json.decode(jsonrpc.encode(inner))
    del tree["jsonrpc"]
    return msgspec.structs.replace(effect, frame=frame(**tree))


def from_broker(reason: str, code: int, message: str) -> Json:
    """The error object of a broker-made error."""
    return {"code": code, "message": message, "data": {"origin": "broker", "reason": reason}}


def to_client(exchange: int, *, final: bool = False, origin: Any = "peer", **message: Any) -> ToClient:
    return ToClient(exchange, frame(**message), final, origin)


def to_server(call: int, exchange: int = -1, *, initialize: bool = False, **message: Any) -> ToServer:
    return ToServer(call, frame(**message), exchange, initialize)


class Play:
    """One conversation and its link, fed by hand."""

    def __init__(
        self,
        client: str = "2025-11-25",
        offer: str | None = None,
        *,
        pinned: bool = False,
        inputs: bool = True,
        max_calls: int = 1000,
        tasks: bool = False,
    ) -> None:
        self.revision = client
        numbers = iter(range(1, 1000))
        self.talk = Conversation(
            Peers(client=client, offer=offer or client, pinned=pinned, inputs=inputs),
            max_calls=max_calls,
            cancel_grace_s=5.0,
            task_ids=TaskIds(lambda: f"minted-{next(numbers)}") if tasks else None,
        )
        self.link = Link(self.talk)

    def event(self, event: Event) -> list[Any]:
        return [plain(effect) for effect in self.talk.handle(event)]

    def client(self, exchange: int, message: Json | bytes) -> list[Any]:
        decoded = jsonrpc.decode_strict(text(message))
        assert isinstance(decoded, Frame)
        return self.event(FromClient(exchange, decoded))

    def server(self, message: Json | bytes, stream: int = STANDING) -> list[Any]:
        return self.event(FromServer(stream, jsonrpc.decode_backend(text(message))))

    def greet(self, capabilities: Json | None = None, **params: Any) -> list[Any]:
        """The client's `initialize`, on exchange 1, with id 0."""
        given = {"protocolVersion": self.revision, "capabilities": capabilities or {}, "clientInfo": CLIENT_INFO}
        return self.client(1, {"id": 0, "method": "initialize", "params": {**given, **params}})

    def welcome(self, server: str | None = None, capabilities: Json | None = None, call: int = 1) -> list[Any]:
        """The backend's answer to it."""
        result = {
            "protocolVersion": server or self.talk.peers.offer,
            "capabilities": {"logging": {}} if capabilities is None else capabilities,
            "serverInfo": SERVER_INFO,
        }
        return self.server({"id": call, "result": result}, call)

    def call(self, exchange: int = 2, client_id: int | str = 1, method: str = "tools/call", **params: Any) -> list[Any]:
        return self.client(exchange, {"id": client_id, "method": method, "params": params})

    def linked(self, effects: list[Any] | None) -> list[Any]:
        assert effects is not None
        return [plain(effect) for effect in effects]


def opened(
    client: str = "2025-11-25",
    server: str | None = None,
    *,
    declares: Json | None = None,
    offers: Json | None = None,
    **options: Any,
) -> Play:
    """A conversation that is open: call 1 was `initialize`."""
    play = Play(client, server, **options)
    play.greet(declares)
    play.welcome(server, offers)
    assert play.talk.phase == "open"
    return play


def members(effect: Effect) -> Frame:
    """The frame an effect carries."""
    found = getattr(effect, "frame", None)
    assert isinstance(found, Frame)
    return found


def empty(play: Play) -> bool:
    """True if nothing is open, from either side."""
    book = play.talk.book
    return not (book.calls or book.by_client or book.asks or book.by_backend)
