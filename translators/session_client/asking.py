"""Asking the client what a stateless server needs, and taking its answers: the rounds of `rounds`, as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.context import Context
from translators.errors import Refused
from translators.machine import Effect, Note, SetTimer, ToClient
from translators.notes import lossy
from translators.reply import answered, broken, notify
from translators.session_client import rounds, urls
from translators.session_client.rounds import PATIENCE_S, Ask, Bridge
from translators.session_client.subscribing import final
from translators.tree import Body

if TYPE_CHECKING:
    from translators.session_client.machine import SessionClient

ELICITATION = "elicitation/create"
ACCEPT = {"action": "accept"}
CANCEL = {"action": "cancel"}


def ask_round(talk: SessionClient, bridge: Bridge, result: Any, settled: Body) -> list[Effect]:
    """Everything an `input_required` result leads to. Raises Fault, Refused and what UNREADABLE lists.

    `settled` are answers to questions of this round that are not in the result any more.
    """
    questions = rounds.read(bridge, result, talk.envelope.capabilities)
    effects = urls.completed(bridge, questions)
    bridge.questions = {**dict.fromkeys(settled, ELICITATION), **{key: asked[0] for key, asked in questions.items()}}
    if not questions and settled:
        rounds.count(bridge, asks=True)
        bridge.answers = dict(settled)
        return [*effects, *talk.send(bridge)]
    if not questions:
        rounds.count(bridge, asks=False)
        return [*effects, SetTimer(f"state:{bridge.call}", rounds.state_delay_s(bridge)), *_patience(bridge)]
    known = urls.held(bridge, questions)
    bridge.answers = {**settled, **{key: dict(ACCEPT) for key in known}}
    if len(known) == len(questions):
        return [*effects, SetTimer(f"state:{bridge.call}", urls.hold_s(bridge)), *_patience(bridge)]
    rounds.count(bridge, asks=True)
    asks: dict[str, Ask] = {}
    sent: list[Effect] = []
    losses: list[Effect] = []
    for key, (method, params) in questions.items():
        if key in known:
            continue
        ctx = Context(method=method)
        page = urls.page_of(method, params)
        if page is not None:
            ctx.stash["elicitationId"] = talk.ids()
        body = talk.lanes.to_client[method].params.run(_opened(params), ctx)
        ctx.request = body
        talk.asked += 1
        ask_id = f"ask-{talk.asked}"
        asks[ask_id] = Ask(bridge.call, key, method, ctx, page)
        asked = body if params is not None or body else UNSET
        sent.append(ToClient(bridge.call, Frame(id=ask_id, method=method, params=asked)))
        losses += lossy(ctx, method)
    # Only now, when every question could be put: a client must not hear of one that is never asked.
    talk.asks.update(asks)
    bridge.asks = {ask.key: ask_id for ask_id, ask in asks.items()}
    return [*effects, *sent, *losses, *_patience(bridge)]


def answer_of_client(talk: SessionClient, frame: Frame) -> list[Effect]:
    """The client's answer to a question; the last of a round sends the call on."""
    ask = talk.asks.pop(frame.id, None) if type(frame.id) is str else None
    if ask is None:
        return [Note("dropped", reason="answer-late")]
    bridge = talk.bridges[ask.call]  # a call takes its questions with it
    bridge.asks.pop(ask.key, None)
    if frame.error is not UNSET:
        if ask.method != ELICITATION:
            # The pattern has no place for an error: the call ends here, and the server is not told.
            return give_up(talk, bridge, "input-refused")
        bridge.answers[ask.key] = dict(CANCEL)
    else:
        try:
            result: Any = frame.result if frame.result is not UNSET else {}
            result = talk.lanes.to_client[ask.method].result.run(result, ask.ctx)
            if ask.page is not None and _accepts(result):
                bridge.visited[ask.page] = str(ask.ctx.stash["elicitationId"])
        except (Refused, *UNREADABLE):
            return give_up(talk, bridge, "input-unusable")
        bridge.answers[ask.key] = result
    losses = lossy(ask.ctx, ask.method)
    return losses if bridge.asks else [*losses, *talk.send(bridge)]


def patience(bridge: Bridge) -> list[Effect]:
    """Tell a client that gave a token that its call waits, as long as it does."""
    bridge.patient = False
    if bridge.leg or bridge.token is None:
        return []
    bridge.progress = rounds.next_progress(bridge.progress)
    params = {"progressToken": bridge.token, "progress": bridge.progress, "message": "waiting for input"}
    return [ToClient(bridge.call, notify("notifications/progress", params)), *_patience(bridge)]


def _patience(bridge: Bridge) -> list[Effect]:
    """One timer at a time."""
    if bridge.token is None or bridge.patient:
        return []
    bridge.patient = True
    return [SetTimer(f"patience:{bridge.call}", PATIENCE_S)]


def take_back(talk: SessionClient, bridge: Bridge) -> list[Effect]:
    """Tell the client that the open questions of a call need no answer any more."""
    return [
        ToClient(bridge.call, notify("notifications/cancelled", {"requestId": ask_id}))
        for ask_id, ask in talk.asks.items()
        if ask.call == bridge.call
    ]


def give_up(talk: SessionClient, bridge: Bridge, reason: str) -> list[Effect]:
    """End a call the client cannot help to finish: a tool's failure is told to the model, any other is an error."""
    if bridge.method == "tools/call":
        content = [{"type": "text", "text": TEXTS[reason]}]
        reply = answered(bridge.call, {"content": content, "isError": True})
    else:
        reply = broken(bridge.call, reason, message=TEXTS[reason])
    return [
        *take_back(talk, bridge),
        final(bridge.call, reply),
        Note("refused", bridge.method, reason),
        *talk.drop(bridge),
    ]


def _accepts(result: Any) -> bool:
    return bool(tree.whole(result, "action") == "accept")


def _opened(params: Any) -> dict[str, Any]:
    return {name: Raw(msgspec.json.encode(value)) for name, value in (params or {}).items()}


TEXTS = {
    "input-refused": "The client refused to give the input this request needs.",
    "input-unusable": "The client's input cannot be given to the server.",
    "undeclared-input": "The server needs input that this client cannot give.",
}
