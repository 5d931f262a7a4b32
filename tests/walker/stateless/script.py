"""What a session server says: results, errors and garbage; questions anywhere; whatever belongs to no request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from protocol_versions.base import ask as ask_slot
from tests.walker.choice import Choice
from tests.walker.stateless.clients import SERVER
from tests.walker.stateless.mark import ELICIT, MARKED, ROOTS, SAMPLE
from tests.walker.stateless.server import Call, Question
from tests.walker.stateless.world import World
from translators.stateless_client.questions import INPUT_KEY

Answer = Callable[[World, Choice, Call], None]
Speech = Callable[[World, Choice], None]

CODES = (-32602, -32603, -32601, -32002, -32021, -32020, -32050, -1, 0, 7)
GARBAGE = (
    b'{"tools":[{"name":1e999}],"content":[{"type":1e999}],"contents":1e999,"messages":[{"content":1e999}]}',
    b'{"resultType":"input_required","inputRequests":{"s-x":{"method":"roots/list"}},"ttlMs":1,"nextCursor":1e999}',
)
SPOOFED = {"resultType": "task", "ttlMs": 60_000, "cacheScope": "public", "requestState": "s-state"}
STATELESS_META = {"io.modelcontextprotocol/serverInfo": {"name": "evil"}, "io.modelcontextprotocol/subscriptionId": 1}
NEWEST = "2025-11-25"
FORMS = ("2025-06-18", NEWEST)

_encode = msgspec.json.encode


def _result(world: World, call: Call, result: bytes) -> None:
    world.server.end(call.id)
    world.say(call.id, b'"id":%d,"result":%b' % (call.id, result))


def complete(world: World, choice: Choice, call: Call) -> None:
    """A result as the method has it."""
    body: dict[str, Any] = {}
    match call.method:
        case "initialize":
            version = world.server.revision.id
            body = {"protocolVersion": version, "capabilities": world.server.offers, "serverInfo": SERVER}
        case "tools/call":
            body = {"content": [{"type": "text", "text": "done"}], **({"isError": True} if choice.flag(0.3) else {})}
        case "prompts/get":
            body = {"messages": []}
        case "resources/read":
            body = {"contents": []}
        case "completion/complete":
            body = {"completion": {"values": ["x"] * choice.pick((0, 1, 101))}}
        case "resources/subscribe":
            assert call.params["uri"] not in world.server.followed, "subscribed twice"
            world.server.followed.add(call.params["uri"])
        case "resources/unsubscribe":
            world.server.followed.remove(call.params["uri"])
        case method if method.endswith("/list"):
            member = "resourceTemplates" if "templates" in method else method.partition("/")[0]
            names = [name for name in ("b", "a", "c") if choice.flag(0.8)]
            body[member] = [{"name": name, "uri": f"test://{name}", "uriTemplate": f"test://{name}"} for name in names]
            if member == "tools":
                body[member] = [{"name": name, "inputSchema": {"type": "object"}} for name in reversed(names)]
            if choice.flag(0.25):
                body["nextCursor"] = choice.pick(("p1", "", "s.p"))
    if call.method != "initialize" and choice.flag(0.1):
        body |= {"_meta": STATELESS_META, **(SPOOFED if call.method != "logging/setLevel" else {})}
        body.pop("requestState", None) if call.method in MARKED and choice.flag() else None
    _result(world, call, _encode(body))


def err(world: World, choice: Choice, call: Call) -> None:
    """An error of any code."""
    world.server.end(call.id)
    if call.method == "resources/unsubscribe":
        world.server.followed.discard(call.params["uri"])
    error: dict[str, Any] = {"code": choice.pick(CODES), "message": "s no"}
    if choice.flag():
        error["data"] = choice.pick(({"x": 1}, "text", {"origin": "broker", "reason": "backend-closed"}))
    world.say(call.id, b'"id":%d,"error":%b' % (call.id, _encode(error)))


def garbage(world: World, choice: Choice, call: Call) -> None:
    """A result that is none."""
    if call.method in ("resources/subscribe", "resources/unsubscribe"):
        complete(world, choice, call)
    else:
        _result(world, call, choice.pick(GARBAGE))


def pages(world: World, choice: Choice, call: Call) -> None:
    """The error of a call that needs pages to be visited first; it was not run."""
    assert call.mark is not None
    number = call.mark.number
    elements = [
        {
            "mode": "url",
            "message": "visit/0",
            "url": f"https://example.com/{number}/{at}",
            **({"elicitationId": f"page-{number}-{at}"} if choice.flag(0.9) else {}),
        }
        for at in range(choice.pick((1, 1, 2)))
    ]
    call.mark.pages += 1
    world.server.end(call.id)
    error = {"code": -32042, "message": "s visit", "data": {"elicitations": elements}}
    world.say(call.id, b'"id":%d,"error":%b' % (call.id, _encode(error)))


def ask(world: World, choice: Choice) -> None:
    """A question: on the stream of an open call, or on the standing one."""
    server = world.server
    streams = [call.id for call in server.open.values() if server.greeted and not call.cancelled]
    if world.stands and server.greeted:
        streams += [0] * (1 + len(streams) // 2)
    if not streams:
        return
    stream = choice.pick(streams)
    kind = choice.pick(("form", "form", "url", "sample", "tools", "roots", "roots", "ping"))
    method = {"form": ELICIT, "url": ELICIT, "roots": ROOTS, "ping": "ping"}.get(kind, SAMPLE)
    newest = server.revision.id == NEWEST
    if not server.revision.knows(ask_slot(method)) or (kind in ("url", "tools") and not newest):
        return
    if not _declared(server.declared, kind) and choice.flag(0.8):
        return
    server.asked += 1
    number = server.asked
    params = _question(number, kind, newest=newest)
    token = f"s-t{number}" if choice.flag(0.4) else None
    meta = {"x/ask": number, **({"progressToken": token} if token is not None else {})}
    if choice.flag(0.2):
        meta[INPUT_KEY] = choice.pick(("wish-1", "wish-2", "", 7))
    identity: int | str = number - 1 if choice.flag() else f"s-{number}"
    body = {"id": identity, "method": method, "params": {**params, "_meta": meta}}
    question = Question(identity, number, method, stream, token)
    world.ask(question, stream, _encode(body)[1:-1])


def _declared(declared: dict[str, Any], kind: str) -> bool:
    if kind in ("form", "url"):
        asked = declared.get("elicitation")
        return asked is not None and (kind in asked or (kind == "form" and "url" not in asked))
    if kind in ("sample", "tools"):
        return "sampling" in declared and (kind == "sample" or "tools" in declared["sampling"])
    return kind == "ping" or "roots" in declared


def _question(number: int, kind: str, *, newest: bool) -> dict[str, Any]:
    if kind == "form":
        schema = {"type": "object", "properties": {"v": {"type": "string"}}}
        return {"message": f"fill/{number}", "requestedSchema": schema, **({"mode": "form"} if newest else {})}
    if kind == "url":
        page = f"https://example.com/{number}"
        return {"mode": "url", "url": page, "message": f"open/{number}", "elicitationId": f"s-e{number}"}
    if kind in ("sample", "tools"):
        content = {"type": "text", "text": f"say/{number}"}
        tools: dict[str, Any] = {"tools": []} if kind == "tools" else {}
        return {"messages": [{"role": "user", "content": content}], "maxTokens": 5, **tools}
    return {}


def take_back(world: World, choice: Choice) -> None:
    """The server needs the answer to a question no more; or of one it never asked."""
    questions = world.server.questions
    identity: Any = choice.pick(list(questions)) if questions and choice.flag(0.9) else "s-never"
    questions.pop(identity, None)
    _say(world, choice, "cancelled", {"requestId": identity, "reason": "s late"})


def progress(world: World, choice: Choice) -> None:
    """Progress of a call, rising or not; under a token of nobody now and then."""
    tokens = [call.token for call in world.server.open.values() if call.token is not None]
    token = choice.pick(tokens) if tokens and choice.flag(0.9) else choice.pick((99_999, "s-t"))
    params = {"progressToken": token, "progress": choice.pick((0, 0.5, 1, 2, 3, 10))}
    _say(world, choice, "progress", params, stream=token if token in world.server.open and choice.flag(0.8) else None)


def log(world: World, choice: Choice) -> None:
    """A log message at any level, on any stream."""
    _say(world, choice, "message", {"level": choice.pick(("debug", "info", "error", "odd")), "data": {"x": ["d"]}})


def announce(world: World, choice: Choice) -> None:
    """A change, of a list or a resource."""
    kind = choice.pick(("tools/list_changed", "prompts/list_changed", "resources/list_changed", "resources/updated"))
    uri = choice.pick(("test://a", "test://b/c", "test://zzz"))
    params: dict[str, Any] = {"uri": uri} if kind == "resources/updated" else {}
    if choice.flag(0.2):
        params["_meta"] = STATELESS_META
    _say(world, choice, kind, params)


def visited(world: World, choice: Choice) -> None:
    """A page was dealt with."""
    if world.server.revision.id == NEWEST:
        numbers = [mark.number for mark in world.clients.marks.values() if mark.pages] or [1]
        identity = f"page-{choice.pick(numbers)}-{choice.pick((0, 1))}"
        _say(world, choice, "elicitation/complete", {"elicitationId": identity})


def odd(world: World, choice: Choice) -> None:
    """What nobody knows."""
    _say(world, choice, choice.pick(("vendor/x", "tasks/status", "initialized")), {"taskId": "s-t"})


def _say(world: World, choice: Choice, method: str, params: dict[str, Any], stream: int | None = None) -> None:
    if not world.server.greeted:
        return
    if stream is None:
        streams = [*world.server.open, *world.server.closed[-1:], *([0] * (2 if world.stands else 0))]
        if not streams:
            return
        stream = choice.pick(streams)
    world.say(stream, b'"method":"notifications/%b","params":%b' % (method.encode(), _encode(params)))


def answers_to(world: World, call: Call) -> tuple[Answer, ...]:
    """What a server may answer to a request, likelier answers more than once."""
    if call.method == "initialize":
        return (complete,) * 30 + (err, garbage)
    if call.method in MARKED and call.mark is not None:
        more = (pages, pages) if world.server.revision.id == NEWEST else ()
        return (complete, complete, err, garbage, *more)
    return (complete, complete, complete, err, garbage)


SPEECH: tuple[Speech, ...] = (progress, log, announce, announce, take_back, visited, odd)
