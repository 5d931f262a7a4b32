"""Builds what serves one session: its core, its outbox, its relay, and the backend's side in the backend's era."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from broker.backends.base import SessionBackend
from broker.backends.virtual_session import VirtualSession
from broker.faces.classify import MODERN
from broker.gate import Gate
from broker.hooks.runner import Runner
from broker.identity import Principal
from broker.migration import Migration
from broker.negotiate import AUTO, backend_offer
from broker.outbox import Exchange, Outbox
from broker.quotas.meter import Meter
from broker.relay import Relay
from broker.styles import SessionStyles
from protocol_versions import by_id
from protocol_versions.jsonrpc import Frame
from translators.conversation import Conversation
from translators.handshake import Peers
from translators.session_client import SessionClient
from translators.session_client.machine import SESSION
from translators.v2025_11_25__v2026_07_28.fields_schemas import tools_to_wrap

if TYPE_CHECKING:
    from broker.context import ServerContext


def open_relay(
    context: ServerContext,
    principal: Principal,
    revision: str,
    *,
    stateless: bool,
    outbox: Outbox | None = None,
    peer: str = "",
) -> Relay:
    """The relay of a new session of a client of `revision`, opened from the address `peer`; nothing is sent yet.

    Before a stateless backend the client's side is translated to the newest session revision, and a virtual session
    does the rest; hooks run at the real backend's edge in either case.
    """
    offer, pinned = (SESSION, True) if stateless else backend_offer(context.pin, revision)
    peers = Peers(client=revision, offer=offer, pinned=pinned, inputs=principal.input_capabilities)
    talk = Conversation(
        peers, max_calls=context.max_streams, task_ids=context.task_ids(principal), tools_to_wrap=tools_to_wrap
    )
    outbox = outbox or Outbox(
        by_id(revision).traits,
        context.numbers,
        max_events=context.max_events,
        max_bytes=context.max_event_bytes,
        max_questions=context.max_questions,
    )
    # The relay's own edge is the backend's only before a session backend; a virtual session has hooks of its own.
    hooks = Runner((), context.wire) if stateless else context.hooks
    relay = _made(context, peer, talk, outbox, hooks, context.wheel, context.watch, who=principal, name=context.name)

    relay.speaker.address, relay.meter = peer, Meter(context.quotas)

    def build(relay: Relay, stateless: bool) -> SessionBackend:
        return _stateless(context, principal, relay) if stateless else _session(context, relay)

    relay.backend = build(relay, stateless)
    if context.pin == AUTO:
        relay.link.may_migrate = True
        relay.on_migrate = Migration(context, build).start
    if context.two_faced:
        relay.styles = SessionStyles(context.styles, relay, routes=context.face == "mirror")
    return relay


async def greeted(relay: Relay, frame: Frame) -> tuple[Relay, Exchange]:
    """Open a session, and wait for what the backend says to that; a client that goes before takes it along."""
    exchange = relay.outbox.open(1, may_stream=False)
    relay.client_frame(exchange.id, frame)
    try:
        await exchange.decided()
    except asyncio.CancelledError:
        relay.close()
        raise
    return relay, exchange


def _made(context: ServerContext, peer: str, *parts: Any, **more: Any) -> Relay:
    if context.watch.audit is None:
        return Relay(*parts, **more)
    from broker.audit.edges import AuditedRelay

    relay = AuditedRelay(*parts, **more)
    relay.trail = context.watch.trail(context.name, peer=peer)
    return relay


def _session(context: ServerContext, relay: Relay) -> SessionBackend:
    relay.gate = Gate(relay, context.hooks)
    return context.reach.session(relay, who=lambda: relay.speaker.who)


def _stateless(context: ServerContext, principal: Principal, relay: Relay) -> VirtualSession:
    relay.gate = Gate(relay, Runner((), context.wire))
    machine = SessionClient(
        context.facts(principal),
        _elicitation_id,
        compare_lists=context.compare_lists,
        reader=relay.talk.peers.client,
    )
    virtual = _virtual(
        machine,
        relay,
        context.hooks,
        context.wheel,
        context.watch,
        caller=lambda _call: relay.speaker.caller(relay.talk.peers, MODERN[-1]),
        name=context.name,
    )
    virtual.http = context.reach.legs(virtual, observer=virtual.observe, who=lambda: relay.speaker.who)
    virtual.contradicted = lambda: context.contradicted(stateless=True)
    virtual.hub = context.hub(principal)
    return virtual


def _virtual(machine: SessionClient, relay: Relay, *parts: Any, **more: Any) -> VirtualSession:
    if relay.watch.audit is None:
        return VirtualSession(machine, relay, *parts, **more)
    from broker.audit.edges import AuditedRelay, AuditedSession

    assert isinstance(relay, AuditedRelay)
    virtual = AuditedSession(machine, relay, *parts, **more)
    virtual.relay = relay
    return virtual


def _elicitation_id() -> str:
    """128 random bits: the id is shown to the client and names a page the user visits."""
    return secrets.token_urlsafe(16)
