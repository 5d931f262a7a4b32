"""`notifications/initialized` is taken when the backend's standing stream stands, or has had its time."""

from __future__ import annotations

from collections.abc import Callable

from broker.wheel import Wheel

STREAM_READY_S = 1.0
"""How long `initialized` waits for the backend's standing stream; SDK servers send its head at once."""


class StreamWait:
    """The exchanges of one session that lead to a standing stream, and those that wait for it."""

    __slots__ = ("_waiting", "_wheel", "after")

    def __init__(self, wheel: Wheel) -> None:
        self.after: dict[int, bool] = {}
        """Exchanges after which the stream is opened, and whether they wait for it."""
        self._waiting: list[int] = []
        self._wheel = wheel

    def holds(self, exchange: int, give_up: Callable[[], None]) -> bool:
        """True if an exchange that led to the stream waits for it; `give_up` is called when it has waited enough."""
        if not self.after.pop(exchange):
            return False
        self._waiting.append(exchange)
        self._wheel.add(self._wheel.clock() + STREAM_READY_S, give_up)
        return True

    def release(self) -> list[int]:
        """The exchanges that need wait no more."""
        waiting, self._waiting = self._waiting, []
        return waiting
