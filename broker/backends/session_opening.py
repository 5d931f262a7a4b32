"""Builds one pooled session: the machine that plays its client, its relay, and the backend's side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from broker.backends.pooled_relay import PooledRelay
from broker.backends.pooled_session import PooledSession
from broker.gate import Gate
from broker.negotiate import backend_offer
from broker.outbox import Outbox
from translators.conversation import Conversation
from translators.handshake import Peers
from translators.stateless_client import StatelessClient
from translators.stateless_client.calls import Quota
from translators.stateless_client.machine import SESSION, Rules

if TYPE_CHECKING:
    from broker.backends.session_groups import Group
    from broker.backends.session_pool import SessionPool
    from broker.context import ServerContext
    from broker.identity import Principal


def open_session(
    pool: SessionPool,
    group: Group,
    number: int,
    quotas: tuple[Quota, ...],
    who: Principal,
    client_info: Any,
    *,
    wrapped: bool,
) -> PooledSession:
    """A session of this group; nothing is sent yet. Its hooks run at the backend's edge, as those of any session."""
    context, policy = pool.context, pool.policy
    talk = StatelessClient(
        group.capabilities,
        client_info,
        owner=pool.owner,
        number=number,
        habits=pool.habits,
        memory=group.memory,
        quotas=quotas,
        rules=Rules(
            park_s=policy.park_s,
            park_most_s=policy.park_most_s,
            park_per_session=policy.parked_per_session,
            batch_s=policy.batch_s,
            unsolicited=policy.unsolicited,
            list_ttl_ms=0 if wrapped else policy.list_ttl_ms,
            wrap_cursors=not wrapped,
        ),
    )
    offer, pinned = backend_offer(context.pin, SESSION)
    relay = _maker(context)(
        Conversation(Peers(client=SESSION, offer=offer, pinned=pinned), judges_questions=True),
        Outbox(None, iter(()), max_events=0, max_bytes=0),
        context.hooks,
        context.wheel,
        context.watch,
        who=who,
        name=context.name,
    )
    relay.gate = Gate(relay, context.hooks)
    session = PooledSession(pool, group, talk, relay, wrapped=wrapped)
    relay.serve(session, context.reach.session(relay, patient=session.may_be_asked, who=lambda: relay.speaker.who))
    return session


def _maker(context: ServerContext) -> Callable[..., PooledRelay]:
    """What makes the relay, with an audit trail if there is to be one."""
    if context.watch.audit is None:
        return PooledRelay
    from broker.audit.edges import AuditedPooledRelay

    def make(*parts: Any, **more: Any) -> PooledRelay:
        relay = AuditedPooledRelay(*parts, **more)
        relay.trail = context.watch.trail(context.name)
        return relay

    return make
