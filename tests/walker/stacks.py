"""The stacks that are walked through, and a chunk of histories of one: where a process of its own can load them."""

from __future__ import annotations

from tests.walker.stateless import walk as stateless
from tests.walker.walk import Broken, Walk, broken_of, walk

STACKS: dict[str, Walk] = {"session-client": walk, "stateless-client": stateless.walk}

Chunk = tuple[str, range]


def broken_of_chunk(chunk: Chunk) -> list[Broken]:
    """The histories of a chunk that broke."""
    stack, seeds = chunk
    return broken_of(seeds, STACKS[stack])
