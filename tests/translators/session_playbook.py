"""Plays a session client before a stateless server: JSON in from either side, whole lists of effects out.

Numbers are the machine's own: the client's calls keep the ids they are given here, legs are counted from 1.
"""

from __future__ import annotations

from typing import Any

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.translators.playbook import CLIENT_INFO, SERVER_INFO, Json, frame, plain, text
from translators.machine import Event, Expired, Failed, FromClient, FromServer, Origin, ToClient, ToServer
from translators.session_client import Facts, SessionClient

MODERN = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
SERVER = f"{PREFIX}serverInfo"
LEVEL = f"{PREFIX}logLevel"

FORM = {"method": "elicitation/create", "params": {"mode": "form", "message": "?", "requestedSchema": {}}}
SAMPLE = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}}
ROOTS = {"method": "roots/list"}
INPUTS: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": True}}
DECLARED: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}

TOOL: Json = {"name": "t", "inputSchema": {"type": "object"}}


def page(uri: str = "https://example.com/a", message: str = "Open") -> Json:
    """A question that asks the user to open a page."""
    return {"method": "elicitation/create", "params": {"mode": "url", "message": message, "url": uri}}


def envelope(capabilities: Json | None = None, **more: Any) -> Json:
    """The `_meta` of a request of this client."""
    return {
        f"{PREFIX}protocolVersion": MODERN,
        f"{PREFIX}clientCapabilities": capabilities or {},
        f"{PREFIX}clientInfo": CLIENT_INFO,
        **more,
    }


def told(call: int, **message: Any) -> ToClient:
    """A companion of a call, or with 0 what belongs to none."""
    return ToClient(call, frame(**message))


def done(call: int, result: Json) -> ToClient:
    """The result that ends a call."""
    return ToClient(call, frame(id=call, result=result), final=True)


def failed(call: int, reason: str, message: str, code: int = -32603) -> ToClient:
    """The broker's error that ends a call."""
    data = {"origin": "broker", "reason": reason}
    return ToClient(call, frame(id=call, error={"code": code, "message": message, "data": data}), final=True)


class SessionPlay:
    """One session client's machine, fed by hand; `now` is its clock in seconds."""

    def __init__(self, facts: Facts | None = None, **options: Any) -> None:
        self.facts = facts or Facts()
        self.minted = 0
        self.talk = SessionClient(self.facts, self._id, **options)
        self.now = 0.0

    def _id(self) -> str:
        self.minted += 1
        return f"elicitation-{self.minted}"

    def event(self, event: Event) -> list[Any]:
        return self.plain(self.talk.handle(event, self.now))

    def plain(self, effects: Any) -> list[Any]:
        return [plain(effect) for effect in effects]

    def client(self, call: int, message: Json | bytes) -> list[Any]:
        decoded = jsonrpc.decode_strict(text(message))
        assert isinstance(decoded, Frame)
        return self.event(FromClient(call, decoded))

    def asks(self, call: int, method: str = "tools/call", **params: Any) -> list[Any]:
        """A request of the client."""
        return self.client(call, {"id": call, "method": method, "params": params})

    def answers(self, ask: int, **body: Any) -> list[Any]:
        """The client's answer to the question of this number."""
        return self.client(0, {"id": f"ask-{ask}", **body})

    def notes(self, method: str, **params: Any) -> list[Any]:
        return self.client(0, {"method": method, "params": params})

    def server(self, leg: int, message: Json | bytes, origin: Origin = "peer") -> list[Any]:
        return self.event(FromServer(leg, jsonrpc.decode_backend(text(message)), origin))

    def returns(self, leg: int, **result: Any) -> list[Any]:
        """The server's complete result of a leg."""
        return self.server(leg, {"id": leg, "result": {"resultType": "complete", **result}})

    def requires(self, leg: int, state: Any = None, **requests: Any) -> list[Any]:
        """The server's wish for input."""
        result: Json = {"resultType": "input_required"}
        if state is not None:
            result["requestState"] = state
        if requests:
            result["inputRequests"] = requests
        return self.server(leg, {"id": leg, "result": result})

    def errs(self, leg: int, code: int, message: str = "no", **data: Any) -> list[Any]:
        return self.server(
            leg, {"id": leg, "error": {"code": code, "message": message, **({"data": data} if data else {})}}
        )

    def says(self, leg: int, method: str, **params: Any) -> list[Any]:
        """A notification of the server on a leg."""
        return self.server(leg, {"method": method, "params": params})

    def acknowledges(self, leg: int, **honoured: Any) -> list[Any]:
        meta = {f"{PREFIX}subscriptionId": leg}
        return self.says(leg, "notifications/subscriptions/acknowledged", _meta=meta, notifications=honoured)

    def fails(self, leg: int, reason: str = "backend-closed") -> list[Any]:
        return self.event(Failed(leg, reason))

    def expires(self, key: str) -> list[Any]:
        return self.event(Expired(key))

    def stands(self) -> list[Any]:
        return self.plain(self.talk.stand())

    def leg(self, leg: int, method: str, params: Json | None = None, meta: Json | None = None) -> ToServer:
        """What the machine sends as this leg."""
        capabilities = self.talk.envelope.capabilities
        sent = {**(params or {}), "_meta": {**envelope(capabilities), **(meta or {})}}
        return ToServer(leg, frame(id=leg, method=method, params=sent))

    def empty(self) -> bool:
        """True if no call, leg or question is open."""
        talk = self.talk
        pending = talk.listening.pending
        return not (talk.bridges or talk.legs or talk.inner or talk.asks or talk.waiting or pending or talk.greeting)


def greeting(capabilities: Json | None = None, **more: Any) -> Json:
    """An `initialize`, which is always call 1."""
    params = {"protocolVersion": "2025-11-25", "capabilities": capabilities or {}, "clientInfo": CLIENT_INFO, **more}
    return {"id": 1, "method": "initialize", "params": params}


def discovery(**more: Any) -> Json:
    """A discovery that may be kept for a minute."""
    found = {
        "resultType": "complete",
        "supportedVersions": [MODERN],
        "capabilities": {"tools": {}, "logging": {}},
        "ttlMs": 60_000,
        "cacheScope": "private",
        "_meta": {SERVER: SERVER_INFO},
    }
    return {**found, **more}


def met(declares: Json | None = None, offers: Json | None = None, *, tools: bool = True, **options: Any) -> SessionPlay:
    """A client that was greeted: call 1 and leg 1 are over; with `tools` the catalogue is known."""
    play = SessionPlay(**options)
    play.client(1, greeting(declares))
    found = discovery() if offers is None else discovery(capabilities=offers)
    play.server(1, {"id": 1, "result": found})
    if tools:
        play.facts.learn_tools({"tools": []}, play.now, first=True)
    assert play.empty()
    return play
