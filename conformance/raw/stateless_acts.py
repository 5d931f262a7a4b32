"""What the scripted backend of 2026-07-28 does beside the older tools: asking in rounds, and breaking that pattern.

Follows basic/patterns/mrtr and basic/index#error-codes of 2026-07-28.
Invariant: a retry that breaks the pattern is answered with an error naming the breach, which no check expects.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from conformance.raw.misbehaviour import BODY, Act, Exchange, log, write

Message = dict[str, Any]
FORM: Final[Message] = {
    "method": "elicitation/create",
    "params": {
        "message": "who?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}
SAMPLE: Final[Message] = {
    "method": "sampling/createMessage",
    "params": {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 10},
}
ROOTS: Final[Message] = {"method": "roots/list"}
STATE: Final = '{"kept": ["by", "the client"], "ü": "\\u0000"}'
"""Looks like JSON and is none of the client's business: it has to come back byte for byte."""
BIG_STATE: Final = "s" * 1_000_000
ROUNDS: Final = 3


def asking(exchange: Exchange, requests: Message | None, state: str | None = None) -> web.Response:
    """A result that asks."""
    result: Message = {"resultType": "input_required"}
    if requests is not None:
        result["inputRequests"] = requests
    if state is not None:
        result["requestState"] = state
    return web.json_response({"jsonrpc": "2.0", "id": exchange.body["id"], "result": result})


def _given(exchange: Exchange) -> Any:
    return exchange.body["params"].get("inputResponses")


def _state(exchange: Exchange) -> Any:
    return exchange.body["params"].get("requestState")


def _breach(exchange: Exchange, text: str) -> web.Response:
    error = {"code": -32602, "message": f"breach: {text}"}
    return web.json_response({"jsonrpc": "2.0", "id": exchange.body["id"], "error": error})


async def _asks(exchange: Exchange) -> web.StreamResponse:
    """Ask what the arguments say; the result's text is the client's answer as it came."""
    given = _given(exchange)
    if given is None:
        method, params = exchange.arguments["method"], exchange.arguments.get("params")
        return asking(exchange, {"a": {"method": method} | ({} if params is None else {"params": params})})
    return exchange.json(json.dumps({"result": given.get("a")}))


async def _turns(exchange: Exchange) -> web.StreamResponse:
    """Three rounds: a form with state; a sample and the roots without; a form with state again."""
    given, state = _given(exchange), _state(exchange)
    if given is None:
        return asking(exchange, {"first": FORM}, STATE) if state is None else _breach(exchange, "a state at first")
    if set(given) == {"first"}:
        return asking(exchange, {"x": SAMPLE, "y": ROOTS}) if state == STATE else _breach(exchange, f"state {state!r}")
    if set(given) == {"x", "y"}:
        return asking(exchange, {"last": FORM}, "") if state is None else _breach(exchange, "a state nobody gave")
    if set(given) == {"last"} and state == "":
        return exchange.json(json.dumps(given["last"]))
    return _breach(exchange, f"keys {sorted(given)}, state {state!r}")


async def _logged_turn(exchange: Exchange) -> web.StreamResponse:
    """A round on a stream that logs before it asks, and logs again after the answer."""
    stream = await exchange.stream()
    if _given(exchange) is None:
        await write(stream, log("before"))
        result = {"resultType": "input_required", "inputRequests": {"a": FORM}}
        await write(stream, {"jsonrpc": "2.0", "id": exchange.body["id"], "result": result})
    else:
        await write(stream, log("after"))
        await write(stream, exchange.message("done"))
    return stream


async def _state_turn(exchange: Exchange) -> web.StreamResponse:
    if _state(exchange) is None:
        return asking(exchange, None, STATE)
    if _state(exchange) != STATE or _given(exchange):
        return _breach(exchange, f"state {_state(exchange)!r}, answers {_given(exchange)!r}")
    return exchange.json("done")


