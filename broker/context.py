"""What the faces of one virtual server share, whatever their transport: the backend, what is known of it, reports.

Faces over HTTP add admission and sessions of their own (`broker.faces.context`). Invariant: nothing here loads an HTTP
server or a library of settings, so that a face on a pipe answers within a moment of its start.
"""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any

from broker import telemetry
from broker.backends.base import Reach
from broker.backends.listen_hub import ListenHub
from broker.backends.session_policy import SessionPolicy
from broker.callers import caller_of
from broker.era import EraCache
from broker.faces.classify import UNSUPPORTED_VERSION, listed
from broker.hooks.runner import Runner
from broker.identity import Principal
from broker.negotiate import AUTO, SESSION_REVISIONS
from broker.quotas.quotas import Quotas
from broker.remembered import Remembered
from broker.seal import Seal
from broker.styles import Styles
from broker.version import VERSION
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import by_id
from protocol_versions.jsonrpc import WireLimits
from translators import tree
from translators.session_client import Facts
from translators.task_ids import TaskIds

if TYPE_CHECKING:
    from broker.faces.stateless_relay import StatelessRelay
    from broker.identity.scopes import Needed
    from broker.outbox import Outbox
    from broker.relay import Relay

CLIENT_INFO = {"name": "dragoman", "version": VERSION}
"""How the broker names itself where it asks on nobody's behalf."""


