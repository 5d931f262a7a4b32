"""Backpressure: a reader that does not keep up stops the backend's stream instead of filling this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from translators.machine import STANDING

if TYPE_CHECKING:
    from broker.relay import Relay


def press(relay: Relay, number: int) -> None:
    """A reader that does not keep up stops the backend's stream instead of filling this process."""
    exchange = relay.outbox.exchanges.get(number)
    stream = exchange.stream if exchange is not None else None
    if number == STANDING and relay.outbox.standing:
        stream = relay.outbox.standing[-1]
    if stream is None or stream.queued <= relay.watch.queue_bytes or stream.pressure or not stream.attached:
        return
    assert relay.backend is not None
    calls = relay.talk.book.calls
    tickets: list[Any] = [
        leg.ticket
        for leg in relay.backend.legs.values()
        if leg.ticket is not None and leg.call in calls and calls[leg.call].exchange == number
    ]
    if number == STANDING and relay.backend.standing is not None:
        tickets.append(relay.backend.standing)
    stream.pressure = True
    for ticket in tickets:
        ticket.pause()

    def relieve() -> None:
        stream.pressure = False
        for ticket in tickets:
            ticket.resume()

    stream.when_relieved(relieve)
