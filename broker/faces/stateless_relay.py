"""The open requests of modern clients before one modern backend: their legs, their exchanges, what is known of tools.

Everything runs in callbacks of the loop, so that a call costs no task. Invariants: each call has a number of the
broker's own, so that equal ids of different clients never meet; every call that began is answered, or its client has
gone, in which case its leg is closed within the same turn of the loop.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET, Raw

from broker.backends.base import Legs, Refusal
from broker.backends.session_pool import SessionPool
from broker.callers import caller_of
from broker.era_signs import evidence
from broker.faces.classify import MODERN
from broker.faces.stateless_call import StatelessCall
from broker.faces.stateless_discover import Discoveries, Key
from broker.faces.stateless_errors import status_of
from broker.faces.stateless_listen import LISTEN
from broker.faces.stateless_results import without
from broker.identity.principal import SHARED
from broker.outbox import Outbox
from broker.pressure import SLOW_FACTOR
from broker.telling import told
from protocol_versions import by_id, jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.mirrored import Annotations
from translators.reply import broken

if TYPE_CHECKING:
    from broker.context import ServerContext
    from broker.faces.stateless_params import Envelope
    from broker.hooks.base import Caller
    from broker.identity import Principal


MAX_CALLERS = 256
"""Envelopes whose callers are remembered; a client program has one for all its requests."""


class StatelessRelay:
    """One virtual server's modern traffic."""

    def __init__(self, context: ServerContext, *, outbox: Outbox | None = None) -> None:
        revision = by_id(MODERN[-1])
        self.context = context
        self.sending = SHARED
        """Whose request is being sent."""
        self.legs = context.reach.legs(self, observer=self._refused, who=lambda: self.sending)
        self.bridge = SessionPool(context, self)
        self.outbox = outbox or Outbox(revision.traits, context.numbers, max_events=0, max_bytes=0)
        self.calls: dict[int, StatelessCall] = {}
        self.listening: Counter[str] = Counter()
        self.discoveries = Discoveries()
        # Notifications this revision sends on a subscription alone: never on the stream of another request.
        self.unrelated = frozenset(
            slot.method
            for slot in revision.types
            if slot.part == "notification" and slot.method.split("/")[-1] not in ("progress", "message")
        )
        self._numbers = itertools.count(1)
        self._callers: dict[tuple[int, str], tuple[Envelope, Principal, Caller]] = {}

    # ---- what the face does ---------------------------------------------------------------------------------------

    def begin(self, *, peer: str = "", **parts: Any) -> StatelessCall:  # noqa: ARG002
        """A new call with an exchange of its own, from the address `peer`; `parts` are those of StatelessCall."""
        call = StatelessCall(self, next(self._numbers), exchange=self.outbox.open(1), **parts)
        self.calls[call.number] = call
        if call.method == LISTEN:
            self.listening[call.principal] += 1
        return call

    def renumber(self, call: StatelessCall) -> None:
        """A call goes on by another request: a new leg, under an id that was never used."""
        del self.calls[call.number]
        call.number = next(self._numbers)
        self.calls[call.number] = call

    def leave(self, call: StatelessCall) -> None:
        """Nobody waits any more: a call that is still open is cancelled, which on HTTP means its leg is closed."""
        self.outbox.exchanges.pop(call.exchange.id, None)
        if call.open:
            self._forget(call)
            self._line(call).abort(call.number)

    def annotations(self, call: StatelessCall) -> Annotations | None:
        """The header annotations of the tool a call is about; None if its schema is not known."""
        if call.method != "tools/call" or call.modern.target is None:
            return None
        return self.context.facts(call.who).mirrored(call.modern.target) or None

    def caller(self, call: StatelessCall, revision: str = "") -> Caller:
        """The caller of a request, before a backend of this revision, absent: of the request's own.

        Requests of equal envelopes have one object for it, so that what is decided of one holds for the others.
        """
        key = (id(call.envelope), revision)
        found = self._callers.get(key)
        if found is not None and found[0] is call.envelope and found[1] is call.who:
            return found[2]
        caller = caller_of(call.who, call.client_info, call.modern.revision.id, revision or call.modern.revision.id)
        if len(self._callers) >= MAX_CALLERS:
            self._callers.clear()
        self._callers[key] = call.envelope, call.who, caller
        return caller

    # ---- what a call does -----------------------------------------------------------------------------------------

    def send(self, call: StatelessCall, frame: Frame, headers: list[tuple[str, str]]) -> None:
        """POST to the backend, or give to the session that stands for it."""
        if call.bridged:
            try:
                self.bridge.post(call, frame)
            except Exception as error:
                self.bug(call, error)
            return
        if self.context.watch.tapping:
            self.context.watch.frame("backend", "out", self.context.name, frame)
        self.sending = call.who
        self.legs.post(call.number, frame, headers, stream=call.method == LISTEN)

    def to_client(self, call: StatelessCall, frame: Frame) -> None:
        """One notification on the call's own stream; a reader that does not keep up stops the backend's."""
        context = self.context
        if context.watch.tapping:
            context.watch.frame("client", "out", context.name, frame)
        exchange = call.exchange
        if exchange.id not in self.outbox.exchanges or exchange.abandoned:
            return
        stream, most = exchange.stream, context.watch.queue_bytes
        if stream is not None and stream.queued > most and not self._keeps_up(call, stream.queued):
            return
        self.outbox.send(exchange.id, jsonrpc.encode(frame), final=False)
        stream, ticket = exchange.stream, self._line(call).ticket(call.number)
        if stream is None or ticket is None or stream.pressure or stream.queued <= most:
            return

        def relieve() -> None:
            stream.pressure = False
            ticket.resume()

        stream.pressure = True
        ticket.pause()
        stream.when_relieved(relieve)

    def _keeps_up(self, call: StatelessCall, queued: int) -> bool:
        """True if a reader that is behind may still be told this.

        What comes on a line that others share (a session's standing stream, a process) cannot be held back for one of
        them: a subscription ends in good order, for its client to begin another; of a call, the messages are dropped.
        """
        watch, name, line = self.context.watch, self.context.name, self._line(call)
        if not call.bridged and line.ticket(call.number) is not None:
            return True  # it has a stream of its own, which has been stopped
        if call.subscription is not None:
            watch.note(name, "dropped", call.method, "slow-reader")
            line.abort(call.number)
            call.finish(jsonrpc.response(call.number, call.subscription.ended()))
            return False
        if queued > SLOW_FACTOR * watch.queue_bytes:
            watch.note(name, "dropped", call.method, "slow-reader")
            return False
        return True

    def cross(self, leg: int) -> None:
        """A call that no session ran is asked of the backend's stateless face."""
        call = self.calls.get(leg)
        if call is not None:
            call.cross()

    def last_discovery(self, call: StatelessCall, otherwise: Frame) -> Frame:
        """The last good discovery of this caller, for a backend that is away."""
        kept = self.discoveries.stale(self.discovery_key(call.who, call.told), self.context.wheel.clock())
        return otherwise if kept is None else jsonrpc.response(call.number, kept)

    def answer(self, call: StatelessCall, frame: Frame) -> None:
        """The call's one answer: a status and a JSON object, or the last event of its stream."""
        frame, data = told(self.context.watch, self.context.name, frame)
        self._forget(call)
        exchange = call.exchange
        if exchange.stream is not None:
            self.outbox.send(exchange.id, data, final=True)
        elif self.outbox.exchanges.pop(exchange.id, None) is not None:
            exchange.finish(status_of(frame), data)

    def discovery_key(self, who: Principal, told: Raw) -> Key:
        """Who may be shown a kept discovery."""
        return who.id, self.context.audience(who), bytes(told)

    def keep(self, call: StatelessCall, body: dict[str, Any]) -> None:
        """Remember a discovery for as long as it says it is fresh."""
        self.discoveries.keep(self.discovery_key(call.who, call.told), body, self.context.wheel.clock())

    # ---- what the backend says (broker.backends.base.StatelessOwner) -------------------------------------

    def leg_message(self, leg: int, frame: Frame) -> None:
        """One message of a leg."""
        call = self.calls.get(leg)
        if self.context.watch.tapping and not (call is not None and call.bridged):
            self.context.watch.frame("backend", "in", self.context.name, frame)
        if call is None:
            return
        try:
            self._learn(call, frame)
            call.heard(frame)
        except Exception as error:
            self.bug(call, error)

    def leg_failed(self, leg: int, reason: str, executed: Literal["no", "unknown"]) -> None:  # noqa: ARG002
        """A call gets no answer from the backend: it gets one from us."""
        call = self.calls.get(leg)
        if call is not None:
            self.context.watch.note(self.context.name, "failed", call.method, reason)
            call.finish(broken(leg, reason))

    def leg_violation(self, leg: int, reason: str) -> None:
        """The backend said something that is carried nowhere."""
        call = self.calls.get(leg)
        self.context.watch.note(self.context.name, "violation", "" if call is None else call.method, reason)

    # ---- the end --------------------------------------------------------------------------------------------------

    def cut(self, call: StatelessCall, answer: Frame) -> None:
        """End a call here and at the backend, with this answer."""
        self._line(call).abort(call.number)
        call.finish(answer)

    def wind_down(self) -> None:
        """The broker is about to stop: subscriptions end in good order, calls may still finish."""
        for call in list(self.calls.values()):
            if call.subscription is not None:
                self.cut(call, jsonrpc.response(call.number, call.subscription.ended()))

    def close(self) -> None:
        """The broker stops: what is still open is answered, and cancelled at the backend."""
        self.wind_down()
        for call in list(self.calls.values()):
            self.cut(call, broken(call.number, "shutdown", message="The broker is shutting down"))
        self.legs.close()
        self.bridge.close()

    def bug(self, call: StatelessCall, error: Exception) -> None:
        """A bug of ours ends one call, and is told to the operator without its text."""
        self.context.watch.note(self.context.name, "failed", call.method, f"internal:{type(error).__name__}")
        self._line(call).abort(call.number)
        call.finish(broken(call.number, "internal"))

    def _line(self, call: StatelessCall) -> Legs | SessionPool:
        """Where a call's request went."""
        return self.bridge if call.bridged else self.legs

    def _forget(self, call: StatelessCall) -> None:
        call.close()
        if self.calls.pop(call.number, None) is not None and call.method == LISTEN:
            self.listening[call.principal] -= 1
            if not self.listening[call.principal]:
                del self.listening[call.principal]

    def _refused(self, leg: int, refusal: Refusal) -> None:
        """A refusal that only a server of the other era gives makes the broker look again."""
        call = self.calls.get(leg)
        method = call.method if call is not None else ""
        if evidence(refusal.status, refusal.code, refusal.text, method=method):
            self.context.era.contradicted("modern")

    def _learn(self, call: StatelessCall, frame: Frame) -> None:
        """Facts are compiled before any hook sees the body; a tool whose annotations break the rules is left out."""
        if call.method == "tools/list" and type(frame.result) is dict:
            now = self.context.wheel.clock()
            first = "cursor" not in call.modern.params
            bad, _ = self.context.facts(call.who).learn_tools(frame.result, now, first=first)
            if bad:
                self.context.watch.note(self.context.name, "tool-dropped", call.method, "x-mcp-header")
                without(frame.result, bad)
        elif frame.method == "notifications/tools/list_changed":
            self.context.facts(call.who).forget_tools()
        elif call.method == "tools/call" and not call.bridged and _failed(frame) and self.context.two_faced:
            self.context.styles.learn("modern", call.modern.target or "", frame)


def _failed(frame: Frame) -> bool:
    """True for an answer that may say that a tool failed."""
    return frame.error is not UNSET or (frame.result is not UNSET and "isError" in frame.result)
