"""What clients, the server and time may do next, fair or foul; each move is one name and one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.walker.choice import Choice
from tests.walker.stateless import script
from tests.walker.stateless.clients import FLAGS, LEVELS, LISTEN, Open
from tests.walker.stateless.mark import ELICIT, MARKED, ROOTS, Mark, Round, params_of, proof
from tests.walker.stateless.world import World
from translators.stateless_client import read_state

URIS = ("test://a", "test://b", "test://c")
PLAIN = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "completion/complete")
ODD = ("ping", "tasks/get", "vendor/x", "resources/subscribe", "initialize")
WRONG: tuple[Any, ...] = ({}, {"action": "maybe"}, "accept", None, {"roots": 7}, {"role": "assistant"})

Move = Callable[[World, Choice], None]


def call(world: World, choice: Choice) -> None:
    """A request that may be ended with questions."""
    number = len(world.clients.marks) + 1
    mark = world.clients.marks[number] = Mark(number, choice.pick(MARKED))
    params = params_of(mark)
    if choice.flag(0.05):
        params["inputResponses"] = {"x": {}}
    world.post(_open(world, choice, mark.method, mark), params)


def request(world: World, choice: Choice) -> None:
    """Any other request."""
    method = choice.pick((*PLAIN, "server/discover", choice.pick(ODD)))
    params: dict[str, Any] = {}
    if method.endswith("/list") and choice.flag(0.3):
        params = {"cursor": choice.pick(("walk.1.0.p1", "walk.1.1.p1", "p1"))}
    if method == "completion/complete":
        params = {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": "b"}}
    world.post(_open(world, choice, method), params)


def listen(world: World, choice: Choice) -> None:
    """A subscription."""
    wanted: dict[str, Any] = {flag: True for flag in FLAGS.values() if choice.flag(0.6)}
    if choice.flag(0.7):
        wanted["resourceSubscriptions"] = [uri for uri in URIS if choice.flag()]
    opened = _open(world, choice, LISTEN)
    opened.wanted, opened.token = wanted, False
    world.post(opened, {"notifications": wanted})


def retry(world: World, choice: Choice) -> None:
    """The same request with answers: right ones, some of them, wrong ones, the same again, or others than before."""
    marks = [mark for mark in world.clients.marks.values() if mark.rounds]
    lively = [mark for mark in marks if not mark.over]
    if not marks:
        return
    mark = choice.pick(lively if lively and choice.flag(0.9) else marks)
    round_ = mark.rounds[-1] if choice.flag(0.85) else choice.pick(mark.rounds)
    request = _open(world, choice, mark.method, mark)
    if choice.flag(0.1):
        request.declared = {name: value for name, value in request.declared.items() if choice.flag()}
    if round_.answers is not None and choice.flag(0.7):
        answers = round_.answers
    else:
        answers = answers_of(choice, round_)
        if choice.flag(0.2):
            answers = {key: value for key, value in answers.items() if choice.flag()}
        if choice.flag(0.1):
            answers["unasked"] = {"action": "cancel"}
        if choice.flag(0.1) and answers:
            answers[choice.pick(list(answers))] = choice.pick(WRONG)
        elif round_.answers is None:
            round_.answers = answers
        elif round_.answers != answers and not round_.pages:
            request.expected = "invalid_request_state"
    send_retry(world, request, mark, round_, answers)


def send_retry(world: World, request: Open, mark: Mark, round_: Round, answers: dict[str, Any]) -> None:
    """Post a request with these answers."""
    sealed = {"inputResponses": answers, "requestState": round_.state}
    world.post(request, {**params_of(mark), **sealed}, read_state(round_.state))


def answers_of(choice: Choice, round_: Round) -> dict[str, Any]:
    """An answer to each question, which the server can tell from every other."""
    answers: dict[str, Any] = {}
    for key, (method, number) in round_.asked.items():
        if method == ROOTS:
            answers[key] = {"roots": [{"uri": f"file:///{proof(number)}"}]}
        elif method == ELICIT:
            answers[key] = {"action": choice.pick(("accept", "accept", "accept", "decline", "cancel"))}
            if answers[key]["action"] == "accept" and number and choice.flag(0.9):
                answers[key]["content"] = {"v": proof(number)}
        else:
            content = {"type": "text", "text": proof(number)}
            answers[key] = {"role": "assistant", "content": content, "model": "m"}
    return answers


def leave(world: World, choice: Choice) -> None:
    """A client closes the connection of a request."""
    world.leave(choice.pick(sorted(world.clients.waiting)))


def serve(world: World, choice: Choice) -> None:
    """The server answers an open request, in any order."""
    call = world.server.open[choice.pick(sorted(world.server.open))]
    choice.pick(script.answers_to(world, call))(world, choice, call)


def ask(world: World, choice: Choice) -> None:
    """The server asks, once or twice at once."""
    script.ask(world, choice)
    if choice.flag(0.3):
        script.ask(world, choice)


def speak(world: World, choice: Choice) -> None:
    """The server says something that needs no answer."""
    choice.pick(script.SPEECH)(world, choice)


def fail(world: World, choice: Choice) -> None:
    """A connection breaks off; that of a handshake seldom."""
    number = choice.pick(sorted(world.server.open))
    if world.server.open[number].method not in ("initialize", "resources/subscribe", "resources/unsubscribe"):
        world.fail(number)


def greet(world: World, _choice: Choice) -> None:
    """The broker hears that the handshake is over."""
    world.greet()


def gap(world: World, choice: Choice) -> None:
    """Something is missed."""
    world.gap(lost=choice.flag())


def wait(world: World, _choice: Choice) -> None:
    """Time passes until something is due."""
    world.tick()


def _open(world: World, choice: Choice, method: str, mark: Mark | None = None) -> Open:
    level = choice.pick((len(LEVELS), len(LEVELS), len(LEVELS), 0, 1, 4))
    return Open(method, dict(world.clients.declares), level, token=choice.flag(0.4), mark=mark)


def moves(world: World) -> tuple[Move, ...]:
    """What can happen now, likelier moves more than once."""
    found: list[Move] = [call, call, request, listen, retry, speak, ask]
    if world.taken:
        found += [greet, greet]
    if world.clients.waiting:
        found += [leave]
    if world.server.open:
        found += [serve, serve, serve, fail, ask, ask, speak]
    if world.timers:
        found += [wait, wait, wait]
    if any(mark.rounds and not mark.over for mark in world.clients.marks.values()):
        found += [retry, retry, retry]
    if world.server.greeted and not world.taken:
        found += [gap]
    return tuple(found)
