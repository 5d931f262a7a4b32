"""When garbage is looked for: not while the broker starts, and later not in what the start made.

Nothing of what is loaded is garbage, and looking for some takes a tenth of a start.
"""

from __future__ import annotations

import gc
from typing import Final

SERVING: Final = ("stdio", "proxy", "serve")
"""The commands that run on, and so look again once they have started."""

YOUNG_OBJECTS: Final = 10_000  # before a collection: some hundred calls, where Python's 700 are seven (3 to 7 % of CPU)


def begin(command: str) -> None:
    """A command starts."""
    if command in SERVING:
        gc.disable()


def started() -> None:
    """What was made stays to the end: no collection need walk it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
