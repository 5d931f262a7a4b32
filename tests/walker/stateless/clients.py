"""The clients' books: which requests wait, what each declared and was asked; every message to them is judged here."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import UNSET

from protocol_versions import by_id, jsonrpc
from protocol_versions.base import Slot, ask
from protocol_versions.jsonrpc import Frame
from tests.walker.stateless.mark import MARKED, ROOTS, SAMPLE, Mark, Round, may_be_asked
from translators.stateless_client import read_state

MODERN = "2026-07-28"
LISTEN = "subscriptions/listen"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
PREFIX = "io.modelcontextprotocol/"
SERVER = {"name": "server", "version": "1"}
CACHEABLE = (
    *("server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"),
    "resources/read",
)
FLAGS = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}
FOREIGN = ("elicitationId", "progressToken", "task", "ttlMs", "cacheScope")
"""Members that no question has in this revision."""
DEFINED = (-32020, -32021, -32022)


class Open(msgspec.Struct):
    """A request that is not answered yet. `expected` is the reason its error must give, if it must be one."""

    method: str
    declared: dict[str, Any]
    level: int
    token: bool
    mark: Mark | None = None
    wanted: dict[str, Any] = {}
    honoured: dict[str, Any] | None = None
    expected: str = ""
    progress: float = float("-inf")


class Clients:
    """All clients of one session; `limits` are the hints a list may carry."""

    def __init__(self, declares: dict[str, Any], offers: dict[str, Any], ttl_ms: int) -> None:
        self.revision = by_id(MODERN)
        self.declares = declares
        self.offers = offers
        self.ttl_ms = ttl_ms
        self.stands = False
        self.waiting: dict[int, Open] = {}
        self.marks: dict[int, Mark] = {}
        self.legs = 0

    def receive(self, leg: int, frame: Frame, *, final: bool) -> None:
        """Judge a message and write it down."""
        body = jsonrpc.encode(frame)
        assert b'"s-' not in body, "what the server keeps for itself reached a client"
        assert leg in self.waiting, "a message for a request that is over, or never was"
        message = json.loads(body)
        request = self.waiting[leg]
        assert final == (frame.method is UNSET), "an answer that does not end its request, or another that does"
        if not final:
            assert frame.id is UNSET, "a server of this revision sends no requests"
            self._told(leg, request, message["method"], message.get("params", {}))
            return
        assert message["id"] == leg, "answered under another id"
        del self.waiting[leg]
        if "error" in message:
            self._failed(request, message["error"])
        else:
            self._answered(request, message["result"])

    def over(self, mark: Mark) -> bool:
        """True if nothing of a call is open here: no request waits, and no round does."""
        return mark.over or not any(request.mark is mark for request in self.waiting.values())

    # ---- answers ----------------------------------------------------------------------------------------------------

    def _failed(self, request: Open, error: dict[str, Any]) -> None:
        code, data = error["code"], error.get("data")
        assert code in DEFINED or not -32099 <= code <= -32020, "a code of the reserved range that is not defined"
        assert request.method != "resources/read" or code != -32002, "a missing resource in the words of another era"
        if code == -32021:
            assert isinstance(data, dict)
            assert isinstance(data["requiredCapabilities"], dict)
        reason = data.get("reason") if isinstance(data, dict) else None
        if request.expected:
            assert reason == request.expected, f"refused for {reason}, not for {request.expected}"
        elif request.mark is not None and reason != "invalid_request_state":
            request.mark.over = True

    def _answered(self, request: Open, result: dict[str, Any]) -> None:
        assert not request.expected, f"answered, not refused for {request.expected}"
        kind = result["resultType"]
        meta = result.get("_meta", {})
        assert {key for key in meta if key.startswith(PREFIX)} <= {f"{PREFIX}serverInfo"}, "a reserved name"
        assert request.method == LISTEN or meta[f"{PREFIX}serverInfo"] == SERVER, "another server's name"
        if kind == "input_required":
            self._asked(request, result)
            return
        assert kind == "complete"
        assert not {"inputRequests", "requestState"} & result.keys(), "a complete result that asks"
        cacheable = request.method in CACHEABLE
        assert ({"ttlMs", "cacheScope"} <= result.keys()) is cacheable, "hints where none belong, or none where some do"
        if cacheable:
            self._hinted(request, result)
        if request.method == "server/discover":
            self._discovered(result)
        if request.method == LISTEN:
            assert request.honoured is not None, "a subscription ended before it was acknowledged"
        if request.mark is not None:
            request.mark.over = True

    def _hinted(self, request: Open, result: dict[str, Any]) -> None:
        assert result["cacheScope"] == "private"
        ttl = result["ttlMs"]
        assert type(ttl) is int
        kind = "resources" if request.method.startswith("resources") else request.method.partition("/")[0]
        live = self.stands and self.offers.get(kind, {}).get("listChanged") is True
        if request.method == "server/discover":
            assert ttl >= 0
        else:
            expected = self.ttl_ms if live and request.method.endswith("/list") else 0
            assert ttl == expected, "kept longer than anybody would announce a change"

    def _discovered(self, result: dict[str, Any]) -> None:
        assert result["supportedVersions"] == [MODERN]
        capabilities = result["capabilities"]
        assert "tasks" not in capabilities
        for kind in FLAGS:
            declared = self.offers.get(kind)
            assert (kind in capabilities) is (declared is not None)
            for name in ("listChanged", "subscribe"):
                expected = declared is not None and self.stands and declared.get(name) is True
                assert (capabilities.get(kind, {}).get(name) is True) is expected, "an announcement nobody could bring"

    def _asked(self, request: Open, result: dict[str, Any]) -> None:
        assert request.method in MARKED, "a round in the place of an answer that cannot be one"
        mark = request.mark
        assert mark is not None
        assert not {"ttlMs", "cacheScope"} & result.keys(), "a round with caching hints"
        requests = result["inputRequests"]
        assert requests, "a round that asks nothing"
        asked: dict[str, tuple[str, int]] = {}
        for key, question in requests.items():
            method, params = question["method"], question.get("params", {})
            assert may_be_asked(request.declared, method, params), "asked what this request did not declare"
            assert not any(name in params or name in params.get("_meta", {}) for name in FOREIGN), "a foreign member"
            assert self.revision.knows(ask(method))
            asked[key] = (method, _number(method, params))
        state = result["requestState"]
        if mark.rounds and mark.rounds[-1].state == state:
            assert mark.rounds[-1].asked == asked, "one state for two rounds"
            return  # the same round, for the same retry that came twice
        assert all(known.state != state for known in mark.rounds), "a state of an earlier round"
        wanted = {key for key in asked if key.startswith("wish-")}
        assert not mark.keys & (asked.keys() - wanted), "a key that stood for another question before"
        mark.keys |= asked.keys()
        opened = read_state(state)
        assert opened is not None
        mark.rounds.append(Round(state, asked, pages=opened.kind == "visit"))

    # ---- companions -------------------------------------------------------------------------------------------------

    def _told(self, leg: int, request: Open, method: str, params: dict[str, Any]) -> None:
        assert self.revision.knows(Slot("notification", method, "client")), f"{method} is not of this revision"
        assert not any(key.startswith(PREFIX) for key in params.get("_meta", {})), "a reserved name"
        if method == "notifications/progress":
            assert request.token, "progress nobody asked for"
            assert params["progressToken"] == leg, "progress under a foreign token"
            assert params["progress"] > request.progress, "progress must increase"
            request.progress = params["progress"]
        elif method == "notifications/message":
            assert request.method != LISTEN
            assert LEVELS.index(params["level"]) >= request.level, "a message below the level that was asked for"
        else:
            assert request.method == LISTEN, "an announcement on another request's stream"
            self._announced(request, method, params)

    def _announced(self, request: Open, method: str, params: dict[str, Any]) -> None:
        if method == "notifications/subscriptions/acknowledged":
            assert request.honoured is None, "acknowledged twice"
            honoured = request.honoured = params["notifications"]
            for kind, flag in FLAGS.items():
                expected = (
                    request.wanted.get(flag) is True and self.stands and self.offers.get(kind, {}).get("listChanged")
                )
                assert (honoured.get(flag) is True) is (expected is True), "another acknowledgement than can be kept"
            uris = honoured.get("resourceSubscriptions")
            assert uris is None or (uris and set(uris) <= set(request.wanted["resourceSubscriptions"]))
            return
        assert request.honoured is not None, "the acknowledgement comes first"
        if method == "notifications/resources/updated":
            followed = request.honoured.get("resourceSubscriptions", ())
            assert any(params["uri"] == uri or params["uri"].startswith(f"{uri}/") for uri in followed), "not followed"
        else:
            assert request.honoured.get(FLAGS[method.split("/")[1]]) is True, "an announcement nobody asked for"


def _number(method: str, params: dict[str, Any]) -> int:
    """The number the server gave its question; 0 for a page of an error."""
    if method == ROOTS:
        return int(params["_meta"]["x/ask"])
    if method == SAMPLE:
        content = params["messages"][0]["content"]
        content = content[0] if isinstance(content, list) else content
        return int(str(content["text"]).rsplit("/", 1)[1])
    return int(str(params["message"]).rsplit("/", 1)[1])
