"""Conversation and Link under every order of events: whatever peers do, each call ends once and nothing crosses over.

The machine plays both peers and the transport. Client ids and tokens are texts that begin with `c`, the backend's
begin with `s`, so that one seen on the wrong side is seen at once.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET

from protocol_versions import by_id, jsonrpc
from protocol_versions.base import Slot
from tests.stateful import LONG
from tests.translators.playbook import DATED, Play, empty, text
from translators.asks import MAX_OPEN_ASKS
from translators.link import MAX_WAITING
from translators.machine import (
    STANDING,
    Accept,
    ClientGone,
    End,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Hush,
    Reject,
    Resend,
    SetTimer,
    ToClient,
    ToServer,
)

MAX_CALLS = 4
METHODS = [
    "tools/call",
    "tools/call",
    "tools/list",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "prompts/get",
    "tasks/get",
    "vendor/x",
]
ASKS = ["roots/list", "sampling/createMessage", "elicitation/create", "ping", "tasks/get", "vendor/x"]
NOTES = ["notifications/message", "notifications/tools/list_changed", "notifications/elicitation/complete", "x/y"]
INPUTS: dict[str, Any] = {"roots": {}, "sampling": {}, "elicitation": {"form": {}}}


class Session(RuleBasedStateMachine):
    """Both peers, the transport, and the books they would keep."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges = 1
        self.waiting: dict[int, str] = {}  # exchange -> client id, unanswered
        self.cancelled: set[int] = set()
        self.posted: dict[int, str] = {}  # at the backend: call -> method, unanswered
        self.sent: dict[int, int] = {}  # call -> how often
        self.timers: list[str] = []
        self.questions: list[int] = []
        self.asked = 0

    @initialize(client=st.sampled_from(DATED), server=st.sampled_from(DATED), inputs=st.booleans())
    def handshake(self, client: str, server: str, inputs: bool) -> None:
        self.play = Play(client, server, max_calls=MAX_CALLS, inputs=inputs)
        self.play.greet(INPUTS)
        self.play.welcome(server, {"tools": {"listChanged": True}})

    # ---- the transport ----------------------------------------------------------------------------------------------

    def run(self, effects: Any) -> None:
        """What the relay does with effects, and what no effect may be."""
        for effect in effects:
            match effect:
                case ToServer():
                    passed = self.play.link.send(effect)
                    if passed and passed[0] is effect:
                        self.to_backend(effect)
                    else:
                        self.run(passed)
                case ToClient():
                    self.to_client(effect)
                case Failed():
                    self.run(self.play.talk.handle(effect))
                case Resend(call=call):
                    self.post(call, self.play.talk.book.calls[call].method)
                case Hush(exchange=exchange):
                    assert exchange in self.cancelled
                    del self.waiting[exchange]
                case Accept(exchange=exchange) | Reject(exchange=exchange):
                    assert exchange not in self.waiting
                case SetTimer(key=key):
                    self.timers.append(key)
                case End(call=call):
                    self.play.link.ended(call)
                    assert call not in self.play.talk.book.calls

    def post(self, call: int, method: str) -> None:
        assert call not in self.posted, "a call is at the backend twice"
        self.posted[call] = method
        self.sent[call] = self.sent.get(call, 0) + 1
        assert self.sent[call] <= 2

    def to_backend(self, effect: ToServer) -> None:
        frame = effect.frame
        body = jsonrpc.encode(frame)
        assert b'"c-' not in body, "a client's id or token reached the backend"
        server = by_id(self.play.talk.peers.server)
        if frame.method is not UNSET:
            part: Any = "params" if frame.id is not UNSET else "notification"
            assert server.knows(Slot(part, frame.method, "server")), frame.method
        if effect.call:
            assert frame.id == effect.call
            self.post(effect.call, str(frame.method))
        elif frame.method == "notifications/initialized":
            self.run(self.play.link.greeted())
        elif frame.method is UNSET:
            assert str(frame.id).startswith("s-")

    def to_client(self, effect: ToClient) -> None:
        frame = effect.frame
        body = jsonrpc.encode(frame)
        assert b'"s-' not in body, "a backend's id or token reached the client"
        if effect.final:
            assert self.waiting.pop(effect.exchange) == frame.id, "answered twice, or under another id"
            return
        client = by_id(self.play.talk.peers.client)
        part: Any = "params" if frame.id is not UNSET else "notification"
        assert client.knows(Slot(part, str(frame.method), "client")), frame.method
        if frame.id is not UNSET:
            needed = {"roots/list": "roots", "sampling/createMessage": "sampling", "elicitation/create": "elicitation"}
            declared = self.play.talk.peers.declared
            assert str(frame.method) not in needed or needed[str(frame.method)] in declared
            assert isinstance(frame.id, int)
            self.questions.append(frame.id)

    def from_client(self, message: dict[str, Any]) -> int:
        self.exchanges += 1
        if "method" in message and "id" in message:
            self.waiting[self.exchanges] = message["id"]
        frame = jsonrpc.decode_strict(text(message))
        assert isinstance(frame, jsonrpc.Frame)
        self.run(self.play.talk.handle(FromClient(self.exchanges, frame)))
        return self.exchanges

    def from_server(self, message: dict[str, Any] | bytes, stream: int = STANDING) -> None:
        frame = jsonrpc.decode_backend(text(message))
        ours = self.play.link.answered(frame) if frame.method is UNSET else None
        if ours is not None:
            self.run(ours)
            return
        self.run(self.play.talk.handle(FromServer(stream, frame)))

    # ---- the client -------------------------------------------------------------------------------------------------

    @rule(method=st.sampled_from(METHODS), name=st.integers(0, 5), token=st.booleans())
    def client_calls(self, method: str, name: int, token: bool) -> None:
        params: dict[str, Any] = {"name": "x", "level": "info", "uri": "test://a", "taskId": "t"}
        if token:
            params["_meta"] = {"progressToken": f"c-token-{name}"}
        self.from_client({"id": f"c-{name}", "method": method, "params": params})

    @rule(data=st.data(), stray=st.booleans())
    def client_cancels(self, data: st.DataObject, stray: bool) -> None:
        open_ids = sorted(self.waiting.values())
        name = data.draw(st.sampled_from(open_ids)) if open_ids and not stray else "c-9"
        self.cancelled.update(exchange for exchange, client_id in self.waiting.items() if client_id == name)
        self.from_client({"method": "notifications/cancelled", "params": {"requestId": name}})

    @rule(data=st.data(), error=st.booleans(), stray=st.booleans())
    def client_answers(self, data: st.DataObject, error: bool, stray: bool) -> None:
        known = self.questions or [0]
        ask = 999 if stray else data.draw(st.sampled_from(known))
        body: dict[str, Any] = {"error": {"code": -1, "message": "no"}} if error else {"result": {"action": "cancel"}}
        self.from_client({"id": ask, **body})

    @rule(method=st.sampled_from(["notifications/initialized", "notifications/roots/list_changed", "vendor/x"]))
    def client_notifies(self, method: str) -> None:
        self.from_client({"method": method})

    # ---- the backend ------------------------------------------------------------------------------------------------

    def at_backend(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.posted)))

    @precondition(lambda self: self.posted)
    @rule(data=st.data(), kind=st.sampled_from(["result", "error", "garbage", "wrong"]))
    def backend_answers(self, data: st.DataObject, kind: str) -> None:
        call = self.at_backend(data)
        if kind == "wrong":
            self.from_server({"id": call + 1000, "result": {}}, call)
            return
        revision = data.draw(st.sampled_from(DATED))
        body: dict[str, Any] = {"protocolVersion": revision, "capabilities": {}, "content": [], "tools": []}
        del self.posted[call]
        if kind == "error":
            self.from_server({"id": call, "error": {"code": -32000, "message": "no"}}, call)
        elif kind == "result":
            self.from_server({"id": call, "result": body}, call)
        else:
            broken = b'"tools":[{"title":1e999}],"content":[{"type":"resource_link","uri":1e999}]'
            self.from_server(b'{"jsonrpc":"2.0","id":%d,"result":{%b}}' % (call, broken), call)

    @precondition(lambda self: self.play.link.internal)
    @rule(data=st.data())
    def backend_opens_the_session_again(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted(self.play.link.internal)))
        del self.posted[call]
        result = {"protocolVersion": data.draw(st.sampled_from(DATED)), "capabilities": {}}
        self.from_server({"id": call, "result": result}, call)

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def call_fails(self, data: st.DataObject) -> None:
        call = self.at_backend(data)
        del self.posted[call]
        ours = self.play.link.failed(call)
        self.run([Failed(call, "backend-closed")] if ours is None else ours)

    @precondition(lambda self: self.posted)
    @rule(data=st.data(), stale=st.booleans())
    def session_is_lost(self, data: st.DataObject, stale: bool) -> None:
        call = self.at_backend(data)
        if self.posted[call] == "initialize":
            return
        del self.posted[call]
        stale = stale or (self.play.link.phase != "up" and call not in self.play.link.internal)
        self.run(self.play.link.lost(call, stale=stale))

    @rule(method=st.sampled_from(ASKS), repeat=st.booleans(), on_call=st.booleans(), data=st.data())
    def backend_asks(self, method: str, repeat: bool, on_call: bool, data: st.DataObject) -> None:
        self.asked += not repeat
        stream = self.at_backend(data) if on_call and self.posted else STANDING
        params = {"_meta": {"progressToken": f"s-token-{self.asked}"}, "messages": [], "message": "?", "taskId": "t"}
        self.from_server({"id": f"s-{self.asked}", "method": method, "params": params}, stream)

    @rule(number=st.integers(0, 8))
    def backend_cancels(self, number: int) -> None:
        self.from_server({"method": "notifications/cancelled", "params": {"requestId": f"s-{number}"}})

    @rule(token=st.integers(0, 12), stream=st.integers(0, 12))
    def backend_reports_progress(self, token: int, stream: int) -> None:
        params = {"progressToken": token, "progress": 1}
        self.from_server({"method": "notifications/progress", "params": params}, stream)

    @rule(method=st.sampled_from(NOTES))
    def backend_notifies(self, method: str) -> None:
        self.from_server({"method": method, "params": {"level": "info", "data": 1, "elicitationId": "e"}})

    # ---- time and the end -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.timers)
    @rule()
    def a_grace_is_over(self) -> None:
        key = self.timers.pop(0)
        effects = self.play.talk.handle(Expired(key))
        self.posted.pop(int(key.partition(":")[2]), None)
        self.run(effects)

    def teardown(self) -> None:
        if not hasattr(self, "play"):
            return
        self.run(self.play.talk.handle(ClientGone()))
        assert self.waiting == {}, "a call never ended"
        assert empty(self.play)
        assert self.play.talk.handle(ClientGone()) == []

    @invariant()
    def every_waiting_client_waits_for_something(self) -> None:
        if not hasattr(self, "play"):
            return
        link, calls = self.play.link, self.play.talk.book.calls
        assert {call.exchange for call in calls.values()} == set(self.waiting)
        moving = self.posted.keys() | set(link.resend) | {effect.call for effect in link.waiting}
        assert calls.keys() <= moving
        assert link.phase in ("up", "down") or link.internal, "a session is opened and nobody answers for it"
        assert link.phase != "up" or not (link.waiting or link.resend)

    @invariant()
    def limits_hold(self) -> None:
        if not hasattr(self, "play"):
            return
        book = self.play.talk.book
        assert len(book.calls) <= MAX_CALLS
        assert len(book.by_client) == len(book.calls)
        assert len(book.asks) <= MAX_OPEN_ASKS
        assert len(self.play.link.waiting) <= MAX_WAITING


TestSession = Session.TestCase
TestSession.settings = LONG
