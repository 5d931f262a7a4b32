"""One request of a modern client on its way to a modern backend and back: the backend's edge of that one call.

    client request -> hooks -> leg           (params made anew, ids and tokens the broker's, headers from what is sent)
    leg -> hooks -> client's own id and token (notifications of this call alone, then one answer)

Invariants: an answer, a failure or the client's going ends the call, whichever is first, exactly once; after that
nothing is written for it; hooks see every message as the backend wrote it or will read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from broker.faces.stateless_errors import fault_of, given_on, is_away
from broker.faces.stateless_listen import HIDDEN, LISTEN, Subscription
from broker.faces.stateless_params import (
    LEVELS,
    STATE,
    Envelope,
    binding,
    introduction,
    is_retry,
    outgoing,
    read_envelope,
    within_session,
)
from broker.faces.stateless_results import CACHEABLE, COMPLETE, INPUT_REQUIRED, Violation, discovered, hinted, interim
from broker.faces.stateless_results import typed as result_type
from broker.faces.stateless_rounds import CallRounds
from broker.gate import Gate
from broker.hooks.base import Caller, CallInfo, Deny
from broker.hooks.inner import REQUESTS
from broker.seal import MAX_ROUNDS, Unsealable
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.errors import Refused
from translators.machine import Origin, ToServer
from translators.mirrored import headers_of
from translators.reply import broken
from translators.stateless_client import bad_state

if TYPE_CHECKING:
    from broker.audit.record import Record
    from broker.audit.trail import Trail
    from broker.faces.classify import Modern
    from broker.faces.stateless_relay import StatelessRelay
    from broker.identity import Principal
    from broker.outbox import Exchange
    from broker.quotas import Ticket

PROGRESS: Final = "notifications/progress"
MESSAGE: Final = "notifications/message"

ParamHeaders = tuple[tuple[str, str], ...]


class StatelessCall:
    """One open request. `number` names it everywhere behind the broker: leg, JSON-RPC id, progress token."""

    trail: Trail | None = None
    record: Record | None = None

    def __init__(
        self,
        relay: StatelessRelay,
        number: int,
        modern: Modern,
        client_id: int | str,
        caller: Principal,
        exchange: Exchange,
        *,
        round: int = 1,  # noqa: A002
        param_headers: ParamHeaders = (),
        bridged: bool = False,
        session_key: str = "",
        envelope: Envelope | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        self.relay = relay
        self.number = number
        self.modern = modern
        self.method = modern.method
        self.client_id = client_id
        self.who = caller
        self.exchange = exchange
        self.param_headers = param_headers
        self.bridged = bridged
        self.session_key = session_key
        self.principal = caller.id
        self.name = relay.context.name
        self.watch = relay.context.watch
        self.envelope = envelope if envelope is not None else read_envelope(modern.meta, caller)
        self.told, self.capabilities = self.envelope.told, self.envelope.capabilities
        self.token, self.level = self.envelope.token, self.envelope.level
        self.subscription = Subscription(client_id, modern.params, self._barred) if self.method == LISTEN else None
        self.ticket = ticket
        self.open = True
        self.fault = ""
        """Why the broker refused this request, for the audit."""
        self.rounds = CallRounds(round)
        # Before a backend with sessions, that session's relay is the backend's edge, and has the hooks.
        self.gate: Gate | None = None
        if relay.context.hooks.hooks:
            self.guard()

    @property
    def client_info(self) -> Any:
        """How the client introduces itself with this request; None if it does not."""
        return introduction(self.modern.meta)

    def start(self, inner: bytes | None) -> None:
        """Send the request; `inner` is what was sealed as its state: the backend's own, and what goes with it."""
        refusal = None if inner is None else self._refusal(self.method, self.modern.target)
        if refusal is not None:  # the answers go to a call that is open, which its request has to be let through to
            self.watch.denied(self, self.number, "params", self.method, refusal.reason)
            self.finish(broken(self.number, "denied", code=refusal.code, message=refusal.message))
            return
        params = self._params()
        self.rounds.resume(params, inner)
        self._send(params)

    def _params(self) -> dict[str, Any]:
        """As they are sent. Whoever taps sees what takes the envelope out before a session."""
        if self.bridged and not self.watch.tapping:
            params = within_session(self.modern, self.envelope, self.number)
        else:
            params = outgoing(self.modern, self.told, self.number)
        return params if self.subscription is None else self.subscription.sent(params)

    def _barred(self, method: str, uri: str | None) -> bool:
        """Whether policy keeps this caller from what a session that it shares tells anybody."""
        return self._refusal(method, uri) is not None

    def _refusal(self, method: str, target: str | None) -> Deny | None:
        """Why this caller may not use that, where a session of the backend judges by itself what reaches it."""
        context = self.relay.context
        if not self.bridged or not context.hooks.hooks:
            return None
        info = CallInfo(method, target, self.principal, self.name, caller=self.caller(self.number))
        return context.hooks.review(info)

    def _send(self, params: dict[str, Any]) -> None:
        frame = jsonrpc.request(self.number, self.method, params)
        if self.bridged:
            self.relay.send(self, frame, [])
            return
        effect = ToServer(self.number, frame)
        if self.gate is None or not self.gate.to_backend(effect):
            self.to_backend(effect)

    def _again(self, body: dict[str, Any]) -> None:
        """Policy has answered all that the backend asked: the call goes on, and its client hears nothing of it."""
        if self.rounds.number >= MAX_ROUNDS:
            self.finish(broken(self.number, "too-many-rounds"))
            return
        self.relay.renumber(self)
        params = self._params()
        self.rounds.go_on(params, body.get(STATE))
        self._send(params)

    def cross(self) -> None:
        """The backend has left sessions behind and ran nothing of this call: ask it as it wants to be asked."""
        if STATE in self.modern.params:
            self.finish(bad_state(self.number))  # what was suspended is gone with its session
            return
        self.bridged = False
        self.guard()
        self.start(None)

    def heard(self, frame: Frame) -> None:
        """One message of the backend on this call's leg."""
        if self.gate is None or not self.gate.from_backend(self.number, frame):
            self.from_backend(self.number, frame)

    def guard(self) -> None:
        """There are hooks now, and there were none when the call began."""
        if self.gate is None and not self.bridged and self.relay.context.hooks.hooks:
            self.gate = Gate(self, self.relay.context.hooks, self.rounds)

    def close(self) -> None:
        """Nothing more is to be said or done for it."""
        self.open = False
        if self.ticket is not None:
            self.ticket.leave()
        if self.gate is not None:
            self.gate.close()

    # ---- what the gate asks of an edge ----------------------------------------------------------------------------

    def caller(self, call: int) -> Caller:  # noqa: ARG002
        """Whose request this is."""
        return self.relay.caller(self)

    def is_open(self, call: int) -> bool:  # noqa: ARG002
        """True while somebody waits for the answer."""
        return self.open

    def accept(self, exchange: int) -> None:
        """No notification is sent to a stateless backend."""

    def to_backend(self, effect: ToServer) -> None:
        """Send what policy has passed; its headers mirror what is really sent."""
        frame = effect.frame
        params: Any = frame.params if frame.params is not UNSET else {}
        try:
            headers = headers_of(self.method, params, self.relay.annotations(self))
        except Refused as refusal:
            self.finish(broken(self.number, refusal.reason, code=refusal.code, message=refusal.message))
            return
        known = {name.lower() for name, _ in headers}
        headers += [header for header in self.param_headers if header[0].lower() not in known]
        headers += effect.headers
        self.relay.send(self, frame, headers)

    def from_backend(self, stream: int, frame: Frame, origin: Origin = "peer") -> None:  # noqa: ARG002
        """Take what policy has passed, or what it says in the backend's place."""
        if not self.open:
            return
        if frame.method is not UNSET:
            why = self._notification(frame) if frame.id is UNSET else "backend-request"
            if why:
                self.watch.note(self.name, "denied" if why == HIDDEN else "violation", frame.method, why)
            else:
                self.relay.to_client(self, frame)
        elif frame.error is not UNSET:
            self.finish(given_on(frame))
        elif self.rounds.settled and frame.result is not UNSET and self.rounds.may_go_on(self.method, frame.result):
            self._again(frame.result)
        else:
            self.finish(self._completed(frame))

    def finish(self, frame: Frame) -> None:
        """Answer the client, in its own id; the first answer is the only one."""
        if not self.open:
            return
        if frame.error is not UNSET:
            self.fault = fault_of(frame)
            if self.method == "server/discover" and is_away(frame):
                frame = self.relay.last_discovery(self, frame)
        frame.id = self.client_id
        self.relay.answer(self, frame)

    # ---- the client's view ----------------------------------------------------------------------------------------

    def _notification(self, frame: Frame) -> str:
        """Make a notification the client's own; the reason if it must not pass, else an empty text."""
        if self.subscription is not None:
            return self.subscription.passes(frame)
        method: Any = frame.method
        params: dict[str, Any] = {} if frame.params is UNSET else frame.params
        if method == PROGRESS:
            if self.token is None or tree.deep(params.get("progressToken")) != self.number:
                return "foreign-progress"
            frame.params = {**params, "progressToken": self.token}
        elif method == MESSAGE:
            level = tree.deep(params.get("level"))
            if level not in LEVELS or LEVELS.index(level) < self.level:
                return "unasked-log"
        elif method in self.relay.unrelated:
            return "unrelated-notification"
        return ""

    def _completed(self, frame: Frame) -> Frame:
        body: dict[str, Any] = frame.result if frame.result is not UNSET else {}
        try:
            kind = result_type(body)
            if kind == INPUT_REQUIRED:
                interim(
                    self.method, body, self.capabilities, self.relay.context.wire, lambda state: self._seal(state, body)
                )
            elif kind != COMPLETE and not self.capabilities.get("extensions"):
                # Types that the core has not are those of extensions, and to this client invalid (basic/index).
                raise Violation("result-type")
            elif kind == COMPLETE and self.method in CACHEABLE:
                hinted(body, filtered=self.gate is not None, retry=is_retry(self.modern))
                if self.method == "server/discover":
                    discovered(body, self.relay.context.listed)
                    self.relay.keep(self, body)
        except Violation as violation:
            self.watch.note(self.name, "violation", self.method, violation.reason)
            return broken(self.number, "backend-garbage")
        except Unsealable:
            self.watch.note(self.name, "violation", self.method, "unsealable")
            return broken(self.number, "unsealable", message="The server's request state cannot be carried")
        frame.result = self.subscription.marked(body) if self.subscription is not None else body
        return frame

    def _seal(self, state: bytes | None, body: dict[str, Any]) -> str | None:
        context = self.relay.context
        inner = self.rounds.carried(state, body[REQUESTS], judged=self.gate is not None and context.hooks.answers)
        if inner is None:
            return None
        belongs = binding(self.modern, self.who, context.name, context.reach.identity, bridged=self.bridged)
        return context.seal.seal(inner, belongs, round=self.rounds.number)
