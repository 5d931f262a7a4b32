"""Raw checks of the state that a suspended call's client carries: whatever is wrong with it, one and the same refusal.

Follows basic/patterns/mrtr of 2026-07-28 (server requirements).
Invariant: after every state that was refused, the right one still finds its call, which was not touched.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from dataclasses import replace
from typing import Final

from conformance.raw.bench import PROCESSES_BOUND_S, Bench, Check, brief, calls, handshake, must
from conformance.raw.pushed import answered, asking, one, responses
from conformance.raw.stateless_wire import Interim, Stateless, error_of, interim_of, result_of
from conformance.raw.wire import Answer, Message

REFUSED: Final = -32602
SHORT_PARK_S: Final = 0.3
"""How long the second broker's calls wait for their clients; less than anybody looks at."""


def _frozen(answers: dict[str, Answer]) -> None:
    """All of these are one refusal: the same status, and the same error in every byte."""
    shown = {}
    for name, answer in answers.items():
        must(answer.code == REFUSED, f"{name}: {brief(answer)}")
        shown[name] = (answer.status, json.dumps(error_of(answer), sort_keys=True))
    must(len(set(shown.values())) == 1, f"refusals can be told apart: {brief(shown, 600)}")


def _tampered(state: str) -> dict[str, str]:
    """The state with something wrong in it, by what that is."""
    middle = len(state) // 2
    other = "A" if state[middle] != "A" else "B"
    return {
        "a changed character": f"{state[:middle]}{other}{state[middle + 1 :]}",
        "one more character": f"{state}A",
        "something after it": f"{state}-TAMPERED",
        "the first half": state[:middle],
        "all but the last character": state[:-1],
        "nothing": "",
        "text of somebody's": "step-2-of-3",
        "JSON of somebody's": '["call","x",1,1,1]',
    }


async def wrong_states_are_refused_alike(bench: Bench) -> None:
    client = bench.stateless
    question = one(bench.server)
    mark = await bench.mark()
    interim = await client.interim("questions", asking(question))
    found = {name: await client.retry(interim, state=state) for name, state in _tampered(interim.state).items()}
    elsewhere: dict[str, Interim] = {
        "other arguments": replace(interim, params={**interim.params, "arguments": asking(question, then="wait")}),
        "no arguments": replace(interim, params={"name": "questions"}),
        "another tool": replace(interim, params={**interim.params, "name": "needs"}),
        "a prompt": replace(interim, method="prompts/get"),
        "a resource": replace(interim, method="resources/read", params={"uri": "questions"}),
    }
    found |= {name: await client.retry(each) for name, each in elsewhere.items()}
    _frozen(found)
    seen = await bench.since(mark)
    must(len(calls(seen)) == 1 and not responses(seen), f"the backend saw {brief(seen)}")
    answered(result_of(await client.retry(interim)), question)


async def used_states_are_refused(bench: Bench) -> None:
    client = bench.stateless
    question = one(bench.server)
    wanted = [question, question]
    mark = await bench.mark()
    first = await client.interim("questions", asking(*wanted, in_turn=True))
    second = await client.again(first)
    found = {"of an earlier round": await client.retry(first, {"other": {"action": "cancel"}})}
    answered(result_of(await client.retry(second)), *wanted)
    for name, state in (("of the first round", first), ("of the last round", second)):
        found[name] = await client.retry(state, {"other": {"action": "cancel"}})
    found["changed"] = await client.retry(second, state=f"{second.state}A")
    _frozen(found)
    same = await client.retry(second)
    must(same.code == REFUSED or same.response("r") is not None, f"sent twice: {brief(same)}")
    if same.code is None:
        answered(result_of(same), *wanted)
    seen = await bench.since(mark)
    must(len(calls(seen)) == 1, f"the call was sent {len(calls(seen))} times")
    must(len(responses(seen)) == 2, f"the backend was answered {len(responses(seen))} times")


def _key() -> tuple[str, str]:
    key = secrets.token_urlsafe(24)
    return key, hashlib.sha256(key.encode()).hexdigest()


async def states_are_their_callers_and_their_servers(bench: Bench) -> None:
    (ada, ada_hash), (bob, bob_hash) = _key(), _key()
    server = {"url": bench.backend_url, "revision": bench.server}
    tree = {"servers": {"one": server, "two": server}, "keys": {"ada": ada_hash, "bob": bob_hash}}
    root = await asyncio.to_thread(bench.children.configured, tree, "broker-of-two")

    def client(name: str, key: str) -> Stateless:
        return Stateless(bench.http, f"{root}/servers/{name}/mcp", {"Authorization": f"Bearer {key}"})

    owner, thief, beside = client("one", ada), client("one", bob), client("two", ada)
    question = one(bench.server)
    interim = await owner.interim("questions", asking(question))
    # The others have calls of their own, so that theirs is a session like the owner's.
    others = [(other, await other.interim("questions", asking(question))) for other in (thief, beside)]
    mark = await bench.mark()
    _frozen(
        {
            "another caller": await thief.retry(interim),
            "another server": await beside.retry(interim),
            "nobody's": await owner.retry(interim, state="x"),
        }
    )
    must(not responses(await bench.since(mark)), "another caller's answer reached the backend")
    for client_of, waiting in ((owner, interim), *others):
        answered(result_of(await client_of.retry(waiting)), question)
    unknown = Stateless(bench.http, owner.url, {"Authorization": "Bearer nobody"})
    must((await unknown.retry(interim)).status == 401, "an unknown key is served")


async def states_run_out(bench: Bench) -> None:
    server = {"url": bench.backend_url, "revision": bench.server}
    tree = {"servers": {"one": server}, "limits": {"park_s": SHORT_PARK_S}}
    root = await asyncio.to_thread(bench.children.configured, tree, "broker-in-haste")
    client = Stateless(bench.http, f"{root}/servers/one/mcp")
    question = {**one(bench.server), "id": "in-haste"}
    mark = await bench.mark()
    interim = await client.interim("questions", asking(question))

    def own(seen: list[Message]) -> list[Message]:
        return [each for each in responses(seen) if each["id"] == question["id"]]

    (told,) = await bench.eventually(mark, own, "that nobody answers")
    given_up = told.get("result", {}).get("action") == "cancel" or "error" in told
    must(given_up, f"the backend was answered {brief(told)}")
    _frozen({"run out": await client.retry(interim), "nobody's": await client.retry(interim, state="x")})
    must(len(own(await bench.since(mark))) == 1, "a late answer reached the backend")


async def no_state_is_a_new_call(bench: Bench) -> None:
    """Answers without a state belong to no call that waits: the call is made, and asks by itself."""
    client = bench.stateless
    question = one(bench.server)
    waiting = await client.interim("questions", asking(question))
    mark = await bench.mark()
    params: Message = {**waiting.params, "inputResponses": waiting.answers()}
    made = interim_of("tools/call", waiting.params, await client.result("tools/call", params), waiting.capabilities)
    must(len(calls(await bench.since(mark))) == 1, "the call was not made")
    for each in (waiting, made):
        answered(result_of(await client.retry(each)), question)


CHECKS: Final = (
    Check("wrong states", "rounds.states", wrong_states_are_refused_alike, handshake),
    Check("used states", "rounds.states", used_states_are_refused, handshake),
    Check(
        "states of others", "rounds.states", states_are_their_callers_and_their_servers, handshake, PROCESSES_BOUND_S
    ),
    Check("states that ran out", "rounds.run-out", states_run_out, handshake, PROCESSES_BOUND_S),
    Check("answers without a state", "rounds.states", no_state_is_a_new_call, handshake),
)
