"""What a stateless server says: results, rounds, errors and garbage; acknowledgements, notifications, requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from tests.walker.choice import Choice
from tests.walker.round import Page, Round
from tests.walker.server import LISTEN, MARKED, MODERN, PREFIX, Leg

if TYPE_CHECKING:
    from tests.walker.world import World

Answer = Callable[["World", Choice, Leg], None]
Speech = Callable[["World", Choice, int], None]

STATES = (b'"s-%d"', b'"s-\\u0041%d"', b'"s-%d \\/"', b'""', b'"s-\xc3\xa9%d"')
CODES = (-32602, -32603, -32601, -32021, -32020, -32022, -32002, -32042, -1, 7)
TOOLS = (
    {"name": "plain", "inputSchema": {"type": "object"}},
    {"name": "odd", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}},
    {"name": "mirror", "inputSchema": {"type": "object", "properties": {"n": {"type": "string", "x-mcp-header": "N"}}}},
    {"name": "bad", "inputSchema": {"type": "object", "properties": {"n": {"type": "number", "x-mcp-header": "N"}}}},
)
FLAGS = ("toolsListChanged", "promptsListChanged", "resourcesListChanged")
GARBAGE = (
    b'{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list"}},"requestState":1}',
    b'{"resultType":"input_required","inputRequests":{"x":{"method":"ping"}}}',
    b'{"resultType":"input_required","inputRequests":[]}',
    b'{"resultType":"input_required"}',
    b'{"resultType":"task","taskId":"s-t"}',
    b'{"resultType":7}',
    b'{"tools":[{"name":1e999}],"content":[{"type":1e999}],"contents":1e999,"messages":[{"content":1e999}]}',
)

_encode = msgspec.json.encode


def _send(world: World, leg: int, body: bytes) -> None:
    world.say(leg, b'{"jsonrpc":"2.0",%b}' % body)


def _result(world: World, leg: Leg, result: bytes) -> None:
    world.server.end(leg.id)
    _send(world, leg.id, b'"id":%d,"result":%b' % (leg.id, result))


def complete(world: World, choice: Choice, leg: Leg) -> None:
    """A result as the method has it, with everything a newer server adds."""
    body: dict[str, Any] = {"_meta": {f"{PREFIX}serverInfo": {"name": "server", "version": "1"}}}
    if choice.flag(0.9):
        body["resultType"] = "complete"
    if leg.method == "server/discover":
        body |= {"supportedVersions": [MODERN], "capabilities": world.offers, "ttlMs": choice.pick((0, 60_000))}
    elif leg.method == "tools/list":
        body["tools"] = [tool for tool in TOOLS if choice.flag(0.7)]
    elif leg.method.endswith("/list"):
        member = "resourceTemplates" if "templates" in leg.method else leg.method.partition("/")[0]
        body[member] = [{"name": "x", "uri": "test://a", "uriTemplate": "test://{a}"}] * choice.flag()
    elif leg.method == "tools/call":
        body |= {"content": [], "structuredContent": choice.pick(({}, [1], None, 1))}
    elif leg.method == "prompts/get":
        body["messages"] = []
    elif leg.method == "resources/read":
        body |= {"contents": [], "ttlMs": 0, "cacheScope": "private"}
    elif leg.method == "completion/complete":
        body["completion"] = {"values": []}
    if leg.method.endswith("/list") and choice.flag(0.25):
        body["nextCursor"] = choice.pick(("p1", "p2"))
    _result(world, leg, _encode(body))


def ask(world: World, choice: Choice, leg: Leg) -> None:
    """A round of input: of state alone, of questions that may be asked, or of others among them."""
    mark = leg.mark
    assert mark is not None
    mark.rounds += 1
    declared = world.server.declared
    state = (choice.pick(STATES).replace(b"%d", b"%d" % leg.id)) if choice.flag(0.7) else None
    requests: dict[str, Any] = {}
    pages: dict[str, Page] = {}
    allowed = True
    for number in range(choice.pick((0, 1, 1, 2, 3))):
        kind = choice.pick(("form", "url", "sample", "roots", "tools"))
        key, question, needed = _question(mark.number, mark.rounds, number, kind)
        if key in requests:
            continue
        if not _declares(declared, needed):
            if choice.flag(0.9):
                continue
            allowed = False
        requests[key] = question
        if kind == "url":
            pages[key] = (question["params"]["url"], question["params"]["message"])
    if not requests and state is None:
        complete(world, choice, leg)
        return
    mark.owed = Round(
        number=mark.rounds,
        state=state,
        kinds={key: question["method"] for key, question in requests.items()},
        pages=pages,
        answers={key: '"accept"' for key, page in pages.items() if page in mark.agreed},
    )
    members = [b'"resultType":"input_required"']
    if requests or choice.flag(0.2):
        members.append(b'"inputRequests":' + _encode(requests))
    if state is not None:
        members.append(b'"requestState":' + state)
    _result(world, leg, b"{" + b",".join(members) + b"}")
    assert allowed or mark.over, "a call went on that asked for what was not declared"


def _question(mark: int, round_number: int, number: int, kind: str) -> tuple[str, dict[str, Any], tuple[str, str]]:
    """The key of a question, the question, and the capability it needs."""
    if kind == "roots":
        return "r", {"method": "roots/list"}, ("roots", "")
    if kind == "url":
        key = f"u{number}"
        params: dict[str, Any] = {"mode": "url", "url": f"https://example.com/{mark}", "message": f"open/{key}"}
        return key, {"method": "elicitation/create", "params": params}, ("elicitation", "url")
    key = f"k{round_number}.{number}"
    if kind == "form":
        schema = {"type": "object", "properties": {"v": {"type": "string"}}}
        params = {"mode": "form", "message": f"fill/{key}", "requestedSchema": schema}
        return key, {"method": "elicitation/create", "params": params}, ("elicitation", "form")
    content = {"type": "text", "text": f"say/{key}"}
    params = {"messages": [{"role": "user", "content": content}], "maxTokens": 5}
    if kind == "tools":
        params["tools"] = []
    return key, {"method": "sampling/createMessage", "params": params}, ("sampling", "tools" if kind == "tools" else "")


def _declares(declared: dict[str, Any], needed: tuple[str, str]) -> bool:
    name, part = needed
    return name in declared and (not part or part in declared[name])


def err(world: World, choice: Choice, leg: Leg) -> None:
    """An error of any code; a header mismatch and a refused version may bring the same leg again, each only once."""
    world.server.end(leg.id)
    code = choice.pick(CODES)
    data: dict[str, Any] = {"requiredCapabilities": {"roots": {}}, "uri": "test://a"}
    if choice.flag():
        data["supported"] = [MODERN]
    error = {"code": code, "message": "s no", "data": data}
    mark = leg.mark
    again = mark is not None and (
        (code == -32020 and leg.method == "tools/call" and not mark.refreshed)
        or (code == -32022 and "supported" in data and not mark.renewed)
    )
    _send(world, leg.id, b'"id":%d,"error":%b' % (leg.id, _encode(error)))
    if mark is None:
        return
    assert again or mark.over, "a call went on after an error"
    mark.refreshed |= code == -32020
    mark.renewed |= code == -32022


def garbage(world: World, choice: Choice, leg: Leg) -> None:
    """A result that is none; the call ends."""
    _result(world, leg, choice.pick(GARBAGE))
    if leg.mark is not None:
        assert leg.mark.over, "a call went on after garbage"


def acknowledge(world: World, choice: Choice, leg: Leg) -> None:
    """The acknowledgement of a stream, of all or of a part of what was asked for."""
    wanted = msgspec.json.decode(leg.params["notifications"])
    honoured: dict[str, Any] = {flag: True for flag in FLAGS if flag in wanted and choice.flag(0.9)}
    if "resourceSubscriptions" in wanted:
        honoured["resourceSubscriptions"] = [uri for uri in wanted["resourceSubscriptions"] if choice.flag(0.9)]
    leg.heard = True
    params = {"notifications": honoured, "_meta": {f"{PREFIX}subscriptionId": leg.id}}
    _send(world, leg.id, b'"method":"notifications/subscriptions/acknowledged","params":%b' % _encode(params))


def close(world: World, _choice: Choice, leg: Leg) -> None:
    """The graceful end of a stream."""
    _result(world, leg, b'{"resultType":"complete"}')


def progress(world: World, choice: Choice, leg: int) -> None:
    """Progress, under the token of the leg or another, rising or not."""
    opened = world.server.open.get(leg)
    own = opened.token if opened is not None else None
    token = own if own is not None and choice.flag(0.8) else choice.pick((0, 1, 2, 3, "s-token"))
    params = {"progressToken": token, "progress": choice.pick((0, 0.5, 1, 2, 3, 10)), "message": "m"}
    _send(world, leg, b'"method":"notifications/progress","params":%b' % _encode(params))


def log(world: World, choice: Choice, leg: int) -> None:
    """A log message, at any level."""
    params = {"level": choice.pick(("debug", "info", "error", "odd")), "data": "d"}
    _send(world, leg, b'"method":"notifications/message","params":%b' % _encode(params))


def announce(world: World, choice: Choice, leg: int) -> None:
    """What belongs on a stream that was asked for it, wherever it is written."""
    kind = choice.pick(("tools/list_changed", "prompts/list_changed", "resources/list_changed", "resources/updated"))
    params = {"uri": choice.pick(("test://a", "test://b/c")), "_meta": {f"{PREFIX}subscriptionId": leg}}
    opened = world.server.open.get(leg)
    if opened is not None and opened.method == LISTEN:
        wanted = msgspec.json.decode(opened.params["notifications"])
        flag = f"{kind.partition('/')[0]}ListChanged"
        if (flag if kind.endswith("list_changed") else "resourceSubscriptions") not in wanted:
            return  # a server MUST NOT send what was not asked for
    _send(world, leg, b'"method":"notifications/%b","params":%b' % (kind.encode(), _encode(params)))


def demand(world: World, choice: Choice, leg: int) -> None:
    """A request, which a stateless server must never send, and other things nobody knows."""
    method = choice.pick((b"roots/list", b"elicitation/create", b"ping", b"vendor/x"))
    _send(world, leg, b'"id":"s-%d","method":"%b","params":{}' % (leg, method))


ANSWERS: dict[str, tuple[Answer, ...]] = {
    **dict.fromkeys(
        ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "completion/complete"),
        (complete, complete, complete, err, garbage),
    ),
    **dict.fromkeys(MARKED, (complete, ask, ask, ask, err, garbage)),
    "server/discover": (complete, complete, complete, complete, err, garbage),
    LISTEN: (acknowledge, acknowledge, acknowledge, close, err),
}
SPEECH: tuple[Speech, ...] = (progress, progress, log, announce, announce, demand)
