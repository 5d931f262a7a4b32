"""Raw checks of inputs asked in rounds by a backend of 2026-07-28, for session clients of every revision.

Follows basic/patterns/mrtr of 2026-07-28 and the asks of client/* of the handshake revisions.
Invariant: the scripted backend answers a retry that breaks the pattern with an error, so a result proves it was kept.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from conformance.raw.bench import (
    EVENTUALLY_S,
    Bench,
    Check,
    MismatchError,
    brief,
    calls,
    must,
    requests,
    stateless,
    text_of,
)
from conformance.raw.misbehaviour import BODY
from conformance.raw.wire import Answer, Event, Message, Session, read_events
from conformance.revisions import has

ALL: Final[Message] = {"roots": {"listChanged": True}, "sampling": {}, "elicitation": {}}
GIVEN: Final[dict[str, Message]] = {
    "elicitation/create": {"action": "accept", "content": {"name": "Ada"}},
    "roots/list": {"roots": [{"uri": "file:///home", "name": "home"}]},
    "sampling/createMessage": {"role": "assistant", "content": {"type": "text", "text": "yo"}, "model": "m"},
}
ROOTS_ASK: Final = {"name": "asks", "arguments": {"method": "roots/list"}}


class Person:
    """Answers whatever is asked in a session, and keeps it; `refusal` answers with that error instead."""

    def __init__(self, session: Session, refusal: Message | None = None) -> None:
        self.session = session
        self.refusal = refusal
        self.asked: list[Message] = []

    async def __call__(self, message: Message) -> None:
        if "method" not in message or "id" not in message:
            return
        self.asked.append(message)
        answer = {"error": self.refusal} if self.refusal else {"result": GIVEN[message["method"]]}
        accepted = await self.session.post({"jsonrpc": "2.0", "id": message["id"], **answer})
        must(accepted.status == 202, f"the answer was met with {brief(accepted)}")

    @property
    def methods(self) -> list[str]:
        return sorted(str(each["method"]) for each in self.asked)


async def called(bench: Bench, tool: str, capabilities: Message, **arguments: Any) -> tuple[Answer, Person]:
    """The answer to a call in a session of its own, and what its person was asked."""
    session = await bench.open(capabilities)
    person = Person(session)
    params = {"name": tool, "arguments": arguments}
    return await session.ask("tools/call", params, request_id="c", on_message=person), person


async def rounds_are_gone_through_exactly(bench: Bench) -> None:
    mark = await bench.mark()
    answer, person = await called(bench, "turns", ALL)
    response = answer.response("c")
    must(response is not None and "result" in response, brief(answer))
    assert response is not None
    must(json.loads(text_of(response["result"]))["content"] == {"name": "Ada"}, brief(response))
    wanted = ["elicitation/create", "elicitation/create", "roots/list", "sampling/createMessage"]
    must(person.methods == wanted, f"the client was asked {person.methods}")
    legs = calls(await bench.since(mark))
    must(len({json.dumps(leg["id"]) for leg in legs}) == len(legs) == 4, f"ids {[leg['id'] for leg in legs]}")
    must(len({str(each["id"]) for each in person.asked}) == 4, "an ask's id was used twice")
    leaked = [
        key for each in answer.messages for key in each.get("result", {}) if key in ("resultType", "requestState")
    ]
    must(not leaked, f"{leaked} reached the client")


async def a_state_alone_is_gone_through(bench: Bench) -> None:
    answer, person = await called(bench, "state_turn", {})
    response = answer.response("c")
    must(response is not None and text_of(response.get("result", {})) == "done", brief(answer))
    must(not person.asked, f"the client was asked {person.methods}")


async def prompts_and_resources_ask_too(bench: Bench) -> None:
    session = await bench.open(ALL)
    for method, params in (("prompts/get", {"name": "asks"}), ("resources/read", {"uri": "test://asks"})):
        person = Person(session)
        answer = await session.ask(method, params, request_id=method, on_message=person)
        response = answer.response(method)
        must(response is not None and "Ada" in json.dumps(response.get("result")), f"{method}: {brief(answer)}")
        must(person.methods == ["elicitation/create"], f"{method}: asked {person.methods}")
    # What was read after a question is that person's alone, whatever the server says of keeping it.
    other = await bench.open(ALL)
    again = Person(other)
    await other.result("resources/read", {"uri": "test://asks"}, on_message=again)
    must(again.methods == ["elicitation/create"], "an answer made of one person's input was kept for another")


async def undeclared_inputs_end_the_call(bench: Bench) -> None:
    for method in ("sampling/createMessage", "roots/list", "elicitation/create"):
        mark = await bench.mark()
        answer, person = await called(bench, "asks", {}, method=method, params={"message": "x", "messages": []})
        response = answer.response("c")
        must(not person.asked, f"a client that declared nothing was asked {person.methods}")
        must(response is not None and response.get("result", {}).get("isError") is True, f"{method}: {brief(answer)}")
        must(len(calls(await bench.since(mark))) == 1, f"{method}: the call was sent on")


async def missing_capabilities_end_the_call(bench: Bench) -> None:
    session = await bench.open({})
    for tool in ("lacking", "lacking_in_200", "lacking_nonsense"):
        result = await session.call(tool)
        must(result.get("isError") is True and BODY not in json.dumps(result), f"{tool}: {brief(result)}")
    for method, params in (("prompts/get", {"name": "lacking"}), ("resources/read", {"uri": "test://lacking"})):
        answer = await session.ask(method, params, request_id=method)
        error = (answer.response(method) or {}).get("error") or {}
        must(answer.status == 200 and error.get("code") == -32603, f"{method}: {brief(answer)}")
        must("elicitation" in (error.get("data") or {}).get("requiredCapabilities", {}), f"{method}: {brief(error)}")


async def a_refusal_ends_the_call(bench: Bench) -> None:
    session = await bench.open(ALL)
    mark = await bench.mark()
    for method in ("roots/list", "sampling/createMessage"):
        person = Person(session, {"code": -1, "message": "User rejected it"})
        params = {"name": "asks", "arguments": {"method": method, "params": {"messages": [], "maxTokens": 1}}}
        answer = await session.ask("tools/call", params, request_id=method, on_message=person)
        response = answer.response(method)
        must(response is not None and response.get("result", {}).get("isError") is True, f"{method}: {brief(answer)}")
    must(len(calls(await bench.since(mark))) == 2, "a refused input was answered for the client")


async def _until_asked(session: Session, events: list[Event]) -> Message:
    """Send a call that asks, and drop its stream at the question, which it gives."""
    wire = session.wire
    body = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "logged_turn", "arguments": {}}}
    async with wire.http.post(wire.url, json=body, headers=wire.headers(session.id)) as response:
        async for event in read_events(response.content):
            events.append(event)
            message = event.message or {}
            if "method" in message and "id" in message:
                response.close()
                return message
    raise MismatchError(f"the stream ended without a question: {brief(events)}")


async def a_stream_dropped_at_a_question_is_resumed(bench: Bench) -> None:
    session = await bench.open(ALL)
    mark = await bench.mark()
    events: list[Event] = []
    ask = await _until_asked(session, events)
    must(events[-1].id, "events carry no id, so the stream cannot be resumed")
    answer = {"jsonrpc": "2.0", "id": ask["id"], "result": GIVEN["elicitation/create"]}
    must((await session.post(answer)).status == 202, "the answer to the question was refused")
    rest: list[Message] = []
    async with session.get({"Last-Event-ID": events[-1].id}) as response:
        must(response.status == 200, f"GET with Last-Event-ID: HTTP {response.status}")
        async with asyncio.timeout(EVENTUALLY_S):
            async for event in read_events(response.content):
                rest.append(event.message or {})
                if "result" in rest[-1]:
                    break
    said = [each["params"]["data"] if "params" in each else text_of(each["result"]) for each in rest if each]
    must(said == ["after", "done"], f"after the drop: {brief(rest)}")
    legs = calls(await bench.since(mark))
    must(len(legs) == 2, f"{len(legs)} legs reached the backend")


async def a_cancelled_question_is_taken_back(bench: Bench) -> None:
    session = await bench.open(ALL)
    mark = await bench.mark()
    taken: list[Message] = []
    cancelled = asyncio.Event()

    async def cancel(message: Message) -> None:
        if message.get("method") == "elicitation/create":
            taken.append(message)
            await session.notify("notifications/cancelled", {"requestId": "c"})
            cancelled.set()

    call = asyncio.create_task(
        session.ask("tools/call", {"name": "logged_turn", "arguments": {}}, request_id="c", on_message=cancel)
    )
    try:
        await bench.eventually(mark, calls, "the call")
        await asyncio.wait_for(cancelled.wait(), EVENTUALLY_S)
        late = await session.post({"jsonrpc": "2.0", "id": taken[0]["id"], "result": GIVEN["elicitation/create"]})
        must(late.status in (202, 400), brief(late))
        must(text_of(await session.call("echo", {"n": 1})) == '{"n": 1}', "the session did not go on")
        legs = [each for each in requests(await bench.since(mark), "tools/call") if "inputResponses" in each["params"]]
        must(not legs, "a cancelled call was retried")
    finally:
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


def _elicits(client: str, server: str) -> bool:
    return stateless(client, server) and has(client, "elicitation")


def _resumes(client: str, server: str) -> bool:
    return _elicits(client, server) and has(client, "sessions")


CHECKS: Final = (
    Check("rounds of inputs", "inputs.retried", rounds_are_gone_through_exactly, _elicits),
    Check("round of state alone", "inputs.state-only", a_state_alone_is_gone_through, stateless),
    Check("inputs of prompts and resources", "inputs.asked", prompts_and_resources_ask_too, _elicits),
    Check("inputs nobody declared", "inputs.refused", undeclared_inputs_end_the_call, stateless),
    Check("missing capability", "errors.missing-capability", missing_capabilities_end_the_call, stateless),
    Check("input the client refuses", "inputs.declined-by-error", a_refusal_ends_the_call, stateless),
    Check("stream dropped at a question", "inputs.resumed", a_stream_dropped_at_a_question_is_resumed, _resumes),
    Check("call cancelled at a question", "inputs.cancelled", a_cancelled_question_is_taken_back, _elicits),
)
