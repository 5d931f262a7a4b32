"""One history from one number: its world, its moves, its end; and the shortest beginning of it that breaks."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from tests.walker import answers, moves
from tests.walker.choice import Choice, Seeded
from tests.walker.server import LISTEN
from tests.walker.world import World

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STEPS = 40
ROUNDS_TO_REST = 400
"""How often peers that do their best may be called on before nothing is open any more."""

FORMS = ("2025-06-18", "2025-11-25")
NEWEST = ("2025-11-25",)
INPUTS: tuple[tuple[tuple[str, ...], str, Any], ...] = (
    (REVISIONS, "roots", {"listChanged": True}),
    (REVISIONS, "sampling", {}),
    (NEWEST, "sampling", {"tools": {}}),
    (FORMS, "elicitation", {}),
    (NEWEST, "elicitation", {"form": {}, "url": {}}),
    (NEWEST, "elicitation", {"url": {}}),
)
"""What a client of these revisions may declare; of one name the last counts."""

OFFERS: tuple[tuple[str, Any], ...] = (
    ("logging", {}),
    ("tools", {"listChanged": True}),
    ("prompts", {"listChanged": True}),
    ("resources", {"subscribe": True, "listChanged": True}),
    ("resources", {"subscribe": True}),
)


Walk = Callable[[int, int, "list[str] | None"], int]


class Broken(msgspec.Struct):
    """A history that broke an invariant."""

    seed: int
    revision: str
    steps: int
    names: list[str]
    error: str


class Good:
    """The choices of a peer that does its best: the first of everything."""

    def pick(self, options: Any) -> Any:
        return options[0]

    def flag(self, chance: float = 0.5) -> bool:
        return chance >= 0.5


def begin(choice: Choice, revision: str) -> World:
    """A world in which some is declared and some is offered."""
    declares = {name: value for revisions, name, value in INPUTS if revision in revisions and choice.flag(0.6)}
    offers = {name: value for name, value in OFFERS if choice.flag(0.6)}
    return World(revision, declares, offers, compare=choice.flag())


def rest(world: World) -> None:
    """Everybody does what is still owed; after that nothing is open, or something was stuck."""
    good = Good()
    for _ in range(ROUNDS_TO_REST):
        legs = [leg for leg in world.server.open.values() if leg.method != LISTEN or not leg.heard]
        if legs:
            (answers.acknowledge if legs[0].method == LISTEN else answers.complete)(world, good, legs[0])
        elif world.client.questions:
            moves.reply(world, good, next(iter(world.client.questions)), error=False)
        elif world.client.waiting and world.timers:
            world.tick()
        else:
            break
    assert not world.client.waiting, f"stuck: {[request.method for request in world.client.waiting.values()]}"


def walk(seed: int, steps: int = STEPS, names: list[str] | None = None) -> int:
    """Play a history to its end; how many moves it had. Raises whatever broke."""
    choice = Seeded(seed)
    world = begin(choice, REVISIONS[seed % len(REVISIONS)])
    moves.greet(world, choice)
    for _ in range(steps):
        move = choice.pick(moves.moves(world))
        if names is not None:
            names.append(move.__name__)
        move(world, choice)
    if seed % 3:
        rest(world)
    world.end()
    return steps


def shortest(seed: int, walk: Walk = walk) -> Broken | None:
    """The shortest beginning of a history that breaks; None if none does."""
    for steps in range(STEPS + 1):
        names: list[str] = []
        try:
            walk(seed, steps, names)
        except Exception:
            return Broken(seed, REVISIONS[seed % len(REVISIONS)], steps, names, traceback.format_exc(limit=-6))
    return None


def broken_of(seeds: range, walk: Walk = walk) -> list[Broken]:
    """The broken ones among these histories."""
    found = []
    for seed in seeds:
        try:
            walk(seed, STEPS, None)
        except Exception:
            broken = shortest(seed, walk)
            assert broken is not None, "a history breaks once and holds the next time"
            found.append(broken)
    return found
