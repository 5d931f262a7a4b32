"""The machine itself: what each event of either side leads to. See the package for the whole picture."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import Frame
from translators.handshake import INPUTS
from translators.inputs import ASKING
from translators.machine import Effect, Event, Expired, FromServer, Note, Origin, ToServer
from translators.reply import broken, notify
from translators.stateless_client import (
    greeting,
    listening,
    pages,
    questions,
    requests,
    resuming,
    rounds,
    setup,
    urls,
)
from translators.stateless_client.answers import answer_of_call, cut_off
from translators.stateless_client.calls import (
    Asked,
    Call,
    Greeted,
    Habits,
    Leg,
    Memory,
    Question,
    Quota,
    Tombstone,
    Unopened,
    final,
)
from translators.stateless_client.notices import notification_of_server
from translators.tables import Tables, tables
from translators.tree import Body

SESSION = "2025-11-25"
"""The revision of the client this machine plays; older servers are translated behind it."""

STATELESS = "2026-07-28"
"""The revision of the clients it answers."""


class Rules(msgspec.Struct, frozen=True):
    """What an operator may choose. `wrap_cursors` where a session is shared by requests; times in seconds.

    A round waits `park_s` for its answers, and all rounds of a call together `park_most_s`.
    """

    park_s: float = 600.0
    park_most_s: float = 3600.0
    park_per_session: int = 8
    batch_s: float = 0.04
    batch_most_s: float = 0.25
    unsolicited: str = "error"
    list_ttl_ms: int = 0
    wrap_cursors: bool = True


class StatelessClient:
    """One session with a server, as its stateless clients use it. `owner` and `number` name it in states."""

    def __init__(
        self,
        capabilities: dict[str, Any],
        client_info: Any,
        *,
        owner: str,
        number: int,
        habits: Habits,
        memory: Memory,
        quotas: tuple[Quota, ...] = (),
        rules: Rules = Rules(),  # noqa: B008 - frozen
    ) -> None:
        self.capabilities = capabilities
        self.client_info = client_info
        self.owner, self.number = owner, number
        self.habits, self.memory, self.quotas, self.rules = habits, memory, quotas, rules
        self.lanes: Tables = tables(STATELESS, SESSION)
        self.phase = "new"
        self.hello: Body = {}
        self.identity: Body = {}
        self.meta: Raw | None = None
        self.stands = False
        self.ready_at = 0.0
        self.level = requests.NO_LEVEL
        self.waiting: dict[int, Asked] = {}
        self.calls: dict[int, Call] = {}
        self.by_leg: dict[int, int] = {}
        self.inner: dict[int, str] = {}
        self.asks: dict[int, int] = {}  # the conversation's id of a question that is open -> its call
        self.held: dict[int, Question] = {}
        self.asking_sent = False  # whether a call that may ask was ever sent
        self.tombs: dict[int, Tombstone] = {}
        self.listens = listening.Listens()
        self.pages = pages.Pages()
        self.visits = urls.Visits()
        self.alarm = rounds.Alarm()
        self.minted = 0
        self.now = 0.0

    # ---- what the owner does ----------------------------------------------------------------------------------------

    def open(self) -> list[Effect]:
        """Begin the session."""
        return [greeting.hello(self)]

    def handle(self, event: Event, now: float) -> list[Effect]:
        """The effects of one event, in order. `now` in seconds of any monotonic clock."""
        self.now = now
        kind = type(event)
        if self.phase == "closed":
            return [final(event.leg, broken(event.leg, "session-ended"))] if kind is Asked else []  # type: ignore[attr-defined]
        if kind is Asked:
            return self._asked(event)  # type: ignore[arg-type]
        if kind is FromServer:
            return self._from_server(event.stream, event.frame, event.origin)  # type: ignore[attr-defined]
        if kind is Greeted:
            return self._greeted(stands=event.stands)  # type: ignore[attr-defined]
        if kind is Expired:
            return self._expired(event.key)  # type: ignore[attr-defined]
        return []

    def abandon(self, leg: int) -> list[Effect]:
        """Nobody waits for this leg any more; the last one of a call cancels it (a suspended call has none)."""
        if self.waiting.pop(leg, None) is not None:
            return []
        if leg in self.listens.legs:
            return listening.ended(self, leg)
        if leg not in self.by_leg:
            return []
        call = self.calls[self.by_leg.pop(leg)]
        del call.legs[leg]
        return [] if call.legs else self.cancel(call)

    def resync(self, now: float, *, again: bool) -> list[Effect]:
        """Something may have been missed: whoever listens looks again. `again`: the session was opened anew."""
        if again:
            self.ready_at = now  # it may ask again what servers ask in their set-up
            self.pages.renew()
        return listening.resynced(self)

    def changed_elsewhere(self, method: str) -> list[Effect]:
        """The server said in another session of this caller that one of its lists has changed."""
        return listening.announced(self, method, {})

    def close(self, reason: str) -> list[Effect]:
        """The session is over: every leg is answered, every suspended call is lost."""
        effects: list[Effect] = [final(leg, broken(leg, reason)) for leg in self.waiting]
        for call in list(self.calls.values()):
            effects += cut_off(self, call, reason)
            self.forget(call)
        effects += listening.closed(self)
        self.waiting.clear()
        self.held.clear()
        self.inner.clear()
        self.phase = "closed"
        return effects

    @property
    def idle(self) -> bool:
        """True while nothing of it is open: no request, no suspended call, no listening."""
        return not (self.waiting or self.calls or self.listens.legs)

    @property
    def can_ask(self) -> bool:
        """True if its client declared anything that lets a server ask."""
        return any(name in self.capabilities for name in INPUTS)

    @property
    def may_ask(self) -> bool:
        """True while a call is open that questions on the standing stream could belong to."""
        return any(call.method in ASKING for call in self.calls.values()) or any(
            event.frame.method in ASKING for event in self.waiting.values()
        )

    def awaits(self, key: str) -> bool:
        """True if the timer of that key may still change anything."""
        kind, _, name = key.partition(":")
        number = int(name.partition(":")[0])
        if kind == "subscribed":
            return number in self.listens.legs
        if kind == "parked":
            return number == self.alarm.number and self.alarm.due_at is not None
        return number in (self.held if kind == "held" else self.calls)

    # ---- the client's side ------------------------------------------------------------------------------------------

    def _asked(self, event: Asked) -> list[Effect]:
        if event.state is not None:
            effects = resuming.resumed(self, event)
            if effects is not None:
                return effects
        if self.phase != "ready":
            self.waiting[event.leg] = event
            return []
        return requests.serve(self, event)

    def attach(self, call: Call, leg: Leg) -> None:
        """A request waits for this call now."""
        call.legs[leg.id] = leg
        call.capabilities = leg.capabilities
        self.by_leg[leg.id] = call.id

    def cancel(self, call: Call) -> list[Effect]:
        """Tell the server that nobody waits for a call any more."""
        effects = questions.dismiss(self, call)
        if call.sent:
            effects.append(ToServer(0, notify("notifications/cancelled", {"requestId": call.id})))
        self.forget(call)
        return effects

    def forget(self, call: Call) -> None:
        """Nothing of a call is kept."""
        self.calls.pop(call.id, None)
        for leg in call.legs:
            self.by_leg.pop(leg, None)
        if call.queued or call.shown:
            for question in (*call.queued, *call.shown.values()):
                self.asks.pop(question.ask, None)
        if call.counted:
            for quota in self.quotas:
                quota.parked -= 1

    def mint(self) -> int:
        """A request id never used in this session."""
        self.minted += 1
        return self.minted

    # ---- the server's side ------------------------------------------------------------------------------------------

    def _from_server(self, stream: int, frame: Frame, origin: Origin) -> list[Effect]:
        if frame.method is not UNSET:
            if frame.id is not UNSET:
                return questions.asked(self, stream, frame)
            return notification_of_server(self, stream, frame)
        inner = self.inner.pop(frame.id, None) if type(frame.id) is int else None
        if inner == "initialize":
            return greeting.answered_hello(self, frame, origin)
        if inner == requests.SET_LEVEL:
            return requests.levelled(self)
        if inner is not None:
            return listening.subscribed(self, inner, frame)
        call = self.calls.get(frame.id) if type(frame.id) is int else None
        return [] if call is None else answer_of_call(self, call, frame, origin)

    def _greeted(self, *, stands: bool) -> list[Effect]:
        if self.phase != "initialized":
            return []
        self.phase, self.stands, self.ready_at = "ready", stands, self.now
        waiting, self.waiting = self.waiting, {}
        effects: list[Effect] = []
        for event in waiting.values():
            effects += self._asked(event)
        return effects

    def fail(self, reason: str) -> list[Effect]:
        """The session cannot be opened."""
        self.phase = "closed"
        waiting, self.waiting = self.waiting, {}
        effects: list[Effect] = [final(leg, broken(leg, reason)) for leg in waiting]
        return [*effects, Note("failed", "initialize", reason), Unopened(reason)]

    def _expired(self, key: str) -> list[Effect]:
        kind, _, name = key.partition(":")
        if kind == "subscribed":
            return listening.acknowledge(self, int(name))
        if kind == "parked":
            return resuming.overdue(self, int(name))
        number, _, detail = name.partition(":")
        if kind == "held":
            return setup.gave_up(self, int(number))
        call = self.calls.get(int(number))
        if call is None:
            return []
        if kind == "settle":
            return setup.settled(self, call)
        if kind == "gather":
            return rounds.gathered(self, call)
        if kind == "beat":
            return questions.beat(self, call, int(detail))
        if kind == "visit":
            return urls.waited(self, call)
        return self.cancel(call) if call.phase == "ending" else []
