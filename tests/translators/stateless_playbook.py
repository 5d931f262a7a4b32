"""Plays stateless clients before one session server: JSON in from either side, whole lists of effects out.

Numbers are the machine's own: 1 is `initialize`, 2 the exchange of `initialized`, calls count on from there. Legs are
what the test says; a request that carries a `requestState` brings what was sealed, as the broker opens it.
"""

from __future__ import annotations

from typing import Any

import pytest

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.translators.playbook import CLIENT_INFO, SERVER_INFO, Json, frame, plain, text
from translators import tree
from translators.machine import Event, Expired, FromServer, Note, Origin, SetTimer, ToClient, ToServer
from translators.stateless_client import Asked, Greeted, Habits, Memory, State, StatelessClient, read_state
from translators.stateless_client.calls import Quota
from translators.stateless_client.machine import Rules
from translators.stateless_client.requests import NO_LEVEL

PREFIX = "io.modelcontextprotocol/"
SERVER = f"{PREFIX}serverInfo"
META = {SERVER: SERVER_INFO}

FORM: Json = {"mode": "form", "message": "?", "requestedSchema": {"type": "object", "properties": {}}}
PAGE: Json = {"mode": "url", "message": "Open", "url": "https://example.com/a"}
SAMPLE: Json = {"messages": [], "maxTokens": 5}
INPUTS: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}

ACCEPTED: Json = {"action": "accept", "content": {"n": 1}}
SAMPLED: Json = {"role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m"}
LISTED: Json = {"roots": [{"uri": "file:///a"}]}

DONE: Json = {"content": [{"type": "text", "text": "done"}]}
COMPLETE: Json = {**DONE, "resultType": "complete", "_meta": META}

ELICIT, CREATE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
OFFERS: Json = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "logging": {},
}
FIRST = 3
"""The first call of a session that was opened by `met`."""


def told(leg: int, **message: Any) -> ToClient:
    """A companion of a leg."""
    return ToClient(leg, frame(**message))


def done(leg: int, result: Json) -> ToClient:
    """The result that ends a leg."""
    return ToClient(leg, frame(id=leg, result=result), final=True)


def failed(leg: int, reason: str, message: str, code: int = -32603) -> ToClient:
    """The broker's error that ends a leg."""
    data = {"origin": "broker", "reason": reason}
    return errored(leg, code, message, data)


def errored(leg: int, code: int, message: str, data: Any = None) -> ToClient:
    """An error that ends a leg."""
    error = {"code": code, "message": message, **({} if data is None else {"data": data})}
    return ToClient(leg, frame(id=leg, error=error), final=True)


def bad(leg: int) -> ToClient:
    """The one answer to every state that is not right."""
    return failed(leg, "invalid_request_state", "Invalid params: requestState is not valid", -32602)


def unusable(leg: int) -> ToClient:
    """The answer to answers that cannot be read."""
    text = "Invalid params: inputResponses holds an answer that is not valid"
    return failed(leg, "client-garbage", text, -32602)


def state(round_: int = 1, call: int = FIRST, *pages: str) -> str:
    """The state of a round, as it is sealed; with pages that of a round of URLs."""
    return State("visit" if pages else "call", "owner", 1, call, round_, list(pages)).text()


def shown(leg: int, requests: Json, round_: int = 1, call: int = FIRST, pages: tuple[str, ...] = ()) -> ToClient:
    """The interim result that ends a leg with questions."""
    result = {
        "resultType": "input_required",
        "inputRequests": requests,
        "requestState": state(round_, call, *pages),
        "_meta": META,
    }
    return done(leg, result)


def question(method: str, params: Json | None = None) -> Json:
    """One entry of `inputRequests`."""
    return {"method": method, **({"params": params} if params else {})}


def sent(call: int, method: str, **params: Any) -> ToServer:
    """A request of the machine."""
    return ToServer(call, frame(id=call, method=method, params=params))


