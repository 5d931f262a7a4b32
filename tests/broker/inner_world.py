"""One question of a backend and the client's answer to it, played before each kind of backend's edge.

`session`: both peers have sessions, the question is a request of its own. `crossing`: a session client before a
stateless backend, which asks inside a result. `modern`: a stateless client before one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from broker.hooks.base import PASS, Body, CallInfo, Hook, Pattern, Verdict
from broker.hooks.runner import Runner
from protocol_versions.base import Slot
from tests.broker.crossing_world import FORM, INPUTS, Rounds, crossing, greeted
from tests.broker.modern_world import ask, envelope, modern
from tests.broker.scripted_backend import DONE, Asked, Json, World, world

QUESTIONS: dict[str, Json] = {
    "elicitation/create": FORM,
    "sampling/createMessage": {"messages": [], "maxTokens": 1},
    "roots/list": {"_meta": {"vendor": 1}},
}
ANSWERS: dict[str, Json] = {
    "elicitation/create": {"action": "accept", "content": {"name": "ada"}},
    "sampling/createMessage": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}},
    "roots/list": {"roots": [{"uri": "file:///a"}]},
}
CANCEL: Json = {"action": "cancel"}


class Judge(Hook):
    """Judges every question and every answer; verdicts by part, and what it was shown."""

    slots = (
        *(Pattern("params", method, "client") for method in QUESTIONS),
        *(Pattern("result", method, "server") for method in QUESTIONS),
    )

    def __init__(self, **verdicts: Any) -> None:
        self.verdicts = verdicts
        self.seen: list[tuple[Slot, Body]] = []
        self.infos: list[CallInfo] = []

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict | Awaitable[Verdict]:
        self.seen.append((slot, dict(body)))
        self.infos.append(info)
        found = self.verdicts.get(slot.part, PASS)
        verdict: Verdict | Awaitable[Verdict] = found(body) if callable(found) else found
        return verdict


class Played(msgspec.Struct):
    """What the peers saw: the question, the answer as the backend read it, the call's end, the backend's requests."""

    shown: list[Json] = []
    told: list[Json] = []
    end: Json = {}
    requests: list[Json] = []


def governed(here: World, *hooks: Hook) -> None:
    here.context.hooks = Runner(hooks, here.context.wire)


async def answered(here: World, played: Played, answers: dict[str, Json]) -> None:
    """A session client's call; every question is answered by its method."""
    reply = await here.client.call()
    message = await reply.message() if reply.streams else reply.json
    while "method" in message:
        played.shown.append(message.get("params", {}))
        await here.client.post({"id": message["id"], "result": answers[message["method"]]})
        message = await reply.message()
    played.end = message


async def in_sessions(method: str, *hooks: Hook) -> Played:
    played = Played()

    async def asking(asked: Asked) -> None:
        played.requests.append(asked.message["params"])
        await asked.stream()
        await asked.event({"id": "q", "method": method, "params": QUESTIONS[method]})
        answer = (await here.backend.next("answer")).message
        assert answer["id"] == "q"
        played.told.append(answer.get("result") or answer["error"])
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with world() as here:
        governed(here, *hooks)
        await here.client.open(capabilities=INPUTS)
        here.backend.on("tools/call", asking)
        await answered(here, played, ANSWERS)
    return played


async def in_crossing(method: str, *hooks: Hook) -> Played:
    played = Played()
    rounds = Rounds({"k": {"method": method, "params": QUESTIONS[method]}})
    async with crossing() as here:
        governed(here, *hooks)
        await greeted(here, capabilities=INPUTS)
        here.backend.on("tools/call", rounds)
        await answered(here, played, ANSWERS)
    return taken(played, rounds)


async def in_modern(method: str, *hooks: Hook) -> Played:
    played = Played()
    rounds = Rounds({"k": {"method": method, "params": QUESTIONS[method]}})
    async with modern() as here:
        governed(here, *hooks)
        here.backend.on("tools/call", rounds)
        params: Json = {"name": "x"}
        message = (await ask(here.client, params=params, meta=envelope(INPUTS))).json
        while message.get("result", {}).get("resultType") == "input_required":
            asked = message["result"]["inputRequests"]
            played.shown += [question.get("params", {}) for question in asked.values()]
            given = {key: ANSWERS[question["method"]] for key, question in asked.items()}
            retry = {**params, "inputResponses": given, "requestState": message["result"]["requestState"]}
            message = (await ask(here.client, params=retry, meta=envelope(INPUTS))).json
        played.end = message
    return taken(played, rounds)


def taken(played: Played, rounds: Rounds) -> Played:
    played.requests = rounds.sent
    played.told = [answer for sent in rounds.sent for answer in sent.get("inputResponses", {}).values()]
    return played


EDGES: dict[str, Callable[..., Awaitable[Played]]] = {
    "session": in_sessions,
    "crossing": in_crossing,
    "modern": in_modern,
}
