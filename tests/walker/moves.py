"""What the client, the server and time may do next, fair or foul; each move is one name and one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.walker.answers import ANSWERS, SPEECH
from tests.walker.choice import Choice
from tests.walker.client import Open
from tests.walker.round import Mark
from tests.walker.server import MARKED, PREFIX
from tests.walker.world import World

URIS = ("test://a", "test://b", "test://c")
LEVELS = ("debug", "warning", "emergency", "loud")
PLAIN = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "completion/complete", "ping")
ODD = ("tasks/get", "vendor/x", "server/discover", "subscriptions/listen", "initialize")
NOTICES = ("notifications/initialized", "notifications/roots/list_changed", "vendor/x", "notifications/progress")
SPOOFED = {f"{PREFIX}clientCapabilities": {"evil": {}}, f"{PREFIX}logLevel": "evil", f"{PREFIX}subscriptionId": "evil"}
TOKENS: tuple[int | str, ...] = ("c-p", "", 0, 7)

Move = Callable[[World, Choice], None]


def greet(world: World, choice: Choice) -> None:
    """The client's `initialize`; it asks again if it was refused."""
    client = world.client
    client_id = _id(world, choice)
    params = {
        "protocolVersion": client.revision.id,
        "capabilities": client.declares,
        "clientInfo": {"name": "walker", "version": "1"},
    }
    world.post({"id": client_id, "method": "initialize", "params": params}, Open(client_id, "initialize", None))


def call(world: World, choice: Choice) -> None:
    """A request that may be asked for input."""
    number = len(world.marks) + 1
    method = choice.pick(MARKED)
    mark = world.marks[number] = Mark(number, method)
    params: dict[str, Any] = {"name": choice.pick(("plain", "odd")), "arguments": {"n": str(number)}}
    if method == "resources/read":
        params = {"uri": f"test://n{number}"}
    if choice.flag(0.1):
        params.update(task={"ttl": 1}, inputResponses={"x": {}}, requestState="c-state")
    _request(world, choice, method, params, mark)