def replied(ask: int, result: Json) -> ToServer:
    """The answer the server gets to its question."""
    return ToServer(0, frame(id=ask, result=result))


def denied(ask: int, reason: str, message: str, code: int) -> ToServer:
    """The broker's error the server gets to its question."""
    data = {"origin": "broker", "reason": reason}
    return ToServer(0, frame(id=ask, error={"code": code, "message": message, "data": data}))


def silent(ask: int) -> ToServer:
    """What the server gets when nobody answers sampling or roots."""
    return ToServer(0, frame(id=ask, error={"code": -1, "message": "The client did not respond"}))


def dropped(method: str, reason: str) -> Note:
    """The note of a notification that goes nowhere."""
    return Note("dropped", f"notifications/{method}", reason)


def gather(call: int = FIRST, after_s: float = 0.04) -> SetTimer:
    """The window of a round."""
    return timer(f"gather:{call}", after_s)


def timer(key: str, after_s: float, within_s: float = 0.001) -> SetTimer:
    """A timer whose time was added up, and is therefore not exact."""
    about: Any = pytest.approx(after_s, abs=within_s)
    return SetTimer(key, about)


class StatelessPlay:
    """One session's machine, fed by hand; `now` is its clock in seconds."""

    def __init__(
        self,
        declares: Json | None = None,
        *,
        client_info: Any = CLIENT_INFO,
        number: int = 1,
        habits: Habits | None = None,
        memory: Memory | None = None,
        quotas: tuple[Quota, ...] = (),
        rules: Rules | None = None,
        owner: str = "owner",
    ) -> None:
        self.declares: Json = declares if declares is not None else {}
        self.habits, self.memory = habits or Habits(), memory or Memory()
        self.talk = StatelessClient(
            self.declares,
            client_info,
            owner=owner,
            number=number,
            habits=self.habits,
            memory=self.memory,
            quotas=quotas,
            rules=rules or Rules(),
        )
        self.now = 100.0

    def event(self, event: Event) -> list[Any]:
        return self.plain(self.talk.handle(event, self.now))

    def plain(self, effects: Any) -> list[Any]:
        return [plain(effect) for effect in effects]

    def opens(self) -> list[Any]:
        return self.plain(self.talk.open())

    def greets(self, *, stands: bool = True) -> list[Any]:
        """The server took `initialized`."""
        return self.event(Greeted(stands))

    # ---- clients ----------------------------------------------------------------------------------------------------

    def asks(
        self,
        leg: int,
        method: str = "tools/call",
        params: Json | bytes | None = None,
        *,
        declares: Json | None = None,
        level: int = NO_LEVEL,
    ) -> list[Any]:
        """A request of a client, a call of the tool `t` if nothing else is said."""
        body: Json | bytes = {"id": leg, "method": method, "params": {"name": "t"} if params is None else params}
        if isinstance(params, bytes):
            body = b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}' % (leg, method.encode(), params)
        decoded = jsonrpc.decode_backend(text(body)) if isinstance(body, bytes) else jsonrpc.decode_strict(text(body))
        assert isinstance(decoded, Frame)
        given: Any = decoded.params
        sealed = read_state(tree.deep(given["requestState"])) if "requestState" in given else None
        capabilities = self.declares if declares is None else declares
        return self.event(Asked(leg, decoded, capabilities, level, sealed))

    def retries(
        self,
        leg: int,
        round_: int = 1,
        answers: Any = None,
        *,
        call: int = FIRST,
        pages: tuple[str, ...] = (),
        method: str = "tools/call",
        meta: Json | None = None,
        declares: Json | None = None,
        level: int = NO_LEVEL,
    ) -> list[Any]:
        """The same request with answers."""
        params: Json = {"name": "t", "requestState": state(round_, call, *pages)}
        if answers is not None:
            params["inputResponses"] = answers
        if meta is not None:
            params["_meta"] = meta
        return self.asks(leg, method, params, declares=declares, level=level)

    def leaves(self, leg: int) -> list[Any]:
        """The client closes the connection of its request."""
        return self.plain(self.talk.abandon(leg))

    def listens(self, leg: int, **wanted: Any) -> list[Any]:
        return self.asks(leg, "subscriptions/listen", {"notifications": wanted})

    # ---- the server -------------------------------------------------------------------------------------------------

    def server(self, stream: int, message: Json | bytes, origin: Origin = "peer") -> list[Any]:
        return self.event(FromServer(stream, jsonrpc.decode_backend(text(message)), origin))

    def returns(self, call: int, **result: Any) -> list[Any]:
        return self.server(call, {"id": call, "result": result})

    def errs(
        self, call: int, code: int, message: str = "no", *, data: Any = None, origin: Origin = "peer"
    ) -> list[Any]:
        error = {"code": code, "message": message, **({} if data is None else {"data": data})}
        return self.server(call, {"id": call, "error": error}, origin)

    def breaks(self, call: int, reason: str) -> list[Any]:
        """The connection of a call breaks: the broker says so in the server's place."""
        return self.errs(call, -32603, "it broke", data={"origin": "broker", "reason": reason}, origin="broker")

    def wonders(self, stream: int, ask: int, method: str, params: Json | None = None) -> list[Any]:
        """A question of the server on a stream, under the conversation's id."""
        return self.server(stream, {"id": ask, "method": method, **({} if params is None else {"params": params})})

    def says(self, stream: int, method: str, **params: Any) -> list[Any]:
        return self.server(stream, {"method": f"notifications/{method}", "params": params})

    # ---- time -------------------------------------------------------------------------------------------------------

    def later(self, seconds: float, key: str) -> list[Any]:
        """So many seconds later a timer runs out."""
        self.now += seconds
        return self.event(Expired(key))

    def suspended(self, leg: int = 10, ask: int = 1, call: int = FIRST) -> None:
        """A call is made, and asks for a form: it is suspended in round 1, under the key `input-1`."""
        self.asks(leg)
        self.wonders(call, ask, ELICIT, FORM)
        assert self.later(0.04, f"gather:{call}")[0] == shown(leg, {"input-1": question(ELICIT, FORM)}, 1, call)

    def empty(self) -> bool:
        """True if no request, call or question is open."""
        talk = self.talk
        books = talk.listens
        open_now = (talk.waiting, talk.calls, talk.by_leg, talk.inner, talk.asks, talk.held)
        return not any((*open_now, books.legs, books.followers, books.coming, books.agreed, books.leaving))


