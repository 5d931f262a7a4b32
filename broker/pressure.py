"""Backpressure: a reader that does not keep up stops the backend's stream instead of filling this process.

Where one line carries the messages of several callers (a process that serves stateless requests), it cannot be stopped
for one of them: a reader that is far behind is told nothing but answers until it has caught up, and the others go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from translators.machine import STANDING

if TYPE_CHECKING:
    from broker.outbox import Outbox
    from broker.relay import Relay

SLOW_FACTOR: Final = 16
"""How far beyond `limits.stream_queue_bytes` the queue of a reader may grow whose messages cannot be held back."""


def press(relay: Relay, number: int) -> None:
    """If what was sent to that exchange waits for a slow reader, stop all that the backend sends onto its stream."""
    outbox = relay.outbox
    exchange = outbox.exchanges.get(number)
    stream = outbox.carrier() if number == STANDING else exchange.stream if exchange is not None else None
    if stream is None or stream.queued <= relay.watch.queue_bytes or stream.pressure or not stream.attached:
        return
    assert relay.backend is not None
    calls, exchanges = relay.talk.book.calls, outbox.exchanges
    ours = {each.id for each in exchanges.values() if each.stream is stream}
    tickets: list[Any] = [
        leg.ticket
        for leg in relay.backend.legs.values()
        if leg.ticket is not None and leg.call in calls and calls[leg.call].exchange in ours
    ]
    if outbox.carrier() is stream and relay.backend.standing is not None:
        tickets.append(relay.backend.standing)
    if not tickets:
        if stream.behind > SLOW_FACTOR * relay.watch.queue_bytes:
            stream.full = True
        return
    stream.pressure = True
    for ticket in tickets:
        ticket.pause()

    def relieve() -> None:
        stream.pressure = False
        for ticket in tickets:
            ticket.resume()

    stream.when_relieved(relieve)


def crowded(outbox: Outbox, number: int) -> bool:
    """True if what is for an exchange, or for none (0), has a reader that is far behind."""
    exchange = outbox.exchanges.get(number)
    stream = outbox.carrier() if exchange is None else exchange.stream
    return stream is not None and stream.full