class ServerContext:
    """One virtual server. `limits` has the members of `broker.settings_limits.Limits`."""

    lapses = False
    """Whether a credential that is good may be good no more later."""
    needed: Needed | None = None
    """The scopes that callers need, where the face has to ask for them (over HTTP, admission has)."""

    def __init__(
        self,
        name: str,
        *,
        reach: Reach,
        revision: str,
        face: str,
        compare_lists: bool,
        bridge: SessionPolicy,
        revisions: tuple[str, ...],
        limits: Any,
        wheel: Wheel,
        hooks: Runner,
        watch: Watch,
        wire: WireLimits,
        seal: Seal,
    ) -> None:
        self.name = name
        self.reach = reach
        self.wheel = wheel
        self.hooks = hooks
        self.watch = watch
        self.wire = wire
        self.seal = seal
        self.pin = revision
        self.face = face
        self.bridge = bridge
        self.compare_lists = compare_lists
        self.revisions = revisions
        self.listed = listed(revisions)
        self.served = tuple(revision for revision in revisions if revision in SESSION_REVISIONS)
        self.era = EraCache(wheel.clock)
        self.styles = Styles(wheel.clock, self._mismatch)
        self.numbers = itertools.count(1)
        self.quotas = Quotas((), None, at_once=limits.calls_per_principal, streams=limits.streams_per_principal).of(
            name
        )
        """What each call has to be within; where several servers share one set, they are given it."""
        self.max_streams = limits.streams_per_session
        self.max_questions = limits.held_questions
        self.max_events = limits.event_store_events
        self.max_event_bytes = limits.event_store_bytes
        # Of a revision with two transports it has to be found out which one leads there.
        self._unsettled = revision != AUTO and by_id(revision).traits.http_sse
        self._hubs = Remembered[str, ListenHub](limits.callers, lambda hub: not hub.idle)
        self._facts = Remembered[tuple[str, str], Facts](limits.callers)
        self._task_ids = Remembered[str, TaskIds](limits.callers)

    async def stateless(self, *, client: bool = False, tool: str | None = None, look: bool = False) -> bool:
        """True if the backend is spoken to in stateless requests for a client that is stateless itself, or is not.

        A server that speaks both eras is spoken to in the client's, because then nothing has to be bridged, unless the
        face of that era was found not to do (`broker.styles`): for a stateless client's call of this `tool`, or for
        any session. `look`: even a backend that says its era when it opens a session is asked for it.
        """
        if self._unsettled and await self.reach.settle():
            self._unsettled = False
        if self.pin != AUTO:
            return self.pin not in SESSION_REVISIONS
        known = self.stateless_now(client=client, tool=tool, look=look)
        return self._judged(await self.era.verdict(self.reach.verdict), client, tool) if known is None else known

    def stateless_now(self, *, client: bool = False, tool: str | None = None, look: bool = False) -> bool | None:
        """As `stateless`; None where the backend would have to be asked first."""
        if self.pin != AUTO:
            return None if self._unsettled else self.pin not in SESSION_REVISIONS
        if self.reach.greets_first and not client and not look and self.era.settled is None:
            return self.face == "stateless"
        verdict = self.era.fresh
        return None if verdict is None else self._judged(verdict, client, tool)

    def _judged(self, verdict: Any, client: bool, tool: str | None) -> bool:
        if self.face != "mirror":
            return self.face == "stateless"
        if verdict.kind != "modern":
            return False
        if client:
            return self.styles.face_of(tool) != "session" or not _speaks_sessions(verdict.discovery)
        return not _speaks_sessions(verdict.discovery) or self.styles.session_face_cannot_ask

    @property
    def two_faced(self) -> bool:
        """True if the backend was found to speak both eras."""
        settled = self.era.settled
        found = self.pin == AUTO and settled is not None and settled.kind == "modern"
        return found and settled is not None and _speaks_sessions(settled.discovery)

    def stateless_relay(self, outbox: Outbox | None = None) -> StatelessRelay:
        """What carries the requests of stateless clients; with an audit trail, if there is to be one."""
        if self.watch.audit is None:
            from broker.faces.stateless_relay import StatelessRelay

            return StatelessRelay(self, outbox=outbox)
        from broker.audit.edges_stateless import AuditedStatelessRelay

        return AuditedStatelessRelay(self, outbox=outbox)

    def refused(self, reason: str, principal: Principal | None = None, *, peer: str = "", **http: Any) -> None:
        """Write into the audit log that a request was refused before it became a call; `http`: status and method."""
        if self.watch.audit is not None:
            self.watch.audit.refused(reason, server=self.name, principal=principal, peer=peer, **http)

    def _mismatch(self, tool: str, style: str) -> None:
        """A tool works on one face only: the operator is told once, and may choose a `face` for all."""
        telemetry.log("warning", "tool works on one face only", backend=self.name, tool=tool, style=style)

    def greeted(self, *, stateless: bool) -> None:
        """A handshake succeeded: what was believed of the backend is confirmed."""
        if self.pin == AUTO and not stateless:
            self.era.confirmed()

    def contradicted(self, *, stateless: bool) -> None:
        """An answer does not fit the era the backend is believed to be of: the next session looks again."""
        if self.pin == AUTO:
            self.era.contradicted("modern" if stateless else "legacy")

    async def has_left_sessions(self, relay: Relay, *, stateless: bool) -> bool:
        """True if the backend opens no sessions because it is stateless now; the relay is closed then."""
        talk = relay.talk
        if stateless or self.pin != AUTO or talk.phase == "open" or talk.refused_with != UNSUPPORTED_VERSION:
            return False
        relay.close()
        return await self.era_after_failure(stateless=False)

    async def era_after_failure(self, *, stateless: bool) -> bool:
        """Look again at a backend whose face does not answer any more: True if it is stateless now."""
        self.era.contradicted("modern" if stateless else "legacy", gone=True)
        return await self.stateless(look=True)

    async def left_sessions(self) -> bool:
        """Look again at a backend that opens no session any more: True if it takes stateless requests now."""
        if self.pin == AUTO:
            self.era.contradicted("legacy", gone=True)
        return await self.stateless(client=True)

    def forget_tools(self, principal: str) -> None:
        """The tools may be others now, as this caller sees them; as everybody does, for the empty name."""
        self._facts.forget(lambda key: not principal or key[0] == principal)

    def audience(self, principal: Principal) -> str:
        """Which of a caller's credentials may share answers; empty: all of them."""
        return self.hooks.audience(caller_of(principal, None, "", "")) if self.hooks.tells_apart else ""

    def facts(self, principal: Principal) -> Facts:
        """What is known of a stateless backend, as this caller sees it; nobody in particular shares nothing."""
        if not principal.input_capabilities:
            return Facts()
        audience = self.audience(principal) if self.hooks.tells_apart else ""
        return self._facts.of((principal.id, audience), Facts)

    def hub(self, principal: Principal) -> ListenHub:
        """The shared listen stream of a caller; nobody in particular shares nothing."""
        found = self._hubs.of(principal.id, self._new_hub) if principal.input_capabilities else self._new_hub()
        found.who = principal
        return found

    def _new_hub(self) -> ListenHub:
        hub = ListenHub()
        hub.http = self.reach.legs(hub, who=lambda: hub.who)
        return hub

    def task_ids(self, principal: Principal) -> TaskIds | None:
        """The task ids of a caller, shared by its sessions; nobody in particular has none to come back for."""
        if not principal.input_capabilities:
            return TaskIds(_task_id)
        return self._task_ids.of(principal.id, lambda: TaskIds(_task_id))


def _task_id() -> str:
    """128 random bits: without authorization, a task id is all that protects a task."""
    return f"task-{secrets.token_urlsafe(16)}"


def _speaks_sessions(discovery: Any) -> bool:
    """True if a discovery lists a session revision beside the stateless one."""
    versions = tree.deep(discovery.get("supportedVersions")) if isinstance(discovery, dict) else None
    return isinstance(versions, list) and any(version in SESSION_REVISIONS for version in versions)