def _always(make: Callable[[Exchange], Message]) -> Act:
    """Answer this result, whatever came."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        return web.json_response({"jsonrpc": "2.0", "id": exchange.body["id"], "result": make(exchange)})

    return act


def _error(status: int, code: int, data: Any) -> Act:
    async def act(exchange: Exchange) -> web.StreamResponse:
        error: Message = {"code": code, "message": BODY, "data": data}
        return web.json_response({"jsonrpc": "2.0", "id": exchange.body["id"], "error": error}, status=status)

    return act


async def _twice_the_key(exchange: Exchange) -> web.StreamResponse:
    form = json.dumps(FORM)
    result = f'{{"resultType":"input_required","inputRequests":{{"a":{form},"a":{form}}}}}'
    text = f'{{"jsonrpc":"2.0","id":{json.dumps(exchange.body["id"])},"result":{result}}}'
    return web.Response(text=text, content_type="application/json")


async def _twice_the_type(exchange: Exchange) -> web.StreamResponse:
    result = '{"resultType":"complete","resultType":"input_required","content":[]}'
    text = f'{{"jsonrpc":"2.0","id":{json.dumps(exchange.body["id"])},"result":{result}}}'
    return web.Response(text=text, content_type="application/json")


async def _accepts(_exchange: Exchange) -> web.StreamResponse:
    return web.Response(status=202)


async def _level(exchange: Exchange) -> web.StreamResponse:
    return exchange.json(json.dumps(exchange.body["params"]["_meta"].get("io.modelcontextprotocol/logLevel")))


async def _numbers(exchange: Exchange) -> web.StreamResponse:
    return web.json_response(exchange.response({"content": [], "structuredContent": [1, 2]}))


def _endless(exchange: Exchange) -> Message:
    return {"resultType": "input_required", "inputRequests": {f"r{len(exchange.backend.seen)}": FORM}}


_TEXT: Final[list[Message]] = [{"type": "text", "text": "bare"}]
_LACKING: Final[Message] = {"requiredCapabilities": {"elicitation": {"form": {}}}}

ACTS: Final[dict[str, Act]] = {
    "asks": _asks,
    "turns": _turns,
    "logged_turn": _logged_turn,
    "state_turn": _state_turn,
    "level": _level,
    "numbers": _numbers,
    "bare": _always(lambda _: {"content": _TEXT}),
    "unknown_type": _always(lambda _: {"resultType": "maybe", "content": _TEXT}),
    "type_is_number": _always(lambda _: {"resultType": 7, "content": _TEXT}),
    "asks_nothing": _always(lambda _: {"resultType": "input_required"}),
    "asks_a_list": _always(lambda _: {"resultType": "input_required", "inputRequests": [FORM]}),
    "big_state": _always(lambda _: {"resultType": "input_required", "requestState": BIG_STATE}),
    "state_is_object": _always(lambda _: {"resultType": "input_required", "requestState": {"a": 1}}),
    "asks_unknown": _always(lambda _: {"resultType": "input_required", "inputRequests": {"a": {"method": "no/such"}}}),
    "endless": _always(_endless),
    "endless_state": _always(lambda _: {"resultType": "input_required", "requestState": "again"}),
    "twice_the_key": _twice_the_key,
    "twice_the_type": _twice_the_type,
    "accepts": _accepts,
    "nonsense_version": _error(400, -32022, {"supported": "everything", "requested": 3}),
    "mismatch": _error(400, -32020, None),
    "lacking": _error(400, -32021, _LACKING),
    "lacking_nonsense": _error(400, -32021, {"requiredCapabilities": ["elicitation"]}),
    "lacking_in_200": _error(200, -32021, _LACKING),
}


async def _prompt(exchange: Exchange) -> web.StreamResponse:
    given = _given(exchange)
    if given is None:
        return asking(exchange, {"a": FORM})
    message = {"role": "user", "content": {"type": "text", "text": json.dumps(given["a"])}}
    return web.json_response(exchange.response({"messages": [message]}))


async def _read(exchange: Exchange) -> web.StreamResponse:
    given = _given(exchange)
    if given is None:
        return asking(exchange, {"a": FORM})
    contents = [{"uri": "test://asks", "text": json.dumps(given["a"])}]
    return web.json_response(exchange.response({"contents": contents, "ttlMs": 60_000, "cacheScope": "public"}))


async def _bare_read(exchange: Exchange) -> web.StreamResponse:
    result = {"contents": [{"uri": "test://bare", "text": "bare"}]}
    return web.json_response({"jsonrpc": "2.0", "id": exchange.body["id"], "result": result})


PROMPTS: Final[dict[str, Act]] = {"asks": _prompt, "lacking": ACTS["lacking"]}
READS: Final[dict[str, Act]] = {"test://asks": _read, "test://bare": _bare_read, "test://lacking": ACTS["lacking"]}
