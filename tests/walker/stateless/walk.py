"""One history from one number: its world, its moves, its end."""

from __future__ import annotations

from typing import Any

from tests.walker.choice import Choice, Seeded
from tests.walker.stateless import moves, script
from tests.walker.stateless.clients import LEVELS, LISTEN, Open
from tests.walker.stateless.world import World
from tests.walker.walk import OFFERS, REVISIONS, STEPS, Good
from translators.stateless_client import Habits

ROUNDS_TO_REST = 600
"""How often peers that do their best may be called on before nothing is open any more."""

INPUTS: tuple[tuple[str, Any], ...] = (
    ("roots", {}),
    ("sampling", {}),
    ("sampling", {"tools": {}}),
    ("elicitation", {}),
    ("elicitation", {"form": {}}),
    ("elicitation", {"url": {}}),
    ("elicitation", {"form": {}, "url": {}}),
)
"""What a client may declare; of one name the last counts."""


def begin(choice: Choice, revision: str, *, restores: bool = False) -> World:
    """A world in which some is declared and some is offered."""
    declares = {name: value for name, value in INPUTS if choice.flag(0.6)}
    offers = {name: value for name, value in OFFERS if choice.flag(0.7)}
    world = World(
        revision,
        declares,
        offers,
        stands=choice.flag(0.85),
        ttl_ms=choice.pick((0, 30_000)),
        habits=Habits(asks_in_setup=choice.flag(0.3)),
        unsolicited=choice.pick(("error", "cancel")),
        restores=restores,
    )
    world.open()
    return world


def rest(world: World) -> None:
    """Everybody does what is still owed; after that nothing is open but subscriptions, or something was stuck."""
    good = Good()
    clients = world.clients
    for _ in range(ROUNDS_TO_REST):
        if world.gone:
            break
        asked = next(
            (mark for mark in clients.marks.values() if mark.rounds and clients.over(mark) and not mark.over), None
        )
        if world.server.open:
            number = min(world.server.open)
            script.complete(world, good, world.server.open[number])
        elif world.taken:
            world.greet()
        elif asked is not None:
            round_ = asked.rounds[-1]
            request = Open(asked.method, clients.declares, len(LEVELS), token=False, mark=asked)
            moves.send_retry(world, request, asked, round_, round_.answers or moves.answers_of(good, round_))
            asked.over = asked.over or clients.over(asked)  # refused: its round was given up
        elif any(request.method != LISTEN or request.honoured is None for request in clients.waiting.values()):
            world.tick()
        else:
            break
    left = [request.method for request in clients.waiting.values() if request.method != LISTEN or not world.gone]
    assert all(method == LISTEN for method in left), f"stuck: {left}"


def walk(seed: int, steps: int = STEPS, names: list[str] | None = None) -> int:
    """Play a history to its end; how many moves it had. Raises whatever broke."""
    choice = Seeded(seed)
    world = begin(choice, REVISIONS[seed % len(REVISIONS)], restores=seed % 5 == 0)
    for _ in range(steps):
        if world.gone:
            break
        move = choice.pick(moves.moves(world))
        if names is not None:
            names.append(move.__name__)
        move(world, choice)
    if seed % 3:
        rest(world)
    world.end()
    return steps
