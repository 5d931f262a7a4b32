"""Raw checks of what a session server asks by requests and a client of 2026-07-28 is asked by interim results.

Follows basic/patterns/mrtr of 2026-07-28 and client/{elicitation,sampling,roots} of the handshake revisions.
Invariant: the backend's text is what its client answered, word for word, and every check looks at what it was sent.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from conformance.raw.asking import SAME_AS_CALL
from conformance.raw.bench import Bench, Check, brief, calls, handshake, must, requests, text_of
from conformance.raw.crossing import FORM as FORM_PARAMS
from conformance.raw.crossing import SAMPLE as SAMPLE_PARAMS
from conformance.raw.stateless_wire import GIVEN, META, Interim, error_of, interim_of, result_of
from conformance.raw.wire import Message
from conformance.revisions import has

FORM: Final[Message] = {"method": "elicitation/create", "params": FORM_PARAMS}
SAMPLE: Final[Message] = {"method": "sampling/createMessage", "params": SAMPLE_PARAMS}
ROOTS: Final[Message] = {"method": "roots/list"}
INPUT_KEY: Final = "dev.dragoman/input-key"
IDS: Final = (0, 7, "x", SAME_AS_CALL)
WRONG: Final[tuple[Any, ...]] = (7, None, [], "accept", {}, {"action": "maybe"}, {"roots": 1}, {"role": "assistant"})
NO_ANSWERS: Final[tuple[Any, ...]] = (None, [], "x")
ROUNDS: Final = 3


def one(server: str) -> Message:
    """A question that a server of the revision can ask, the most telling first."""
    return FORM if has(server, "elicitation") else SAMPLE


def several(server: str) -> list[Message]:
    """Three questions at once, of as many kinds as the revision has."""
    return [one(server), SAMPLE, ROOTS]


def asking(*questions: Message, **members: Any) -> Message:
    """The arguments of the backend's tools that ask."""
    return {"questions": list(questions), **members}


def told(result: Message) -> list[Message]:
    """What the backend was answered, as its result says it."""
    found: list[Message] = json.loads(text_of(result))
    return found


def answered(result: Message, *questions: Message) -> None:
    """The call is complete, and the backend was given the person's answers to these questions, in their order."""
    must(result.get("resultType") == "complete", f"not complete: {brief(result)}")
    wanted = [{"result": GIVEN[question["method"]]} for question in questions]
    must(told(result) == wanted, f"the backend was answered {brief(told(result))}, not {brief(wanted)}")


async def a_question_is_asked_and_its_answer_carried(bench: Bench) -> None:
    client = bench.stateless
    for question in (one(bench.server), SAMPLE, ROOTS):
        mark = await bench.mark()
        interim = await client.interim("questions", asking(question))
        must(interim.methods == [question["method"]], f"asked {interim.methods}")
        must(interim.state, "a suspended call without a state")
        must(not {"ttlMs", "cacheScope", "content"} & set(interim.result), f"undue members: {brief(interim.result)}")
        (shown,) = interim.questions.values()
        for key, value in question.get("params", {}).items():
            must(shown["params"].get(key) == value, f"{key} is {brief(shown['params'].get(key))}")
        answered(result_of(await client.retry(interim, request_id="again"), "again"), question)
        seen = await bench.since(mark)
        must(len(calls(seen)) == 1, f"the call was sent {len(calls(seen))} times")
        must(not requests(seen, "notifications/cancelled"), "the end of an answered request cancelled its call")


async def ids_of_questions_do_not_matter(bench: Bench) -> None:
    client = bench.stateless
    for stream in ("POST", "GET"):
        for request_id in IDS:
            question = {**one(bench.server), "id": request_id}
            interim = await client.interim("questions", asking(question, on=stream))
            answered(result_of(await client.retry(interim)), question)


async def questions_at_once_are_one_round(bench: Bench) -> None:
    client = bench.stateless
    # On GET no roots: those that the caller told a moment ago may be known there.
    twice = [one(bench.server), SAMPLE, one(bench.server)]
    for stream, wanted in (("POST", several(bench.server)), ("GET", twice)):
        interim = await client.interim("questions", asking(*wanted, on=stream))
        must(interim.methods == sorted(each["method"] for each in wanted), f"{stream}: asked {interim.methods}")
        answered(result_of(await client.retry(interim)), *wanted)