def request(world: World, choice: Choice) -> None:
    """A request that may not."""
    method = choice.pick(ODD if choice.flag(0.2) else PLAIN)
    params: dict[str, Any] = {}
    if method.endswith("/list") and choice.flag(0.3):
        params = {"cursor": choice.pick(("p1", "p2"))}
    if method == "completion/complete":
        params = {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": "b"}}
    _request(world, choice, method, params, None)


def subscribe(world: World, choice: Choice) -> None:
    """Following a resource, or following it no more."""
    method = choice.pick(("resources/subscribe", "resources/subscribe", "resources/unsubscribe"))
    uri = choice.pick(URIS)
    _request(world, choice, method, {"uri": uri}, None, uri=uri)


def set_level(world: World, choice: Choice) -> None:
    """A log level, or what is none."""
    level = choice.pick(LEVELS)
    _request(world, choice, "logging/setLevel", {"level": level}, None, level=level)


def cancel(world: World, choice: Choice) -> None:
    """A cancellation, sometimes of what is not open."""
    waiting = world.client.waiting
    exchange = choice.pick(sorted(waiting)) if waiting and choice.flag(0.9) else 0
    client_id: Any = "c-never"
    if exchange:
        client_id = waiting[exchange].client_id
        if waiting[exchange].method != "initialize" and world.client.greeted:
            waiting[exchange].cancelled = True
            _cancelled(world, exchange)
    world.post({"method": "notifications/cancelled", "params": {"requestId": client_id, "reason": "c-enough"}})


def notify(world: World, choice: Choice) -> None:
    """A notification."""
    world.post({"method": choice.pick(NOTICES), "params": {"progressToken": 1, "progress": 1}})


def answer(world: World, choice: Choice) -> None:
    """The answer to an open question, in any order; sometimes to one that is not open."""
    questions = world.client.questions
    ask = choice.pick(sorted(questions)) if questions and choice.flag(0.95) else choice.pick((0, 999, "c-1"))
    if ask not in questions:
        if world.client.answered and choice.flag():
            ask = choice.pick(world.client.answered)
        world.post({"id": ask, "result": {"action": "cancel"}})
        return
    reply(world, choice, int(ask), error=choice.flag(0.1))


def reply(world: World, choice: Choice, ask: int, *, error: bool) -> None:
    """Answer an open question."""
    question = world.client.questions.pop(ask)
    mark = world.client.waiting[question.exchange].mark
    assert mark is not None
    assert mark.owed is not None
    key = _key(question.method, question.params)
    assert key in mark.owed.kinds, "a question of another round, or of another call"
    assert key not in mark.owed.answers, "asked twice"
    world.client.answered.append(ask)
    proof = f"proof-{mark.number}-{mark.owed.number}-{key}"
    body: dict[str, Any] = {"error": {"code": -1, "message": "c-no"}}
    if error:
        mark.owed.answers[key] = '"cancel"'
    elif question.method == "roots/list":
        body = {"result": {"roots": [{"uri": f"file:///{proof}"}]}}
    elif question.method == "sampling/createMessage":
        body = {"result": {"role": "assistant", "content": {"type": "text", "text": proof}, "model": "m"}}
    else:
        action = choice.pick(("accept", "accept", "decline", "cancel"))
        body = {"result": {"action": action}}
        if action == "accept" and question.params.get("mode") != "url":
            body["result"]["content"] = {"v": proof}
        elif action == "accept":
            mark.agreed[question.params["url"], question.params["message"]] = question.params["elicitationId"]
            proof = '"accept"'
        else:
            proof = f'"{action}"'
    if not error:
        mark.owed.answers[key] = proof
    world.post({"id": ask, **body})


def serve(world: World, choice: Choice) -> None:
    """The server answers an open request, in any order, in any way."""
    leg = world.server.open[choice.pick(sorted(world.server.open))]
    choice.pick(ANSWERS[leg.method])(world, choice, leg)


def speak(world: World, choice: Choice) -> None:
    """The server writes a notification on a leg, or on one that is over."""
    legs = sorted(world.server.open)
    leg = choice.pick(legs) if legs and choice.flag(0.9) else choice.pick(world.server.closed or [99])
    choice.pick(SPEECH)(world, choice, leg)


def fail(world: World, choice: Choice) -> None:
    """A request breaks off."""
    leg = world.server.end(choice.pick(sorted(world.server.open)))
    world.fail(leg.id)


def wait(world: World, _choice: Choice) -> None:
    """Time passes."""
    world.tick()


def _request(
    world: World, choice: Choice, method: str, params: dict[str, Any], mark: Mark | None, uri: str = "", level: str = ""
) -> None:
    client_id = _id(world, choice)
    meta: dict[str, Any] = dict(SPOOFED) if choice.flag(0.2) else {}
    token = choice.pick(TOKENS) if choice.flag(0.4) else None
    if token is not None:
        meta["progressToken"] = token
    if meta:
        params = {**params, "_meta": meta}
    world.post(
        {"id": client_id, "method": method, "params": params},
        Open(client_id, method, mark, token, uri, level),
    )


def _id(world: World, choice: Choice) -> int | str:
    """Mostly a new id, of either type; now and then one that is in use."""
    used = [request.client_id for request in world.client.waiting.values()]
    if used and choice.flag(0.03):
        return choice.pick(used)
    number = world.exchanges
    return number if choice.flag() else f"c-{number}"


def _cancelled(world: World, exchange: int) -> None:
    mark = world.client.waiting[exchange].mark
    if mark is not None:
        mark.over = True


def _key(method: str, params: Any) -> str:
    """Every question carries its key; `roots/list` is asked once a round."""
    if method == "roots/list":
        return "r"
    if method == "sampling/createMessage":
        content = params["messages"][0]["content"]
        content = content[0] if isinstance(content, list) else content
        return str(content["text"]).rsplit("/", 1)[1]
    return str(params["message"]).rsplit("/", 1)[1]


def moves(world: World) -> tuple[Move, ...]:
    """What can happen now, likelier moves more than once."""
    if not world.client.greeted:
        first = [wait] * bool(world.timers) + [serve, serve, serve, fail] * bool(world.server.open)
        return (*first, *([] if world.client.waiting else [greet, greet]), request, notify, answer)
    found: list[Move] = [call, call, call, request, subscribe, set_level, cancel, notify, speak, speak]
    found += [answer] * (4 if world.client.questions else 1)
    if world.server.open:
        found += [serve] * 6 + [fail]
    if world.timers:
        found += [wait, wait]
    return tuple(found)
