"""The server's books: what is open at it, what it asked, who follows what; every message to it is judged here."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from protocol_versions import by_id, jsonrpc
from protocol_versions.base import Slot, answer
from protocol_versions.base import params as slot_of
from protocol_versions.jsonrpc import Frame
from tests.walker.stateless.clients import LEVELS
from tests.walker.stateless.mark import MARKED, Mark, proof

STATELESS_ONLY = (
    *(b'"resultType"', b'"ttlMs"', b'"cacheScope"', b'"inputRequests"', b'"inputResponses"', b'"requestState"'),
    b"io.modelcontextprotocol/",
)
"""What a session server must never see."""


class Call(msgspec.Struct):
    """A request that is open at the server. `cancelled`: it was told that nobody waits, and may answer all the same."""

    id: int
    method: str
    params: dict[str, Any]
    mark: Mark | None = None
    token: Any = None
    cancelled: bool = False


class Question(msgspec.Struct):
    """A question of the server that waits for its answer, under the server's own id; `call` is 0 outside of any."""

    id: int | str
    number: int
    method: str
    call: int
    token: Any = None
    beats: int = 0


class Server:
    """One session server of some revision."""

    def __init__(self, revision: str, offers: dict[str, Any]) -> None:
        self.revision = by_id(revision)
        self.offers = offers
        self.open: dict[int, Call] = {}
        self.closed: list[int] = []
        self.seen: set[int] = set()
        self.questions: dict[int | str, Question] = {}
        self.asked = 0
        self.declared: dict[str, Any] = {}
        self.greeted = False
        self.level = len(LEVELS)
        self.followed: set[str] = set()
        self.roots: set[str] = set()

    def receive(self, call: int, frame: Frame, marks: dict[int, Mark]) -> None:
        """Judge a request and write it down."""
        message = self._judged(frame)
        assert call == message["id"]
        assert call not in self.seen, "the id of a request was used again"
        self.seen.add(call)
        method, params = message["method"], message.get("params", {})
        assert self.revision.knows(slot_of(method)), f"{method} is not of the server's revision"
        assert self.greeted or method == "initialize", "a request before the handshake was over"
        found = Call(call, method, params, token=params.get("_meta", {}).get("progressToken"))
        assert found.token is None or found.token == call, "the token of somebody else"
        if method == "initialize":
            assert params["protocolVersion"] == self.revision.id
            assert params["clientInfo"]["name"] == "walker"
            self.declared = params["capabilities"]
        elif method == "logging/setLevel":
            level = LEVELS.index(params["level"])
            assert level < self.level, "the session's level was not raised"
            self.level = level
        elif method in MARKED:
            self._marked(found, marks)
        self.open[call] = found

    def take(self, frame: Frame) -> None:
        """Judge a notification or an answer."""
        message = self._judged(frame)
        if "method" not in message:
            self._answered(message)
            return
        method, params = message["method"], message.get("params", {})
        assert self.revision.knows(Slot("notification", method, "server")), f"{method} is not of the server's revision"
        if method == "notifications/initialized":
            assert not self.greeted, "greeted twice"
            self.greeted = True
        elif method == "notifications/cancelled":
            call = self.open[params["requestId"]]
            assert call.method != "initialize"
            assert not call.cancelled, "cancelled twice"
            call.cancelled = True
        else:
            assert method == "notifications/progress"
            question = next(one for one in self.questions.values() if one.token == params["progressToken"])
            assert params["progress"] > question.beats, "progress must increase"
            question.beats = params["progress"]

    def close(self, call: int) -> None:
        """The broker closed the connection of a call that was cancelled."""
        assert self.open[call].cancelled
        self.end(call)

    def end(self, call: int) -> Call:
        """The server ends a request."""
        self.closed.append(call)
        return self.open.pop(call)

    def forget(self) -> None:
        """The server has lost its session: what it asked it does not know any more."""
        self.questions.clear()

    def _judged(self, frame: Frame) -> dict[str, Any]:
        body = jsonrpc.encode(frame)
        assert b'"c-' not in body, "an id or token of a client reached the server"
        for name in STATELESS_ONLY:
            assert name not in body, f"{name.decode()} reached a session server"
        message: dict[str, Any] = json.loads(body)
        return message

    def _marked(self, call: Call, marks: dict[int, Mark]) -> None:
        params = call.params
        number = params["uri"].removeprefix("test://n") if "uri" in params else params["arguments"]["n"]
        mark = call.mark = marks[int(number)]
        assert mark.method == call.method
        mark.sent += 1
        assert mark.sent <= 1 + mark.pages, "a call was sent again"
        assert all(other.mark is not mark for other in self.open.values() if other is not call), (
            "one call, twice at once"
        )

    def _answered(self, message: dict[str, Any]) -> None:
        assert message["id"] in self.questions, "an answer nobody waits for, or the second one"
        question = self.questions.pop(message["id"])
        assert type(message["id"]) is type(question.id), "answered under an id of another type"
        if "error" in message:
            return
        result = message["result"]
        if question.method == "ping":
            assert result == {}
            return
        msgspec.convert(result, self.revision.types[answer(question.method)])
        text = json.dumps(result)
        if question.method == "roots/list":
            if proof(question.number) in text:
                self.roots.add(proof(question.number))
            assert any(known in text for known in self.roots), "roots that no client gave"
        elif "proof-" in text:
            assert proof(question.number) in text, "an answer to another question"