def welcome(**more: Any) -> Json:
    """The server's answer to `initialize`."""
    return {"protocolVersion": "2025-11-25", "capabilities": OFFERS, "serverInfo": SERVER_INFO, **more}


def met(
    declares: Json | None = None, *, stands: bool = True, offers: Json | None = None, **options: Any
) -> StatelessPlay:
    """A session that is open, and past its set-up unless the clock is turned back."""
    play = StatelessPlay(declares, **options)
    play.opens()
    play.returns(1, **welcome(**({} if offers is None else {"capabilities": offers})))
    play.greets(stands=stands)
    play.now += 10
    assert play.empty()
    return play


def calling(method: str = "tools/call", declares: Json | None = None, **options: Any) -> StatelessPlay:
    """A session with call 3 running for leg 10, whose client can be asked everything if nothing else is said."""
    play = met(INPUTS if declares is None else declares, **options)
    play.asks(10, method, {"name": "t", "uri": "test://a"} if method == "resources/read" else {"name": "t"})
    return play


def parked(*asked: tuple[str, Json], **options: Any) -> StatelessPlay:
    """A session whose call was suspended with these questions, one after the other; with a form if none are named."""
    play = met(INPUTS, **options)
    play.asks(10)
    for ask, (method, params) in enumerate(asked or ((ELICIT, FORM),), 1):
        play.wonders(FIRST, ask, method, params)
    play.later(0.25, f"gather:{FIRST}")
    return play
