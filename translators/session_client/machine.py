"""The machine itself: what each event of either side leads to. See the package for the whole picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import LEVELS, UNREADABLE
from translators.context import Context
from translators.errors import INVALID_PARAMS, METHOD_NOT_FOUND, Answered, Refused
from translators.machine import (
    Abort,
    Effect,
    Event,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Note,
    Origin,
    ToServer,
)
from translators.notes import lossy
from translators.reply import answered, broken, refused
from translators.session_client import lists, rounds
from translators.session_client.asking import answer_of_client, patience, take_back
from translators.session_client.envelope import STATELESS, Envelope, needs_only_envelope
from translators.session_client.facts import Facts
from translators.session_client.handshake import catalogued, discovered
from translators.session_client.legs import answer_of_call, notification_of_call
from translators.session_client.listening import Listening
from translators.session_client.lists import CHECK, Lists
from translators.session_client.renewing import AGAIN, rediscovered
from translators.session_client.rounds import Ask, Bridge
from translators.session_client.subscribing import (
    LISTEN,
    final,
    forget_subscription,
    from_listen,
    lost_listen,
    relisten,
    subscription,
)
from translators.tables import Tables, tables
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_capabilities import initialize_result

SESSION = "2025-11-25"
"""The revision this machine's client side speaks; older clients are translated before it."""


NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The member that a header must mirror; without it there is nothing a server could be asked."""


class SessionClient:
    """One session client's view of a stateless backend. `ids` gives unguessable strings (elicitation ids).

    With `compare_lists` an announced change of a list is told only if the client, whose revision `reader` is, would
    read another list (`lists`).
    """

    def __init__(
        self, facts: Facts, ids: Callable[[], str], *, compare_lists: bool = False, reader: str = SESSION
    ) -> None:
        self.facts = facts
        self.ids = ids
        self.lanes: Tables = tables(SESSION, STATELESS)
        self.envelope = Envelope({}, {"name": "unknown-mcp-client", "version": "0"})
        self.server: dict[str, Any] = {}
        self.bridges: dict[int, Bridge] = {}
        self.legs: dict[int, int] = {}  # leg -> call
        self.inner: dict[int, str] = {}  # leg -> what the machine itself asked for
        self.asks: dict[str, Ask] = {}
        self.greeting: int = 0
        self.pages = 0
        self.waiting: list[int] = []  # calls that wait for the catalogue
        self.listening = Listening()
        self.lists = Lists()
        self.compare_lists = compare_lists
        self.reader: Tables = tables(reader, SESSION)
        self.minted = 0
        self.asked = 0
        self.now = 0.0

    def handle(self, event: Event, now: float) -> list[Effect]:
        """The effects of one event, in order. `now` in seconds of any monotonic clock."""
        self.now = now
        if isinstance(event, FromClient):
            frame = event.frame
            if frame.method is UNSET:
                return answer_of_client(self, frame)
            if frame.id is not UNSET:
                return self._request(event.exchange, frame)
            return self._notification(frame)
        if isinstance(event, FromServer):
            return self._from_server(event.stream, event.frame, event.origin, event.settled)
        if isinstance(event, Failed):
            return self._failed(event.call, event.reason)
        if isinstance(event, Expired):
            return self._expired(event.key)
        return []

    def stand(self) -> list[Effect]:
        """The client's side wants what belongs to no call: listen, if the server announces anything."""
        self.listening.wanted = True
        return relisten(self)

    def close(self) -> list[Effect]:
        """The session is over: every leg is closed."""
        legs = [*self.legs, *self.inner]
        for book in (self.bridges, self.legs, self.inner, self.asks, self.waiting):
            book.clear()
        self.greeting, self.listening, self.lists = 0, Listening(), Lists()
        return [Abort(leg) for leg in legs]

    def cancel(self, call: int) -> list[Effect]:
        """Nobody waits for this call any more: its questions are taken back, its leg is closed."""
        forget_subscription(self, call)
        bridge = self.bridges.get(call)
        return [*take_back(self, bridge), *self.drop(bridge)] if bridge is not None else []

    # ---- the client's side ----------------------------------------------------------------------------------------

    def _request(self, call: int, frame: Frame) -> list[Effect]:
        method: Any = frame.method
        params: Any = frame.params if frame.params is not UNSET else {}
        if method == "initialize":
            return self._initialize(call, params)
        if method == "logging/setLevel":
            level = tree.whole(params, "level")
            if level not in LEVELS:
                return [final(call, broken(call, "client-garbage", code=INVALID_PARAMS))]
            self.envelope.level = level
            return [final(call, answered(call, {}))]
        if method in ("resources/subscribe", "resources/unsubscribe"):
            return subscription(self, call, method, tree.whole(params, "uri"))
        lanes = self.lanes.to_server.get(method)
        if lanes is None:
            return [final(call, broken(call, "method-unknown", code=METHOD_NOT_FOUND))]
        ctx = Context(method=method, facts=self.known())
        named = NAMED.get(method)
        try:
            if needs_only_envelope(lanes.params, params, ctx) and named in params:
                body = params
            elif named is not None and type(tree.deep(params.get(named))) is not str:
                return [final(call, broken(call, "client-garbage", code=INVALID_PARAMS))]
            else:
                # Only what this machine collects is an answer or a state; the client's revision knows neither.
                own = {name: value for name, value in params.items() if name not in rounds.OURS}
                body = lanes.params.run(own, ctx)
        except Refused as refusal:
            return [final(call, refused(call, refusal))]
        except Answered as done:
            return [final(call, answered(call, done.result))]
        except UNREADABLE:
            return [final(call, broken(call, "client-garbage", code=INVALID_PARAMS))]
        ctx.request = body
        meta = tree.shallow(body["_meta"]) if "_meta" in body else None
        token = tree.deep(meta.get("progressToken")) if isinstance(meta, dict) else None
        bridge = Bridge(call, method, body, ctx, token if type(token) in (int, str) else None)
        self.bridges[call] = bridge
        if method == "tools/call" and not self.facts.knows_tools(self.now):
            return [*lossy(ctx, method), *self.await_catalogue(call)]
        return self.send(bridge) + lossy(ctx, method)

    def known(self) -> dict[str, Any]:
        """The facts of a call's Context; without odd schemas there is nothing to say of tools.

        What the client declared is no fact here: the envelope says it, whatever a lane would write.
        """
        schemas = self.facts.schemas
        return {"tools": schemas} if schemas else {}

    def _initialize(self, call: int, params: Body) -> list[Effect]:
        capabilities = tree.whole(params, "capabilities")
        info = tree.whole(params, "clientInfo")
        known = info if isinstance(info, dict) else {"name": "unknown-mcp-client", "version": "0"}
        self.envelope = Envelope(capabilities, known)
        found = self.facts.discover(self.now)
        if found is not None:
            return self.greet(call, found)
        self.greeting = call
        return [self.inside("server/discover", {})]

    def greet(self, call: int, found: Body) -> list[Effect]:
        """Answer `initialize` from a discovery."""
        result = initialize_result(found, SESSION)
        self.server = result["capabilities"]
        return [final(call, answered(call, result))]

    def _notification(self, frame: Frame) -> list[Effect]:
        if frame.method == "notifications/cancelled":
            params: Any = frame.params if frame.params is not UNSET else {}
            call = tree.whole(params, "requestId")
            return self.cancel(call) if type(call) is int else []
        if frame.method == "notifications/initialized":
            return []
        # Nothing of a session's notifications has a counterpart: the server asks for roots when it needs them.
        return [Note("swallowed", frame.method if frame.method is not UNSET else "", "stateless")]

    # ---- the server's side ----------------------------------------------------------------------------------------

    def _from_server(self, leg: int, frame: Frame, origin: Origin, settled: Body | None) -> list[Effect]:
        inner = self.inner.get(leg)
        if inner == LISTEN:
            return from_listen(self, leg, frame)
        if frame.method is not UNSET:
            bridge = self.bridges.get(self.legs.get(leg, 0))
            if frame.id is not UNSET:
                return [Note("violation", frame.method, "request-from-stateless-server")]
            if bridge is None:
                return [Note("dropped", frame.method, "not-of-a-call")]
            return notification_of_call(self, bridge, frame)
        if inner is not None:
            return self._inner_answer(leg, frame)
        bridge = self.bridges.get(self.legs.pop(leg, 0))
        return [] if bridge is None else answer_of_call(self, bridge, frame, origin, settled)

    def _inner_answer(self, leg: int, frame: Frame) -> list[Effect]:
        inner = self.inner.pop(leg)
        if inner.startswith(CHECK):
            return lists.checked(self, inner.removeprefix(CHECK), frame)
        if inner.startswith(AGAIN):
            return rediscovered(self, frame)
        return discovered(self, frame) if inner == "server/discover" else catalogued(self, frame)

    def _failed(self, leg: int, reason: str) -> list[Effect]:
        inner = self.inner.get(leg)
        if inner == LISTEN:
            del self.inner[leg]
            return lost_listen(self, leg, reason)
        if inner is not None:
            return self._inner_answer(leg, broken(leg, reason))
        bridge = self.bridges.get(self.legs.pop(leg, 0))
        if bridge is None:
            return []
        return [final(bridge.call, broken(bridge.call, reason)), *self.drop(bridge)]

    def _expired(self, key: str) -> list[Effect]:
        kind, _, name = key.partition(":")
        if kind == "gather":
            self.listening.gathering = False
            return relisten(self)
        if kind == "listen":
            self.listening.resting = False
            return relisten(self)
        if kind == "rested":
            return lists.rested(self, name)
        bridge = self.bridges.get(int(name))
        if bridge is None:
            return []
        if kind == "patience":
            return patience(bridge)
        return self.send(bridge) if not bridge.leg else []

    # ---- legs -----------------------------------------------------------------------------------------------------

    def mint(self) -> int:
        """A request id never used towards this backend by this session."""
        self.minted += 1
        return self.minted

    def send(self, bridge: Bridge) -> list[Effect]:
        """The next leg of a call: a new id, the same parameters, this round's answers and state."""
        bridge.leg = self.mint()
        self.legs[bridge.leg] = bridge.call
        again = bridge.answers or bridge.state is not UNSET
        params = self.envelope.stamp(rounds.retry_params(bridge) if again else bridge.params)
        return [ToServer(bridge.leg, Frame(id=bridge.leg, method=bridge.method, params=params))]

    def inside(self, method: str, params: Body, purpose: str = "") -> ToServer:
        """A request of the machine's own."""
        leg = self.mint()
        self.inner[leg] = f"{purpose}{method}"
        return ToServer(leg, Frame(id=leg, method=method, params=self.envelope.stamp(params)))

    def await_catalogue(self, call: int) -> list[Effect]:
        """The call needs to know which arguments its tool mirrors in headers."""
        self.waiting.append(call)
        return [] if "tools/list" in self.inner.values() else [self.inside("tools/list", {})]

    def drop(self, bridge: Bridge) -> list[Effect]:
        """Forget a call, and close its leg if one is open."""
        self.bridges.pop(bridge.call, None)
        if bridge.call in self.waiting:
            self.waiting.remove(bridge.call)
        if self.asks:
            for ask_id in [ask_id for ask_id, ask in self.asks.items() if ask.call == bridge.call]:
                del self.asks[ask_id]
        return [Abort(bridge.leg)] if self.legs.pop(bridge.leg, None) is not None else []
