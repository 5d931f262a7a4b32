"""A session server within the process, without sockets: for many calls at once, and for what one of them costs."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

from broker import telemetry
from broker.backends.base import Owner, StatelessOwner
from broker.backends.session_policy import SessionPolicy
from broker.context import ServerContext
from broker.faces.classify import Modern, classify
from broker.faces.stateless_call import StatelessCall
from broker.faces.stateless_params import RESPONSES, STATE, binding
from broker.faces.stateless_relay import StatelessRelay
from broker.hooks.runner import Runner
from broker.identity import Principal
from broker.limit_values import wire_of
from broker.seal import Seal
from broker.settings import Settings
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import jsonrpc
from tests.broker.bridge_world import FORM, INPUTS
from tests.broker.modern_world import envelope, headers
from tests.broker.scripted_backend import Json
from translators.machine import ToServer

WELCOME: Json = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "memory", "version": "1"},
}


class Standing:
    """A standing stream that stands."""

    refused = False


class Leg:
    """An open call."""

    def __init__(self, call: int) -> None:
        self.call = call
        self.ticket = None


class MemorySession:
    """A session whose server asks for a form in every call and answers with what it was told."""

    acknowledges = False
    one_line = False
    streams = True

    def __init__(self, owner: Owner, name: str, ran: list[int]) -> None:
        self.owner = owner
        self.session_id: str | None = None
        self.closed = False
        self.standing: Standing | None = None
        self.legs: dict[int, Leg] = {}
        self.shown: list[Any] = []
        """The scopes of whoever each call was sent for."""
        self._name = name
        self._ran = ran
        self._asked: dict[int, int] = {}
        self._numbers = itertools.count()

    def settle(self, revision: str, traits: Any) -> None: ...
    def forget(self) -> None: ...
    def request(self, call: int, body: bytes, *, initialize: bool = False, headers: Any = ()) -> None: ...
    def notify(self, body: bytes, exchange: int) -> None: ...

    def send(self, effect: ToServer) -> None:
        """What the broker says; the server answers in another turn, as one behind a socket does."""
        if effect.frame.method == "tools/call":
            self.shown.append(self.owner.speaker.who.scopes)  # type: ignore[attr-defined]
        asyncio.get_running_loop().call_soon(self._take, json.loads(jsonrpc.encode(effect.frame)), effect)

    def sent(self, call: int) -> bytes:
        return b""

    def abort(self, call: int) -> None:
        self.legs.pop(call, None)

    def open_stream(self) -> None:
        self.standing = Standing()
        self.owner.backend_stream(True)

    def close(self) -> None:
        self.closed = True

    def _take(self, message: Json, effect: ToServer) -> None:
        if self.closed:
            return
        call, method = effect.call, message.get("method")
        if method == "initialize":
            self.session_id = self._name
            self._say(call, {"id": call, "result": WELCOME})
        elif call and method == "tools/call":
            self._ran.append(call)
            self.legs[call] = Leg(call)
            number = next(self._numbers)
            self._asked[number] = call
            self._say(call, {"id": number, "method": "elicitation/create", "params": FORM})
        elif call:
            self._say(call, {"id": call, "result": {}})
        else:
            asked = self._asked.pop(message["id"], None) if "id" in message else None
            if asked is not None and self.legs.pop(asked, None) is not None:
                content = [{"type": "text", "text": json.dumps(message.get("result"))}]
                self._say(asked, {"id": asked, "result": {"content": content}})
            self.owner.backend_accepted(effect.exchange)

    def _say(self, stream: int, message: Json) -> None:
        frame = jsonrpc.decode_backend(json.dumps({"jsonrpc": "2.0", **message}).encode())
        self.owner.backend_message(stream, frame)


class NoLegs:
    """A server that knows sessions alone."""

    def post(self, leg: int, frame: Any, headers: Any, *, stream: bool = False) -> None:
        raise AssertionError("a session server was asked without a session")

    def abort(self, leg: int) -> None: ...
    def ticket(self, leg: int) -> None: ...
    def close(self) -> None: ...


class MemoryReach:
    """The way to that server. `ran` are the calls it was sent, `sessions` those it gave."""

    identity = "memory"
    greets_first = False

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.sessions: list[MemorySession] = []

    def session(self, owner: Owner, *, patient: bool = False, who: Any = None) -> MemorySession:
        self.sessions.append(MemorySession(owner, f"memory-{len(self.sessions)}", self.ran))
        return self.sessions[-1]

    def legs(self, owner: StatelessOwner, *, observer: Any = None, who: Any = None) -> NoLegs:
        return NoLegs()

    async def verdict(self) -> Any:
        raise AssertionError("the revision is pinned")

    async def settle(self) -> bool:
        """There is one way."""
        return True

    async def close(self) -> None: ...


class MemoryWorld:
    """A broker's stateless half before such a server. `limits` and `backend` as in a configuration."""

    def __init__(self, *, limits: Json | None = None, backend: Json | None = None) -> None:
        pinned = {"revision": "2025-11-25", **(backend or {})}
        settings = Settings.for_proxy("http://127.0.0.1:1/mcp", backend=pinned, limits=limits or {})
        section = settings.servers["default"]
        wire = wire_of(settings.limits)
        self.reach = MemoryReach()
        self.inputs: Json = INPUTS
        """What clients declare."""
        self.context = ServerContext(
            "memory",
            reach=self.reach,
            revision=section.revision,
            face=section.face,
            compare_lists=section.compare_lists,
            bridge=SessionPolicy.of(section, settings.limits),
            revisions=settings.revisions,
            limits=settings.limits,
            wheel=Wheel(),
            hooks=Runner((), wire),
            watch=Watch(telemetry, None, settings.limits.stream_queue_bytes),
            wire=wire,
            seal=Seal(),
        )
        self.relay = StatelessRelay(self.context)
        self.pool = self.relay.bridge

    async def call(
        self,
        caller: str,
        answers: Json | None = None,
        state: str | None = None,
        *,
        scopes: frozenset[str] = frozenset(),
    ) -> Json:
        """One call of this caller, or its retry; the result or the error."""
        modern = self._request(answers, state)
        inner, rounds = None, 0
        who = Principal(f"key:{caller}", "key", scopes=scopes)
        if state is not None:
            belongs = binding(modern, who, self.context.name, self.reach.identity, bridged=True)
            opened = self.context.seal.open(state, belongs)
            inner, rounds = opened.inner, opened.round
        call: StatelessCall = self.relay.begin(
            modern=modern, client_id=1, caller=who, round=rounds + 1, bridged=True
        )  # fmt: skip
        call.start(inner)
        await call.exchange.decided()
        self.relay.leave(call)
        assert call.exchange.body is not None
        answer: Json = json.loads(call.exchange.body)
        found: Json = answer.get("result") or answer["error"]
        return found

    def close(self) -> None:
        """Everything ends."""
        self.relay.close()
        self.context.wheel.close()

    def _request(self, answers: Json | None, state: str | None) -> Modern:
        params: Json = {"name": "x", "arguments": {"path": "/a", "note": "n" * 40}, "_meta": envelope(self.inputs)}
        if state is not None:
            params |= {RESPONSES: answers, STATE: state}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        frame = jsonrpc.decode_strict(json.dumps(message).encode())
        assert isinstance(frame, jsonrpc.Frame)
        found = classify(frame, headers("tools/call", params), self.context.revisions)  # type: ignore[arg-type]
        assert isinstance(found, Modern)
        return found