async def questions_in_turn_are_rounds_of_their_own(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    question = {**one(bench.server), "id": 7}  # the same id again is this server's way
    questions = [question] * ROUNDS
    interim = await client.interim("questions", asking(*questions, in_turn=True))
    rounds = [interim]
    while len(rounds) < ROUNDS:
        rounds.append(await client.again(rounds[-1], request_id=f"leg-{len(rounds)}"))
    answered(result_of(await client.retry(rounds[-1])), *questions)
    keys = [key for each in rounds for key in each.questions]
    must(len(set(keys)) == len(keys) == ROUNDS, f"keys {keys}")
    must(len({each.state for each in rounds}) == ROUNDS, "a state came twice")
    must(len(calls(await bench.since(mark))) == 1, "the call was sent again")


async def what_was_not_answered_is_asked_again(bench: Bench) -> None:
    client = bench.stateless
    wanted = several(bench.server)
    interim = await client.interim("questions", asking(*wanted))
    given = interim.answers()
    first = next(iter(given))
    rest = await client.again(interim, {first: given[first]})
    left = sorted(str(each["method"]) for key, each in interim.questions.items() if key != first)
    must(rest.methods == left, f"asked again {rest.methods}, not {left}")
    nothing = await client.again(rest, {})
    must(nothing.methods == left, f"after no answer asked {nothing.methods}")
    answered(result_of(await client.retry(nothing)), *wanted)


async def answers_that_nobody_asked_for_are_ignored(bench: Bench) -> None:
    client = bench.stateless
    question = one(bench.server)
    mark = await bench.mark()
    stray = {"nobody": GIVEN["elicitation/create"], "asked": {"roots": []}}
    interim = await client.interim("questions", asking(question))
    again = await client.again(interim, stray)
    must(again.methods == [question["method"]], f"asked {again.methods}")
    must(not responses(await bench.since(mark)), "the backend was answered by nobody's answer")
    answered(result_of(await client.retry(again, {**stray, **again.answers()})), question)
    must(len(responses(await bench.since(mark))) == 1, "the backend was answered more than it asked")


def responses(seen: list[Message]) -> list[Message]:
    return [each["body"] for each in seen if each["body"] is not None and "method" not in each["body"]]


async def answers_of_a_wrong_shape_are_refused(bench: Bench) -> None:
    client = bench.stateless
    question = one(bench.server)
    mark = await bench.mark()
    interim = await client.interim("questions", asking(question))
    (key,) = interim.questions
    for wrong in WRONG:
        answer = await client.retry(interim, {key: wrong})
        must(answer.code == -32602, f"{wrong!r}: {brief(answer)}")
    for whole in NO_ANSWERS:
        params = {**interim.params, "inputResponses": whole, "requestState": interim.state}
        answer = await client.ask(interim.method, params)
        if answer.code is None:  # no answers at all: asked again
            interim = interim_of(interim.method, interim.params, result_of(answer), interim.capabilities)
        else:
            must(answer.code == -32602, f"inputResponses {whole!r}: {brief(answer)}")
    must(not responses(await bench.since(mark)), "a wrong answer reached the backend")
    answered(result_of(await client.retry(interim)), question)


async def an_identical_retry_waits_for_the_same_result(bench: Bench) -> None:
    client = bench.stateless
    question = one(bench.server)
    interim = await client.interim("questions", asking(question, then="wait"))
    mark = await bench.mark()
    first = asyncio.create_task(client.retry(interim, request_id="first"))
    await bench.eventually(mark, responses, "the answer")
    second = asyncio.create_task(client.retry(interim, request_id="second"))
    try:
        # What came after it on the broker's own loop was read after it.
        await client.call("echo")
        await bench.release()
        one_answer, other = await asyncio.gather(first, second)
    finally:
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
    answered(result_of(one_answer, "first"), question)
    answered(result_of(other, "second"), question)
    must(len(responses(await bench.since(mark))) == 1, "the backend was answered twice")


async def a_waiting_call_holds_up_nobody(bench: Bench) -> None:
    client = bench.stateless
    question = one(bench.server)
    waiting = await client.interim("questions", asking(question))
    other = await client.interim("questions", asking(question))
    must(text_of(await client.call("echo", {"n": 1})) == '{"n": 1}', "a call behind a waiting one")
    answered(result_of(await client.retry(other)), question)
    answered(result_of(await client.retry(waiting)), question)


def _labelled(label: str, server: str) -> Message:
    """A question that says whose it is."""
    if has(server, "elicitation"):
        return {**FORM, "params": {**FORM_PARAMS, "message": label}}
    content = {"type": "text", "text": label}
    return {**SAMPLE, "params": {**SAMPLE_PARAMS, "messages": [{"role": "user", "content": content}]}}


async def questions_on_get_belong_to_their_call(bench: Bench) -> None:
    """A server that asks there says of no question whose it is; it is known for it after its first."""
    client = bench.stateless
    known = await client.interim("questions", asking(_labelled("first", bench.server), on="GET"))
    answered(result_of(await client.retry(known)), one(bench.server))
    labels = ("Ada's", "Bob's", "Eve's")

    async def asked(label: str) -> Interim:
        return await client.interim("questions", asking(_labelled(label, bench.server), on="GET"))

    for label, interim in zip(labels, await asyncio.gather(*map(asked, labels)), strict=True):
        must(label in json.dumps(interim.questions), f"{label} call was asked {brief(interim.questions)}")
        answered(result_of(await client.retry(interim)), one(bench.server))


async def capabilities_are_each_requests_own(bench: Bench) -> None:
    client = bench.stateless
    names = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
    for question in (one(bench.server), SAMPLE, ROOTS):
        name = names[question["method"]]
        others: Message = {each: {} for each in names.values() if each != name}
        declared: tuple[Message, ...] = ({}, others)
        for capabilities in declared:
            for as_error in (False, True):
                params = {"name": "needs", "arguments": asking(question, as_error=as_error)}
                answer = await client.ask("tools/call", params, capabilities=capabilities)
                must((answer.status, answer.code) == (400, -32021), f"{name}: {brief(answer)}")
                needed = (error_of(answer).get("data") or {}).get("requiredCapabilities")
                must(isinstance(needed, dict) and isinstance(needed.get(name), dict), f"{name}: needs {brief(needed)}")
        interim = await client.interim("needs", asking(question), capabilities={name: {}})
        # What a retry declares is about what may be asked next, not about what it answers.
        answered(result_of(await client.retry(interim, capabilities={})), question)


async def a_question_may_name_its_key(bench: Bench) -> None:
    client = bench.stateless

    def named(key: Any) -> Message:
        question = one(bench.server)
        return {**question, "params": {**question["params"], "_meta": {INPUT_KEY: key}}}

    interim = await client.interim("questions", asking(named("user_name")))
    must(set(interim.questions) == {"user_name"}, f"keys {sorted(interim.questions)}")
    answered(result_of(await client.retry(interim)), one(bench.server))
    twins = await client.interim("questions", asking(named("a"), named("a"), named("b")))
    must(len(twins.questions) == 3 and {"a", "b"} <= set(twins.questions), f"keys {sorted(twins.questions)}")
    answered(result_of(await client.retry(twins)), *[one(bench.server)] * 3)
    for key in (7, None, "", ["a"], "k" * 10_000):
        other = await client.interim("questions", asking(named(key)))
        must(len(other.questions) == 1 and len(next(iter(other.questions))) < 1_000, f"key {brief(key, 40)}")
        answered(result_of(await client.retry(other)), one(bench.server))


async def reports_come_on_the_request_that_waits(bench: Bench) -> None:
    client = bench.stateless
    question = one(bench.server)

    async def leg(number: int, answers: Interim | None, level: str | None) -> tuple[list[Any], Message]:
        meta = {"progressToken": f"token-{number}", f"{META}logLevel": level}
        heard: list[Any] = []

        async def hear(message: Message) -> None:
            if message.get("method") == "notifications/progress":
                must(message["params"]["progressToken"] == f"token-{number}", f"leg {number}: {brief(message)}")
                heard.append(message["params"]["progress"])
            elif message.get("method") == "notifications/message":
                heard.append(message["params"]["data"])

        if answers is None:
            params = {"name": "reports", "arguments": asking(question)}
            answer = await client.ask("tools/call", params, meta=meta, on_message=hear)
        else:
            answer = await client.retry(answers, meta=meta, on_message=hear)
        return heard, result_of(answer)

    for level, lines in (("info", True), ("error", False), (None, False)):
        heard, result = await leg(1, None, level)
        must(heard == ([1, "before"] if lines else [1]), f"{level}: the first leg heard {heard}")
        params = {"name": "reports", "arguments": asking(question)}
        heard, result = await leg(2, Interim("tools/call", params, result, {}), level)
        must(heard == ([2, "after"] if lines else [2]), f"{level}: the second leg heard {heard}")
        answered(result, question)


CHECKS: Final = (
    Check("pushed question", "rounds.pushed", a_question_is_asked_and_its_answer_carried, handshake),
    Check("ids of pushed questions", "rounds.ids", ids_of_questions_do_not_matter, handshake),
    Check("pushed questions at once", "rounds.at-once", questions_at_once_are_one_round, handshake),
    Check("pushed questions in turn", "rounds.in-turn", questions_in_turn_are_rounds_of_their_own, handshake),
    Check("partial answers", "rounds.partial", what_was_not_answered_is_asked_again, handshake),
    Check("answers without a question", "rounds.partial", answers_that_nobody_asked_for_are_ignored, handshake),
    Check("answers of a wrong shape", "rounds.wrong-shape", answers_of_a_wrong_shape_are_refused, handshake),
    Check("identical retry", "rounds.identical", an_identical_retry_waits_for_the_same_result, handshake),
    Check("calls beside a waiting one", "rounds.apart", a_waiting_call_holds_up_nobody, handshake),
    Check("pushed questions on GET", "rounds.apart", questions_on_get_belong_to_their_call, handshake),
    Check("undeclared capabilities", "rounds.capabilities", capabilities_are_each_requests_own, handshake),
    Check("keys that questions name", "rounds.keys", a_question_may_name_its_key, handshake),
    Check("reports of a waiting call", "rounds.reports", reports_come_on_the_request_that_waits, handshake),
)
