"""The client's books: what it asked and still waits for, what it was asked; every message to it is judged here."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import UNSET

from protocol_versions import by_id, jsonrpc
from protocol_versions.base import Slot
from protocol_versions.jsonrpc import Frame
from tests.walker.round import Mark
from translators.machine import STANDING

STATELESS_ONLY = ("resultType", "ttlMs", "cacheScope", "inputRequests", "requestState", "supportedVersions")
"""Members a session client must never see at the top of a result."""

STATELESS_CODES = (-32020, -32021, -32022)
NEEDS = {"roots/list": "roots", "sampling/createMessage": "sampling", "elicitation/create": "elicitation"}


class Open(msgspec.Struct):
    """A request of the client that is not answered yet."""

    client_id: int | str
    method: str
    mark: Mark | None
    token: int | str | None = None
    uri: str = ""
    level: str = ""
    progress: float = float("-inf")
    cancelled: bool = False


class Question(msgspec.Struct):
    """A question that is open at the client."""

    exchange: int
    method: str
    params: Any


class Client:
    """One session client of some revision."""

    def __init__(self, revision: str, declares: dict[str, Any], offers: dict[str, Any]) -> None:
        self.revision = by_id(revision)
        self.declares = declares
        self.offers = offers
        self.waiting: dict[int, Open] = {}
        self.questions: dict[int, Question] = {}
        self.asked: set[int] = set()
        self.answered: list[int] = []
        self.followed: set[str] = set()
        self.level: str | None = None
        self.greeted = False
        self.gone = False
        self.completed: set[str] = set()

    def receive(self, exchange: int, frame: Frame, *, final: bool) -> None:
        """Judge a message and write it down."""
        body = jsonrpc.encode(frame)
        assert b'"s-' not in body, "what the server keeps for itself reached the client"
        assert b"io.modelcontextprotocol/" not in body, "a reserved name reached the client"
        message = json.loads(body)  # which reads numbers of any size
        if final:
            self._answer(exchange, message)
            return
        assert exchange == STANDING or exchange in self.waiting, "a message for a request that is over"
        part: Any = "params" if frame.id is not UNSET else "notification"
        method = message["method"]
        assert self.revision.knows(Slot(part, method, "client")), f"{method} is not of the client's revision"
        if part == "params":
            self._question(exchange, message)
        else:
            self._told(exchange, method, message.get("params", {}))

    def hush(self, exchange: int) -> None:
        """The exchange of a cancelled request ends without an answer."""
        ended = self.waiting.pop(exchange)
        assert ended.cancelled, "a request was dropped without an answer"
        self._over(exchange, ended)

    def _answer(self, exchange: int, message: dict[str, Any]) -> None:
        assert exchange in self.waiting, "answered twice, or never asked"
        ended = self.waiting.pop(exchange)
        assert message["id"] == ended.client_id, "answered under another id"
        assert type(message["id"]) is type(ended.client_id), "answered under an id of another type"
        self._over(exchange, ended)
        if "error" in message:
            assert message["error"]["code"] not in STATELESS_CODES, "a code only the newer revision defines"
            return
        result = message["result"]
        for name in STATELESS_ONLY:
            assert name not in result, f"{name} reached a session client"
        if ended.method == "initialize":
            self.greeted = True
        if ended.method == "logging/setLevel":
            self.level = ended.level
        if ended.uri and ended.method == "resources/subscribe":
            self.followed.add(ended.uri)

    def _over(self, exchange: int, ended: Open) -> None:
        if ended.mark is not None:
            ended.mark.over = True
        left = [ask for ask, question in self.questions.items() if question.exchange == exchange]
        assert self.gone or not left, "a request ended while its questions stay open"
        for ask in left:
            del self.questions[ask]

    def _question(self, exchange: int, message: dict[str, Any]) -> None:
        ask, method, params = message["id"], message["method"], message.get("params", {})
        assert type(ask) is int, "a question under an id the broker did not mint"
        assert ask not in self.asked, "the id of a question was used again"
        assert exchange != STANDING, "a question that belongs to no request"
        request = self.waiting[exchange]
        assert not request.cancelled, "a cancelled request still asks"
        declared = self.declares.get(NEEDS[method])
        assert declared is not None, "asked what the client did not declare"
        if method == "elicitation/create":
            url = params.get("mode") == "url"
            assert "url" in declared if url else not declared or "form" in declared, "asked in an undeclared mode"
        if "tools" in params:
            assert "tools" in declared, "asked to sample with tools"
        self.asked.add(ask)
        self.questions[ask] = Question(exchange, method, params)
        mark = request.mark
        assert mark is not None
        assert mark.owed is not None, "asked without a round"
        if params.get("mode") == "url":
            page = (params["url"], params["message"])
            assert page not in mark.agreed, "the user was asked to open an open page again"
            assert params["elicitationId"] not in self.completed, "an elicitation's id was used again"

    def _told(self, exchange: int, method: str, params: dict[str, Any]) -> None:
        if method == "notifications/progress":
            request = self.waiting[exchange]
            assert params["progressToken"] == request.token, "progress under a foreign token"
            assert params["progress"] > request.progress, "progress must increase"
            request.progress = params["progress"]
            assert not request.cancelled, "progress of a cancelled request"
        elif method == "notifications/cancelled":
            question = self.questions.pop(params["requestId"])
            assert question.exchange == exchange, "a question was taken back elsewhere"
        elif method == "notifications/elicitation/complete":
            self._completed(exchange, params["elicitationId"])
        elif method == "notifications/message":
            assert exchange != STANDING, "a log message of no request"
        elif method == "notifications/resources/updated":
            assert exchange == STANDING
            assert self.offers.get("resources", {}).get("subscribe") is True
        else:
            kind = method.split("/")[1]
            assert exchange == STANDING
            assert self.offers.get(kind, {}).get("listChanged") is True, "an announcement nobody offered"

    def _completed(self, exchange: int, identified: str) -> None:
        mark = self.waiting[exchange].mark
        assert mark is not None
        pages = [page for page, known in mark.agreed.items() if known == identified]
        assert len(pages) == 1, "a page was completed that the user did not agree to open"
        assert identified not in self.completed, "completed twice"
        self.completed.add(identified)
        del mark.agreed[pages[0]]
