"""Input in rounds: what a stateless server asks inside a result, a session client is asked by real requests.

Follows 2026-07-28 basic/patterns/mrtr. One call of the client is one Bridge over all its legs:

    state      what happens                              next
    running    a leg is open at the backend              answer -> done, input_required -> asking or pausing
    asking     its questions are open at the client      all answered -> running, on a new leg
    pausing    there is nothing to ask, only to wait      timer -> running, on a new leg

MUSTs kept here: the retry carries exactly the asked keys and the exact `requestState`, none if none was given; its
id is new; answers of one round never reach another call; nothing is asked that the client did not declare.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw

from protocol_versions import jsonrpc
from translators import tree
from translators.calls import PeerId
from translators.context import Context
from translators.inputs import ASKING, GATES
from translators.tree import Body

MAX_ROUNDS = 10
"""Rounds of one call; the SDK clients give up after as many."""

MAX_STATE_ROUNDS = 10
"""Rounds without questions; a server that polls this way is cut off as soon."""

STATE_DELAYS_S = (0.05, 0.25, 2.0)
"""Pauses before a round without questions is sent on; the last repeats."""

MAX_STATE_BYTES = 64 * 1024
"""Longest `requestState` carried; the SDKs' sealed states stay below 2 KiB."""

MAX_ASKS = 32
"""Questions of one round; the specification's own examples ask two or three."""

PATIENCE_S = 15.0
"""How often a client that gave a progress token is told that its call waits for input; SDK clients time out at 60 s."""

Page = tuple[str, str]
"""What makes a question by URL the same question: its URL and its message."""


class Bridge(msgspec.Struct):
    """One call of the session client over all its legs."""

    call: int
    method: str
    params: Body
    ctx: Context
    token: PeerId | None = None  # the client's progress token, which the legs use too
    leg: int = 0
    round: int = 0
    state_rounds: int = 0
    questions: dict[str, str] = {}  # key -> method, of the round asked last
    asks: dict[str, str] = {}
    answers: dict[str, Any] = {}
    state: Raw | msgspec.UnsetType = UNSET
    progress: float | None = None
    patient: bool = False  # a timer that tells the client of its wait is running
    retried: bool = False
    renewal: Literal["", "asked", "done"] = ""  # what became of a refused version
    visited: dict[Page, str] = {}  # pages the user agreed to open, with the elicitation's id
    holds: int = 0


class Ask(msgspec.Struct):
    """One question that is open at the client."""

    call: int
    key: str
    method: str
    ctx: Context
    page: Page | None = None


OURS = ("inputResponses", "requestState")
"""Members of a request that this machine alone writes."""


class Fault(Exception):  # noqa: N818 - the server's fault, told to the client as the end of its call
    """The server broke the pattern; `reason` is a slug."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Questions = dict[str, tuple[str, Body | None]]
"""The questions of one round by key: (method, parameters)."""


def read(bridge: Bridge, result: Body, capabilities: dict[str, Any]) -> Questions:
    """The questions of an `input_required` result. Empty: a round of state alone.

    The bridge takes the state of the round. Raises Fault.
    """
    if bridge.method not in ASKING:
        raise Fault("input-not-allowed")
    state = result.get("requestState")
    if state is not None and (type(tree.deep(state)) is not str or len(bytes(_raw(state))) > MAX_STATE_BYTES):
        raise Fault("bad-request-state")
    asked = _opened(result.get("inputRequests"))
    if asked is None and state is None:
        raise Fault("empty-input-required")
    if asked is not None and not isinstance(asked, dict):
        raise Fault("bad-input-requests")
    questions: Questions = {}
    for key, request in (asked or {}).items():
        method = request.get("method") if isinstance(request, dict) else None
        params = request.get("params") if isinstance(request, dict) else None
        if not isinstance(method, str) or method not in GATES or not (params is None or isinstance(params, dict)):
            raise Fault("unknown-input-method")
        if not GATES[method](capabilities, params or {}):
            raise Fault("undeclared-input")
        questions[key] = (method, params)
    if len(questions) > MAX_ASKS:
        raise Fault("too-many-inputs")
    bridge.state = _raw(state) if state is not None else UNSET
    bridge.asks, bridge.answers = {}, {}
    return questions


def count(bridge: Bridge, *, asks: bool) -> None:
    """One round more, of questions or of state alone. Raises Fault."""
    if asks:
        bridge.round += 1
    else:
        bridge.state_rounds += 1
    if bridge.round > MAX_ROUNDS or bridge.state_rounds > MAX_STATE_ROUNDS:
        raise Fault("too-many-rounds")


def _opened(asked: Any) -> Any:
    """The questions, read strictly: of two equal keys one would be asked and the other answered."""
    if type(asked) is not Raw:
        return tree.deep(asked)
    try:
        return jsonrpc.open_value(asked)
    except jsonrpc.Refused:
        raise Fault("bad-input-requests") from None


def retry_params(bridge: Bridge) -> Body:
    """The parameters of the next leg: the call's own, this round's answers alone, the exact state."""
    params = dict(bridge.params)
    if bridge.answers:
        params["inputResponses"] = bridge.answers
    if bridge.state is not UNSET:
        params["requestState"] = bridge.state
    return params


def state_delay_s(bridge: Bridge) -> float:
    """How long a round of state alone waits."""
    return STATE_DELAYS_S[min(bridge.state_rounds, len(STATE_DELAYS_S)) - 1]


def next_progress(last: float | None) -> float:
    """The smallest step on that a reader can tell from the last one."""
    return 0.001 if last is None else max(last + 0.001, math.nextafter(last, math.inf))


def _raw(value: Any) -> Raw:
    return value if type(value) is Raw else Raw(msgspec.json.encode(value))
