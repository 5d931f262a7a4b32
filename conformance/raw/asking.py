"""How the scripted backend of a handshake revision asks its client: on either stream, under any id, at once or in turn,
and in ways that come to nothing.

Follows client/{elicitation,sampling,roots} and basic/utilities/cancellation of the handshake revisions.
Invariant: a call that asked ends with what its client answered, word for word, unless its name says otherwise.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from aiohttp import web

from conformance.raw.misbehaviour import ASK_BOUND_S, HANG_BOUND_S, Act, Exchange, log, write

Message = dict[str, Any]
SAME_AS_CALL: Final = "same as the call"
POLL_S: Final = 0.01
GIVEN_UP: Final = "gave up"
WENT_ON: Final = "went on without"


async def _get_stream(exchange: Exchange) -> web.StreamResponse:
    """The GET stream of the call's session."""
    async with asyncio.timeout(ASK_BOUND_S):
        while True:
            for stream, session in exchange.backend.streams.items():
                if session == exchange.session:
                    return stream
            await asyncio.sleep(POLL_S)


def _kept(answer: Message) -> Message:
    return {key: value for key, value in answer.items() if key in ("result", "error")}


async def _one(exchange: Exchange, stream: web.StreamResponse, question: Message) -> Message:
    chosen = exchange.body["id"] if question.get("id") == SAME_AS_CALL else question.get("id")
    return _kept(await exchange.ask(stream, question["method"], question.get("params"), chosen))


async def _questions(exchange: Exchange) -> web.StreamResponse:
    """Ask the `questions` of the arguments at once, or `in_turn`, on GET or on the call's own stream.

    The text is the list of the answers as they came; `then` "wait" has it come when it is released, "hang" never.
    """
    gate = exchange.backend.gate
    stream = await exchange.stream()
    given = exchange.arguments
    asked_on = await _get_stream(exchange) if given.get("on") == "GET" else stream
    if given.get("in_turn"):
        answers = [await _one(exchange, asked_on, question) for question in given["questions"]]
    else:
        answers = list(await asyncio.gather(*(_one(exchange, asked_on, each) for each in given["questions"])))
    if given.get("then") == "hang":
        await asyncio.sleep(HANG_BOUND_S)
    if given.get("then") == "wait":
        await asyncio.wait_for(gate.wait(), HANG_BOUND_S)
    await write(stream, exchange.message(json.dumps(answers)))
    return stream


async def _announces(exchange: Exchange) -> web.StreamResponse:
    """Say on the call's own stream that the tools changed."""
    stream = await exchange.stream()
    await write(stream, {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    await write(stream, exchange.message("announced"))
    return stream


async def _reports(exchange: Exchange) -> web.StreamResponse:
    """Report progress and log a line, ask, and do both again."""
    stream = await exchange.stream()
    token = exchange.body["params"].get("_meta", {}).get("progressToken")

    async def report(done: int, text: str) -> None:
        if token is not None:
            params = {"progressToken": token, "progress": done, "total": 2}
            await write(stream, {"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        await write(stream, log(text))

    await report(1, "before")
    answer = await _one(exchange, stream, exchange.arguments["questions"][0])
    await report(2, "after")
    await write(stream, exchange.message(json.dumps([answer])))
    return stream


async def _needs(exchange: Exchange) -> web.StreamResponse:
    """Ask, and fail without an answer: as a tool does, or with the refusal's own code when `as_error` is given."""
    stream = await exchange.stream()
    answer = await _one(exchange, stream, exchange.arguments["questions"][0])
    if "result" in answer:
        await write(stream, exchange.message(json.dumps([answer])))
    elif exchange.arguments.get("as_error"):
        await write(stream, {"jsonrpc": "2.0", "id": exchange.body["id"], "error": answer["error"]})
    else:
        content = [{"type": "text", "text": json.dumps(answer["error"])}]
        await write(stream, exchange.response({"content": content, "isError": True}))
    return stream


def _unanswered(text: str, *, cancels: bool) -> Act:
    """Ask, wait to be released and end without the answer, which is taken back before if `cancels`."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        gate = exchange.backend.gate
        stream = await exchange.stream()
        question = exchange.arguments["questions"][0]
        asking = asyncio.ensure_future(exchange.ask(stream, question["method"], question.get("params"), 0))
        try:
            await asyncio.wait_for(gate.wait(), HANG_BOUND_S)
        finally:
            asking.cancel()
        if cancels:
            params = {"requestId": 0, "reason": "Request timed out"}
            await write(stream, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        await write(stream, exchange.response({"content": [{"type": "text", "text": text}], "isError": cancels}))
        return stream

    return act


ACTS: Final[dict[str, Act]] = {
    "questions": _questions,
    "announces": _announces,
    "reports": _reports,
    "needs": _needs,
    "gives_up": _unanswered(GIVEN_UP, cancels=True),
    "goes_on": _unanswered(WENT_ON, cancels=False),
}
