"""What a stateless request has to be within before it becomes a call, whatever transport it came over.

A retry that brings back the state of a suspended call goes on with a call that was counted, and counts no second time;
the same state brought again does, and so does one that is not right. Statuses: 429, which 2026-07-28 leaves to HTTP,
with Retry-After beside the hint in the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from broker.faces.classify import Modern, Refusal
from broker.faces.stateless_entry import BAD_STATE, opened_state
from broker.faces.stateless_listen import LISTEN
from broker.faces.stateless_params import STATE
from broker.quotas.meter import CALL, REASONS, TEXT, data_of
from broker.quotas.quotas import Over, Ticket
from broker.seal import NotOpened
from protocol_versions import jsonrpc
from translators import tree

if TYPE_CHECKING:
    from broker.context import ServerContext
    from broker.identity import Principal

TOO_MANY: Final = 429


class Entry(msgspec.Struct, frozen=True):
    """A request that may become a call: what its state holds, its round, where it goes on, and what it is held by."""

    inner: bytes | None
    round: int
    bridged: bool
    ticket: Ticket | None


def entered(
    context: ServerContext, principal: Principal, address: str, modern: Modern, *, bridged: bool
) -> Entry | Refusal:
    """What becomes of a request whose envelope is in order."""
    inner, rounds, counted, good = None, 0, True, True
    if STATE in modern.params:
        try:
            inner, rounds, bridged = opened_state(context, principal, modern, bridged=bridged)
            counted = not context.quotas.first_time(tree.deep(modern.params[STATE]))
        except NotOpened:
            good = False
    ticket = admitted(context, principal, address, modern, counted=counted)
    if isinstance(ticket, Over):
        data: dict[str, Any] = data_of(ticket)
        return Refusal(TOO_MANY, jsonrpc.INTERNAL_ERROR, TEXT, REASONS[ticket.reason], data)
    if not good:
        if ticket is not None:
            ticket.leave()
        return BAD_STATE
    return Entry(inner, rounds + 1, bridged, ticket)


def admitted(
    context: ServerContext, principal: Principal, address: str, modern: Modern, *, counted: bool = True
) -> Ticket | Over | None:
    """What the request holds, or what it is too much for."""
    tool = (modern.target or "") if modern.method == CALL else ""
    found = context.quotas.admit(principal.id, address, modern.method, tool, counted=counted)
    if modern.method == LISTEN and type(found) is not Over:
        return context.quotas.stream(principal.id, found)  # type: ignore[arg-type]
    return found
