"""When a call that may still be answered in plain JSON becomes a stream, so that comments keep its connection alive.

One timer serves all waiting exchanges of a face: they all wait equally long, so they fall due in the order they came,
and a call that is answered in time costs two dictionary operations.
"""

from __future__ import annotations

from broker.outbox import Exchange, Outbox
from broker.wheel import Wheel


class Patience:
    """The exchanges that are not decided yet, oldest first. `after_s` is how long each may stay so."""

    __slots__ = ("_after_s", "_armed", "_waiting", "_wheel")

    def __init__(self, wheel: Wheel, after_s: float) -> None:
        self._wheel = wheel
        self._after_s = after_s
        self._waiting: dict[Exchange, tuple[float, Outbox]] = {}
        self._armed = False

    def watch(self, exchange: Exchange, outbox: Outbox) -> None:
        """Commit this exchange to a stream when its time is up."""
        due = self._wheel.clock() + self._after_s
        self._waiting[exchange] = (due, outbox)
        if not self._armed:
            self._armed = True
            self._wheel.add(due, self._run)

    def forget(self, exchange: Exchange) -> None:
        """It was decided, or its client has gone."""
        self._waiting.pop(exchange, None)

    def _run(self) -> None:
        now = self._wheel.clock()
        due_at = None
        for exchange, (due, outbox) in tuple(self._waiting.items()):
            if due > now:
                due_at = due
                break
            del self._waiting[exchange]
            if exchange.id in outbox.exchanges and exchange.open > 0 and not exchange.batch:
                outbox.stream(exchange)
        self._armed = due_at is not None
        if due_at is not None:
            self._wheel.add(due_at, self._run)
