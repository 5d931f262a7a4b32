"""The transport between the peers: what the relay does with effects, and what must hold whatever happens."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any

import msgspec
from msgspec import UNSET

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.walker.client import Client, Open
from tests.walker.round import Mark
from tests.walker.server import LISTEN, Server
from translators.asks import MAX_OPEN_ASKS
from translators.conversation import Conversation
from translators.handshake import Peers
from translators.machine import (
    Abort,
    Accept,
    ClientGone,
    Effect,
    End,
    Event,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Hush,
    OpenStream,
    Reject,
    SetTimer,
    Stranded,
    ToClient,
    ToServer,
)
from translators.session_client import Facts, SessionClient
from translators.session_client.rounds import MAX_ROUNDS

SESSION = "2025-11-25"
MAX_CALLS = 6


class World:
    """A client, the broker's two machines, a server, and time."""

    def __init__(self, revision: str, declares: dict[str, Any], offers: dict[str, Any], *, compare: bool) -> None:
        self.minted = 0
        self.talk = SessionClient(Facts(), self._id, compare_lists=compare)
        self.side = Conversation(Peers(client=revision, offer=SESSION, pinned=True), max_calls=MAX_CALLS)
        self.client = Client(revision, declares, offers)
        self.server = Server(offers)
        self.offers = offers
        self.marks: dict[int, Mark] = {}
        self.now = 0.0
        self.exchanges = 0
        self.timers: list[tuple[float, int, bool, str]] = []
        self.ended = False
        self._timers = 0
        self._turns: deque[tuple[bool, Event]] = deque()

    def _id(self) -> str:
        self.minted += 1
        return f"elicitation-{self.minted}"

    # ---- what the peers and time do ---------------------------------------------------------------------------------

    def post(self, message: dict[str, Any], waits: Open | None = None) -> int:
        """The client posts one message; the exchange it used."""
        self.exchanges += 1
        if waits is not None:
            self.client.waiting[self.exchanges] = waits
        frame = jsonrpc.decode_strict(msgspec.json.encode({"jsonrpc": "2.0", **message}))
        assert isinstance(frame, Frame)
        self._run(FromClient(self.exchanges, frame), conversation=True)
        return self.exchanges

    def say(self, leg: int, body: bytes) -> None:
        """The server writes one message on a leg."""
        self._run(FromServer(leg, jsonrpc.decode_backend(body)), conversation=False)

    def fail(self, leg: int) -> None:
        """A leg breaks off."""
        self._run(Failed(leg, "backend-closed"), conversation=False)

    def tick(self) -> None:
        """The next timer runs out."""
        self.now, _number, conversation, key = heapq.heappop(self.timers)
        self._run(Expired(key), conversation=conversation)

    def end(self) -> None:
        """The client ends its session, and everything is over."""
        self.ended = self.client.gone = True
        self._run(ClientGone(), conversation=True)
        self._effects(self.talk.close(), conversation=False)
        self._settle()
        assert not self.client.waiting, "a request never ended"
        assert not self.server.open, "a leg was left open"
        talk, book = self.talk, self.side.book
        machine = (talk.bridges, talk.legs, talk.inner, talk.asks, talk.waiting, talk.listening.pending)
        conversation = (book.calls, book.by_client, book.asks, book.by_backend)
        assert not any(machine), "the session is over, and the machine's books are not empty"
        assert not any(conversation), "the session is over, and the conversation's books are not empty"

    # ---- effects ----------------------------------------------------------------------------------------------------

    def _run(self, event: Event, *, conversation: bool) -> None:
        self._turns.append((conversation, event))
        self._settle()
        self.server.level = self.client.level if "logging" in self.offers else None
        self._check()

    def _settle(self) -> None:
        while self._turns:
            conversation, event = self._turns.popleft()
            effects = self.side.handle(event) if conversation else self.talk.handle(event, self.now)
            self._effects(effects, conversation=conversation)

    def _effects(self, effects: list[Effect], *, conversation: bool) -> None:
        for effect in effects:
            if conversation:
                self._of_conversation(effect)
            else:
                self._of_machine(effect)

    def _of_conversation(self, effect: Effect) -> None:
        match effect:
            case ToServer(call=call, frame=frame):
                inner = jsonrpc.decode_backend(jsonrpc.encode(frame))
                self._turns.append((False, FromClient(call, inner)))
            case ToClient(exchange=exchange, frame=frame, final=final):
                self.client.receive(exchange, frame, final=final)
            case Hush(exchange=exchange):
                self.client.hush(exchange)
            case Abort(call=call):
                self._effects(self.talk.cancel(call), conversation=False)
            case OpenStream():
                self._effects(self.talk.stand(), conversation=False)
            case SetTimer(key=key, after_s=after_s):
                self._timer(key, after_s, conversation=True)
            case Accept(exchange=exchange) | Reject(exchange=exchange):
                assert exchange not in self.client.waiting, "a request was only accepted"
            case End(call=call):
                assert call not in self.side.book.calls

    def _of_machine(self, effect: Effect) -> None:
        match effect:
            case ToServer(call=leg, frame=frame):
                self.server.receive(leg, frame, self.marks)
            case ToClient(exchange=call, frame=frame, final=final):
                assert final == (frame.method is UNSET)
                self._turns.append((True, FromServer(call, frame)))
            case Abort(call=leg):
                self.server.close(leg)
            case Stranded(call=call):
                self._turns.append((True, Failed(call, "backend-revision", "no")))
            case SetTimer(key=key, after_s=after_s):
                assert after_s > 0
                self._timer(key, after_s, conversation=False)

    def _timer(self, key: str, after_s: float, *, conversation: bool) -> None:
        self._timers += 1
        heapq.heappush(self.timers, (self.now + after_s, self._timers, conversation, key))

    # ---- what always holds ------------------------------------------------------------------------------------------

    def _check(self) -> None:
        talk, book, server = self.talk, self.side.book, self.server
        assert {call.exchange for call in book.calls.values()} == set(self.client.waiting)
        assert talk.bridges.keys() <= book.calls.keys() or self.ended, "a call is kept that nobody waits for"
        assert server.open.keys() == talk.legs.keys() | talk.inner.keys(), "the books of the legs differ"
        assert {ask.call for ask in talk.asks.values()} <= talk.bridges.keys()
        assert len(self.client.questions) == len(book.asks), "the books of the questions differ"
        assert len(book.calls) <= MAX_CALLS
        assert len(book.asks) <= MAX_OPEN_ASKS
        assert len(self.timers) < 64, "timers pile up"
        assert sum(leg.method == LISTEN for leg in server.open.values()) <= 2
        for bridge in talk.bridges.values():
            assert bridge.round <= MAX_ROUNDS
            moving = bridge.leg or bridge.asks or bridge.call in talk.waiting or bridge.renewal == "asked"
            assert moving or self._paused(f"state:{bridge.call}"), "a call waits for nothing"

    def _paused(self, key: str) -> bool:
        return any(timer == key for _due, _number, _conversation, timer in self.timers)
