"""The transport between the peers: what the broker does with effects, and what must hold whatever happens."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from typing import Any

import msgspec
from msgspec import UNSET

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.walker.stateless.clients import MODERN, Clients, Open
from tests.walker.stateless.restore import restore
from tests.walker.stateless.server import Call, Question, Server
from translators.conversation import Conversation
from translators.handshake import Peers
from translators.machine import (
    STANDING,
    Abort,
    ClientGone,
    Effect,
    Event,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Reject,
    SetTimer,
    ToClient,
    ToServer,
)
from translators.reply import notify
from translators.stateless_client import Asked, Greeted, Habits, Memory, State, StatelessClient, Unopened
from translators.stateless_client.calls import Quota
from translators.stateless_client.machine import SESSION, Rules
from translators.stateless_client.rounds import MAX_QUESTIONS, MAX_ROUNDS
from translators.v2025_11_25__v2026_07_28.fields_capabilities import session_client_capabilities

QUOTA = 3
"""Calls that may be suspended."""


class World:
    """Clients, the broker's two machines, a server, and time. `stands`: the server's standing stream can be read."""

    def __init__(
        self,
        revision: str,
        declares: dict[str, Any],
        offers: dict[str, Any],
        *,
        stands: bool = True,
        ttl_ms: int = 0,
        habits: Habits | None = None,
        unsolicited: str = "error",
        restores: bool = False,
    ) -> None:
        self.quota = Quota(QUOTA)
        self.talk = StatelessClient(
            session_client_capabilities(declares),
            {"name": "walker", "version": "1"},
            owner="walk",
            number=1,
            habits=habits or Habits(),
            memory=Memory(),
            quotas=(self.quota,),
            rules=Rules(park_per_session=QUOTA - 1, list_ttl_ms=ttl_ms, unsolicited=unsolicited),
        )
        self.side = Conversation(Peers(client=SESSION, offer=revision, pinned=True), judges_questions=True)
        self.clients = Clients(declares, offers, ttl_ms)
        self.server = Server(revision, offers)
        self.stands = stands
        self.restores = restores
        self.taken = False  # whether the server took `initialized`, and nobody was told
        self.gone = False
        self.now = 0.0
        self.timers: list[tuple[float, int, bool, str]] = []
        self._set: dict[tuple[bool, str], int] = {}
        self._timers = 0
        self._turns: deque[tuple[bool, Event]] = deque()

    # ---- what the peers and time do ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin the session."""
        self._effects(self.talk.open(), conversation=False)
        self._settle()

    def post(self, request: Open, params: dict[str, Any], state: State | None = None) -> None:
        """A client posts a request."""
        self.clients.legs += 1
        leg = self.clients.legs
        self.clients.waiting[leg] = request
        meta: dict[str, Any] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": request.declared,
            **({"progressToken": leg} if request.token else {}),
        }
        body = {"jsonrpc": "2.0", "id": leg, "method": request.method, "params": {**params, "_meta": meta}}
        frame = jsonrpc.decode_strict(msgspec.json.encode(body))
        assert isinstance(frame, Frame)
        self._run(Asked(leg, frame, request.declared, request.level, state), conversation=False)

    def leave(self, leg: int) -> None:
        """A client closes the connection of a request."""
        del self.clients.waiting[leg]
        self._does(self.talk.abandon(leg))

    def say(self, stream: int, body: bytes) -> None:
        """The server writes one message on a stream."""
        self._run(FromServer(stream, jsonrpc.decode_backend(b'{"jsonrpc":"2.0",%b}' % body)), conversation=True)

    def fail(self, call: int) -> None:
        """The connection of a call breaks."""
        self.server.end(call)
        self._run(Failed(call, "backend-closed"), conversation=True)

    def greet(self) -> None:
        """The broker hears that `initialized` was taken, and whether the standing stream can be read."""
        self.taken, self.clients.stands = False, self.stands
        self._run(Greeted(self.stands), conversation=False)

    def gap(self, *, lost: bool) -> None:
        """Something was missed; with `lost` the server lost its session, and it was opened again."""
        if lost:
            self.server.forget()
            for ask in list(self.side.book.asks.values()):
                self.side.book.settle(ask)
                back = notify("notifications/cancelled", {"requestId": ask.id})
                self._effects([ToClient(ask.stream, back)], conversation=True)
        self._does(self.talk.resync(self.now, again=lost))

    def tick(self) -> None:
        """The next timer runs out."""
        due, number, conversation, key = heapq.heappop(self.timers)
        if self._set.get((conversation, key)) != number:
            return  # it was set anew
        del self._set[conversation, key]
        self.now = due
        if not conversation and not self.talk.awaits(key):
            assert self.talk.handle(Expired(key), self.now) == [], "a timer that did not matter did something"
            return
        self._run(Expired(key), conversation=conversation)

    def end(self) -> None:
        """The session is over, and everything with it."""
        self._effects(self.talk.close("session-ended"), conversation=False)
        self.gone = True
        self._turns.append((True, ClientGone()))
        self._settle()
        talk, book = self.talk, self.side.book
        assert not self.clients.waiting, "a request never ended"
        machine = (talk.waiting, talk.calls, talk.by_leg, talk.inner, talk.asks, talk.held, talk.listens.legs)
        conversation = (book.calls, book.by_client, book.asks, book.by_backend)
        assert not any(machine), "the session is over, and the machine's books are not empty"
        assert not any(conversation), "the session is over, and the conversation's books are not empty"
        assert self.quota.parked == 0, "the session is over, and calls are still counted"

    # ---- effects ----------------------------------------------------------------------------------------------------

    def _does(self, effects: list[Effect]) -> None:
        self._effects(effects, conversation=False)
        self._settle()
        self._check()

    def _run(self, event: Event, *, conversation: bool) -> None:
        self._turns.append((conversation, event))
        self._settle()
        self._check()

    def _settle(self) -> None:
        while self._turns:
            conversation, event = self._turns.popleft()
            effects = self.side.handle(event) if conversation else self.talk.handle(event, self.now)
            self._effects(effects, conversation=conversation)
            if self.restores:
                restore(self.talk)

    def _effects(self, effects: list[Effect], *, conversation: bool) -> None:
        for effect in effects:
            if isinstance(effect, SetTimer):
                self._timer(effect, conversation=conversation)
            elif conversation:
                self._of_conversation(effect)
            else:
                self._of_machine(effect)

    def _of_conversation(self, effect: Effect) -> None:
        match effect:
            case ToServer(call=call, frame=frame, exchange=exchange):
                if call:
                    self.server.receive(call, frame, self.clients.marks)
                else:
                    self.server.take(frame)
                    self.taken = self.taken or (exchange > 0 and frame.method == "notifications/initialized")
            case ToClient(exchange=exchange, frame=frame, origin=origin):
                if not self.gone:
                    self._turns.append((False, FromServer(exchange, frame, origin)))
            case Abort(call=call):
                if call in self.server.open:
                    self.server.close(call) if not self.gone else self.server.end(call)
            case Reject():
                raise AssertionError("an answer to what was never asked")

    def _of_machine(self, effect: Effect) -> None:
        match effect:
            case ToServer(call=call, frame=frame, exchange=exchange):
                self._turns.append((True, FromClient(call or exchange, frame)))
            case ToClient(exchange=leg, frame=frame, final=final):
                self.clients.receive(leg, frame, final=final)
                _spoil(frame)
            case Unopened():
                self.gone = True
                assert not self.clients.waiting, "a session could not be opened, and a request still waits for it"

    def _timer(self, effect: SetTimer, *, conversation: bool) -> None:
        assert effect.after_s > 0
        self._timers += 1
        self._set[conversation, effect.key] = self._timers
        heapq.heappush(self.timers, (self.now + effect.after_s, self._timers, conversation, effect.key))

    # ---- what always holds ------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.gone:
            return
        talk, book = self.talk, self.side.book
        calls, asks = talk.calls, {**talk.asks, **dict.fromkeys(talk.held, 0)}
        waiting = {*talk.waiting, *talk.by_leg, *talk.listens.legs}
        assert waiting == self.clients.waiting.keys(), "the books of the requests differ"
        assert talk.by_leg == {leg: call.id for call in calls.values() for leg in call.legs}
        assert book.asks.keys() == asks.keys(), "a question of the server is nowhere, or in two places"
        assert {ask.backend_id for ask in book.asks.values()} == self.server.questions.keys()
        running = {call.id for call in calls.values() if call.sent and call.outcome is None} | talk.inner.keys()
        at_work = {call.client_id for call in book.calls.values() if not call.cancelled}
        assert at_work == running, "what runs at the server is not what is waited for"
        assert self.quota.parked == sum(call.counted for call in calls.values()) < QUOTA
        for number, owner in talk.asks.items():
            assert calls[owner].outcome is None, "a call that has ended still asks"
            assert any(one.ask == number for one in (*calls[owner].queued, *calls[owner].shown.values()))
        for call in calls.values():
            assert bool(call.legs) is (call.phase not in ("parked", "ending")), (
                "a call that nobody waits for, or two do"
            )
            assert call.round <= MAX_ROUNDS
            assert len(call.queued) + len(call.shown) <= MAX_QUESTIONS
            assert self._moves(call), f"a call that is {call.phase} waits for nothing"
        self._check_subscriptions()
        mattering = sum(talk.awaits(key) for conversation, key in self._set if not conversation)
        assert mattering <= 1 + len(asks) + len(talk.listens.legs) + 4 * len(calls), "timers pile up"

    def _moves(self, call: Any) -> bool:
        """True if something will come that brings a call on."""
        match call.phase:
            case "waiting":
                return "logging/setLevel" in self.talk.inner.values()
            case "running":
                return bool(call.sent)
            case "parked":
                return self._timed(f"parked:{self.talk.alarm.number}") and call.due_at >= self.now - 0.001
            case phase:
                key = {"visiting": "visit", "settling": "settle", "gathering": "gather", "ending": "grace"}[phase]
                return self._timed(f"{key}:{call.id}")

    def _timed(self, key: str) -> bool:
        return (False, key) in self._set

    def _check_subscriptions(self) -> None:
        books = self.talk.listens
        followed = Counter(uri for one in books.legs.values() for uri in one.uris)
        assert followed == books.followers, "who follows what is not what is counted"
        assert books.agreed.keys() <= books.followers.keys(), "followed by nobody, and not ended"
        for uri in {*books.coming, *books.leaving}:
            assert [uri in books.coming, uri in books.agreed, uri in books.leaving].count(True) == 1, (
                "two states at once"
            )
        if not (books.coming or books.leaving):
            assert books.agreed.keys() == self.server.followed, "the server follows something else"

    def ask(self, question: Question, stream: int, body: bytes) -> None:
        """The server asks."""
        self.server.questions[question.id] = question
        self.say(stream, body)

    def call_of(self, stream: int) -> Call | None:
        """The call whose stream this is."""
        return None if stream == STANDING else self.server.open.get(stream)


def _spoil(frame: Frame) -> None:
    """What a reader was given is its own: whatever it does with it must not show anywhere else."""
    for part in (frame.params, frame.result):
        if part is not UNSET:
            _spoil_value(part)
    if frame.error is not UNSET:
        frame.error.message = "spoilt"


def _spoil_value(value: Any) -> None:
    inner = value.values() if isinstance(value, dict) else value
    for child in list(inner):
        if isinstance(child, dict | list):
            _spoil_value(child)
    value.clear()
