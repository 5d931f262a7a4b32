"""Raw checks of what crosses: members and asks that one side's revision lacks, ids and tokens, vendor
members.

Follows the differences between adjacent revisions; what a broker must hold back is checked at the far side.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from conformance.raw.bench import Bench, Check, brief, calls, handshake, must, requests, text_of
from conformance.raw.wire import Message, Session
from conformance.revisions import has

FORM: Final = {
    "message": "who?",
    "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
}
SAMPLE: Final = {
    "messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}],
    "maxTokens": 10,
}


async def _asked(
    session: Session, method: str, params: Message, answer: Message
) -> tuple[list[Message], dict[str, Any]]:
    """What reached the client while the backend asked, and what the backend was answered."""
    asks: list[Message] = []

    async def respond(message: Message) -> None:
        if "method" in message and "id" in message:
            asks.append(message)
            await session.post({"jsonrpc": "2.0", "id": message["id"], **answer})

    result = await session.call("asks", {"method": method, "params": params}, on_message=respond)
    found: dict[str, Any] = json.loads(text_of(result))
    return asks, found


async def asks_reach_the_client(bench: Bench) -> None:
    session = await bench.open()
    roots = {"roots": [{"uri": "file:///home", "name": "home"}]}
    asks, answer = await _asked(session, "roots/list", {}, {"result": roots})
    must([each["method"] for each in asks] == ["roots/list"], f"the client was asked {brief(asks)}")
    must(answer.get("result", {}).get("roots") == roots["roots"], f"the backend was answered {brief(answer)}")
    text = {"role": "assistant", "content": {"type": "text", "text": "yo"}, "model": "m"}
    asks, answer = await _asked(session, "sampling/createMessage", SAMPLE, {"result": text})
    must(asks[0]["params"]["messages"] == SAMPLE["messages"], brief(asks))
    must(
        answer.get("result", {}).get("content") == text["content"],
        f"the backend was answered {brief(answer)}",
    )


async def a_refusal_of_the_client_reaches_the_backend(bench: Bench) -> None:
    session = await bench.open()
    error = {"error": {"code": -1, "message": "User rejected sampling request"}}
    _, answer = await _asked(session, "sampling/createMessage", SAMPLE, error)
    must(answer.get("error", {}).get("code") == -1, f"the backend was answered {brief(answer)}")


async def asks_nobody_declared_are_refused(bench: Bench) -> None:
    session = await bench.open({})
    for method, params in (("sampling/createMessage", SAMPLE), ("elicitation/create", FORM)):
        asks, answer = await _asked(session, method, params, {"result": {}})
        must(not asks, f"the client, which declared nothing, was asked {brief(asks)}")
        must(
            answer.get("error", {}).get("code") in (-32601, -32602),
            f"the backend was answered {brief(answer)}",
        )


async def unknown_asks_are_refused(bench: Bench) -> None:
    session = await bench.open()
    asks, answer = await _asked(session, "no/such", {}, {"result": {}})
    must(not asks, f"the client was asked {brief(asks)}")
    must(answer.get("error", {}).get("code") == -32601, f"the backend was answered {brief(answer)}")


async def elicitation_is_kept_from_older_clients(bench: Bench) -> None:
    session = await bench.open({"roots": {}, "sampling": {}, "elicitation": {}})
    asks, answer = await _asked(session, "elicitation/create", FORM, {"result": {"action": "accept"}})
    must(not asks, f"a client whose revision has no elicitation was asked {brief(asks)}")
    must(answer.get("error", {}).get("code") in (-32601, -32602), f"the backend was answered {brief(answer)}")


async def newer_parameters_are_left_out(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    params = {"name": "echo", "arguments": {"n": 1}, "task": {"ttl": 1000}}
    answer = await session.ask("tools/call", params)
    must(answer.status == 200, brief(answer))
    reference = {"type": "ref/prompt", "name": "p", "title": "P"}
    context = {"arguments": {"x": "y"}}
    await session.ask(
        "completion/complete",
        {"ref": reference, "argument": {"name": "a", "value": "par"}, "context": context},
    )
    seen = await bench.since(mark)
    must(calls(seen), "the call did not reach the backend")
    must(not (set(calls(seen)[0]["params"]) & {"task"}), f"the backend saw {brief(calls(seen)[0])}")
    for each in requests(seen, "completion/complete"):
        if not has(bench.server, "completion context"):
            must("context" not in each["params"], f"the backend saw {brief(each)}")
            must("title" not in each["params"]["ref"], f"the backend saw {brief(each)}")


async def newer_tool_members_are_left_out(bench: Bench) -> None:
    session = await bench.open()
    tools = (await session.result("tools/list", {}))["tools"]
    must(len(tools) > 5, f"{len(tools)} tools")
    for tool in tools:
        for member, word in (
            ("title", "titles"),
            ("execution", "execution"),
            ("annotations", "tool annotations"),
        ):
            must(has(bench.client, word) or member not in tool, f"{member} of a newer revision: {brief(tool)}")


async def vendor_members_pass(bench: Bench) -> None:
    session = await bench.open()
    result = await session.call("vendor")
    must(result.get("x-vendor") == {"kept": True}, brief(result))


async def cancellation_names_the_backends_request(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    params = {"name": "hangs", "arguments": {}}
    call = asyncio.create_task(session.ask("tools/call", params, request_id="to-cancel"))
    try:
        asked = await bench.eventually(mark, calls, "the call")
        notice = await session.notify("notifications/cancelled", {"requestId": "to-cancel", "reason": "enough"})
        must(notice.status == 202, brief(notice))
        found = await bench.eventually(mark, lambda seen: requests(seen, "notifications/cancelled"), "cancellation")
        must(
            found[0]["params"]["requestId"] == asked[0]["id"],
            f"{brief(found)} for the call {brief(asked[0])}",
        )
    finally:
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def progress_comes_under_the_clients_token(bench: Bench) -> None:
    session = await bench.open()
    for token in ("mine", 7):
        params = {"name": "progress", "arguments": {}, "_meta": {"progressToken": token}}
        answer = await session.ask("tools/call", params)
        reports = [each["params"] for each in answer.messages if each.get("method") == "notifications/progress"]
        must(len(reports) == 1, brief(answer))
        must(
            reports[0]["progressToken"] == token and type(reports[0]["progressToken"]) is type(token),
            f"token {reports[0]['progressToken']!r}, not {token!r}",
        )


async def two_calls_share_a_token(bench: Bench) -> None:
    one, other = await bench.open(), await bench.open()
    params = {"name": "progress", "arguments": {}, "_meta": {"progressToken": 1}}
    for answer in await asyncio.gather(one.ask("tools/call", params), other.ask("tools/call", params)):
        reports = [each for each in answer.messages if each.get("method") == "notifications/progress"]
        must(len(reports) == 1, f"{len(reports)} reports on one call: {brief(answer)}")


def _no_elicitation(client: str, server: str) -> bool:
    return not has(client, "elicitation") and handshake(client, server)


def _not_both_newest(client: str, server: str) -> bool:
    return not (has(client, "tasks") and has(server, "tasks"))


CHECKS: Final = (
    Check("asks reach the client and back", "ask.carried", asks_reach_the_client),
    Check("the client's refusal", "ask.carried", a_refusal_of_the_client_reaches_the_backend, handshake),
    Check("asks without a capability", "ask.undeclared", asks_nobody_declared_are_refused, handshake),
    Check("unknown ask", "ask.undeclared", unknown_asks_are_refused, handshake),
    Check(
        "elicitation kept back",
        "elicitation.refused",
        elicitation_is_kept_from_older_clients,
        _no_elicitation,
    ),
    Check("newer parameters", "projection.parameters", newer_parameters_are_left_out, _not_both_newest),
    Check("newer tool members", "tools.list-projected", newer_tool_members_are_left_out),
    Check("vendor members", "projection.unknown-members", vendor_members_pass),
    Check("cancellation", "cancellation", cancellation_names_the_backends_request, handshake),
    Check("progress token", "ids.tokens", progress_comes_under_the_clients_token),
    Check("one token in two sessions", "ids.tokens", two_calls_share_a_token),
)
