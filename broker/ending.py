"""How a process is told to end: SIGTERM and SIGINT where loops can wait for signals, and where they cannot (Windows).

SIGHUP, where it exists, tells it to read its configuration again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any


def on_signals(told: Callable[[], None]) -> Callable[[], None]:
    """Call `told` in the running loop for each such signal, until what is returned is called."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    try:
        for number in numbers:
            loop.add_signal_handler(number, told)
    except NotImplementedError:
        return _without_loop(loop, told, numbers)

    def undo() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    return undo


def on_hangup(told: Callable[[], object]) -> Callable[[], None]:
    """Call `told` in the running loop for each SIGHUP, until what is returned is called; never where there is none."""
    number = getattr(signal, "SIGHUP", None)
    loop = asyncio.get_running_loop()
    if number is None:
        return lambda: None
    try:
        loop.add_signal_handler(number, told)
    except NotImplementedError:
        return lambda: None
    return lambda: (loop.remove_signal_handler(number), None)[1]


def _without_loop(
    loop: asyncio.AbstractEventLoop, told: Callable[[], None], numbers: list[signal.Signals]
) -> Callable[[], None]:
    """Windows' loops take no handlers; Python's own run in the main thread, between two steps of the loop."""
    known = [*numbers, *(each for each in signal.Signals if each.name == "SIGBREAK")]
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(told)) for number in known
    }

    def undo() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return undo
