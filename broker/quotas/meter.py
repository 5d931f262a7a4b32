"""Quotas at the door of one session: each message of its client is a message of its own, also in a batch.

What is refused is answered as every error of a dispatched request is: in HTTP 200, on a stream or on a pipe, because
SDK clients give up the whole connection on another status. A notification that is too much is dropped, since nobody
waits for an answer to it; answers to questions, and what opens a session or takes a call back, always pass.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from broker import telemetry
from broker.gate_edge import text_of
from broker.quotas.quotas import UNCOUNTED, Key, Over, ServerQuotas, Ticket
from broker.telling import answer_here
from protocol_versions import jsonrpc
from translators.machine import FromClient

if TYPE_CHECKING:
    from broker.identity import Principal
    from broker.relay import Relay
    from protocol_versions.jsonrpc import Frame

CALL: Final = "tools/call"
TEXT: Final = "Too Many Requests: try again later"
REASONS: Final = {"rate": "rate-limited", "concurrency": "too-many-calls", "streams": "too-many-streams"}
"""Why, as errors and audit lines say it."""

_FREE: Final = frozenset(("notifications/initialized", "notifications/cancelled"))


class Meter:
    """Counts what one client session asks, and holds the tickets of its open calls."""

    __slots__ = ("_key", "_quotas", "_running", "_tickets", "_who")

    def __init__(self, quotas: ServerQuotas) -> None:
        self._quotas = quotas
        self._running = quotas.running
        self._tickets: dict[int, Ticket | Key] = {}
        """What each open call holds: a ticket, or its one place where nothing but the usual limit holds."""
        self._who: Principal | None = None
        self._key: Key = ()

    def take(self, relay: Relay, exchange: int, frame: Frame) -> None:
        """Give a message of the client to the core, or answer that it is too much."""
        quotas, who = self._quotas, relay.speaker.who
        if not quotas.plain or frame.method is UNSET or frame.id is UNSET or frame.method in UNCOUNTED or not who.id:
            self._take(relay, exchange, frame)
            return
        # Nothing but the limit without configuration holds: nearly every request comes to this.
        if self._who is not who:
            self._who, self._key = who, (0, who.id)
        running, key = self._running, self._key
        count = running.get(key, 0)
        if count >= quotas.plain:
            refuse(relay, exchange, frame, quotas.over)
            return
        running[key] = count + 1
        try:
            relay.feed(FromClient(exchange, frame))
        finally:
            call = relay.talk.book.by_client.get(frame.id)
            if call is None or call in self._tickets:
                quotas.leave(key)
            else:
                self._tickets[call] = key

    def _take(self, relay: Relay, exchange: int, frame: Frame) -> None:
        entered = self._enter(relay, frame)
        if type(entered) is Over:
            refuse(relay, exchange, frame, entered)
            return
        try:
            relay.feed(FromClient(exchange, frame))
        finally:
            if entered is not None:
                self._hold(relay, frame, entered)  # type: ignore[arg-type]

    def ended(self, call: int) -> None:
        """A call is over."""
        ticket = self._tickets.pop(call, None)
        if type(ticket) is tuple:  # as `ServerQuotas.leave`, which nearly every call would have to go to
            running = self._running
            left = running[ticket] - 1
            if left:
                running[ticket] = left
            else:
                del running[ticket]
        elif ticket is not None:
            ticket.leave()  # type: ignore[union-attr]

    def _enter(self, relay: Relay, frame: Frame) -> Ticket | Over | None:
        method = frame.method
        if method is UNSET or method in _FREE:
            return None
        quotas, speaker = self._quotas, relay.speaker
        if quotas.plain:
            return quotas.hold(speaker.who.id, method)
        tool = (text_of(frame, "name") or "") if quotas.by_tool and method == CALL else ""
        return quotas.admit(speaker.who.id, speaker.address, method, tool)

    def _hold(self, relay: Relay, frame: Frame, ticket: Ticket) -> None:
        """The ticket is that of the call that the message has become, if it has."""
        call = relay.talk.book.by_client.get(frame.id) if frame.id is not UNSET else None
        if call is None or call in self._tickets:  # answered at once, or refused for the id of a call that is open
            ticket.leave()
        else:
            self._tickets[call] = ticket


def refuse(relay: Relay, exchange: int, frame: Frame, over: Over) -> None:
    """Answer that a message is too much, and write it down."""
    who, peer, reason = relay.speaker.who, relay.speaker.address, REASONS[over.reason]
    telemetry.audit("refused", reason=reason, principal=who.id, backend=relay.name, peer=peer, limit=over.rule)
    if relay.watch.audit is not None:
        relay.watch.audit.refused(reason, server=relay.name, principal=who, peer=peer)
    reply = jsonrpc.error_response(frame.id, jsonrpc.INTERNAL_ERROR, TEXT, data_of(over))
    answer_here(relay, exchange, frame, reply)


def data_of(over: Over) -> dict[str, Any]:
    """The `data` of a refusal; `retryAfterMs` is what Retry-After says in whole seconds."""
    return {
        "origin": "broker",
        "reason": REASONS[over.reason],
        "limit": over.rule,
        "retryAfterMs": max(1, round(over.retry_after_s * 1_000)),
    }


def seconds(over: Over) -> str:
    """As Retry-After says it."""
    return str(max(1, math.ceil(over.retry_after_s)))
