"""What the handlers of one virtual server share: admission, limits, sessions, the backend's pool, reports."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from aiohttp import web
from msgspec import UNSET

from broker import edge, telemetry
from broker.backends.http1 import Pool
from broker.backends.listen_hub import ListenHub
from broker.backends.session_policy import SessionPolicy
from broker.backends.stateless_http import StatelessLegs
from broker.backends.streamable_http import Deadlines
from broker.edge import EdgeSettings
from broker.era import EraCache
from broker.era_probe import Prober
from broker.faces.classify import listed
from broker.hooks.runner import Runner
from broker.identity import Principal, Refused401, identify
from broker.negotiate import AUTO, SESSION_REVISIONS
from broker.patience import Patience
from broker.seal import Seal
from broker.sessions import Session, Sessions
from broker.settings import Backend, Settings
from broker.streams import Stream
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import REVISIONS, jsonrpc
from protocol_versions.jsonrpc import WireLimits
from translators import tree
from translators.session_client import Facts
from translators.task_ids import TaskIds

KNOWN = frozenset(revision.id for revision in REVISIONS)


CLIENT_INFO = {"name": "dragoman", "version": version("dragoman")}
"""How the broker names itself where it asks on nobody's behalf."""

MAX_ACCEPTS = 64
"""Spellings of Accept remembered as good; every client program has one."""


class FaceContext:
    """One virtual server's shared parts."""

    def __init__(
        self,
        name: str,
        backend: Backend,
        settings: Settings,
        *,
        pool: Pool,
        wheel: Wheel,
        hooks: Runner,
        watch: Watch,
        wire: WireLimits,
        door: EdgeSettings,
        seal: Seal,
    ) -> None:
        limits = settings.limits
        self.name = name
        self.settings = settings
        self.pool = pool
        self.wheel = wheel
        self.hooks = hooks
        self.watch = watch
        self.wire = wire
        self.door = door
        self.seal = seal
        self.backend_url = backend.url
        self.nobody = identify({}, settings)
        self.pin = backend.revision
        self.strict_version = settings.strict_version_header
        self.revisions = settings.revisions
        self.listed = listed(settings.revisions)
        self.served = tuple(revision for revision in settings.revisions if revision in SESSION_REVISIONS)
        self.good_accepts: set[str | None] = set()
        self.patience = Patience(wheel, limits.commit_to_sse_s)
        self.face = backend.face
        self.bridge = SessionPolicy.of(backend, limits)
        self.compare_lists = backend.compare_lists
        self.era = EraCache(wheel.clock)
        self.prober = Prober(pool, CLIENT_INFO)
        self._hubs: dict[str, ListenHub] = {}
        self._facts: dict[str, Facts] = {}
        self._task_ids: dict[str, TaskIds] = {}
        self.numbers = itertools.count(1)
        self.max_streams = limits.streams_per_session
        self.max_questions = limits.held_questions
        self.max_events = limits.event_store_events
        self.max_event_bytes = limits.event_store_bytes
        self.deadlines = Deadlines(
            connect_s=limits.connect_s,
            head_s=limits.call_head_s,
            idle_s=limits.call_idle_s,
            total_s=limits.call_total_s,
            stream_idle_s=limits.get_stream_idle_s,
        )
        self.sessions = Sessions(
            wheel,
            ttl_s=limits.session_ttl_s,
            lifetime_s=limits.session_lifetime_s,
            per_principal=limits.sessions_per_principal,
            total=limits.sessions,
            event_store_s=limits.event_store_s,
            on_end=lambda _session, why: telemetry.note("session-ended", backend=name, reason=why),
        )

    async def stateless(self, *, client: bool = False) -> bool:
        """True if the backend is spoken to in stateless requests for a client that is stateless itself, or is not.

        A server that speaks both eras is spoken to in the client's, because then nothing has to be bridged.
        """
        if self.pin != AUTO:
            return self.pin not in SESSION_REVISIONS
        verdict = await self.era.verdict(self.prober)
        if self.face != "mirror":
            return self.face == "stateless"
        return verdict.kind == "modern" and (client or not _speaks_sessions(verdict.discovery))

    def greeted(self, *, stateless: bool) -> None:
        """A handshake succeeded: what was believed of the backend is confirmed."""
        if self.pin == AUTO and not stateless:
            self.era.confirmed()

    def contradicted(self, *, stateless: bool) -> None:
        """An answer does not fit the era the backend is believed to be of: the next session looks again."""
        if self.pin == AUTO:
            self.era.contradicted("modern" if stateless else "legacy")

    async def era_after_failure(self, *, stateless: bool) -> bool:
        """Look again at a backend whose face does not answer any more: True if it is stateless now."""
        self.era.contradicted("modern" if stateless else "legacy", gone=True)
        return await self.stateless()

    def facts(self, principal: Principal) -> Facts:
        """What is known of a stateless backend, as this caller sees it; nobody in particular shares nothing."""
        if not principal.input_capabilities:
            return Facts()
        return self._facts.setdefault(principal.id, Facts())

    def hub(self, principal: Principal) -> ListenHub:
        """The shared listen stream of a caller; nobody in particular shares nothing."""
        found = self._hubs.get(principal.id)
        if found is None:
            found = ListenHub()
            found.http = StatelessLegs(self.pool, found, self.deadlines, self.wire)
            if principal.input_capabilities:
                self._hubs[principal.id] = found
        return found

    def task_ids(self, principal: Principal) -> TaskIds | None:
        """The task ids of a caller, shared by its sessions; nobody in particular has none to come back for."""
        if not principal.input_capabilities:
            return TaskIds(_task_id)
        found = self._task_ids.get(principal.id)
        if found is None:
            found = self._task_ids[principal.id] = TaskIds(_task_id)
        return found

    def admit(self, request: web.Request) -> Principal | web.Response:
        """The caller, once Host, Origin, framing and credential are in order; else the answer that refuses."""
        refusal = edge.check_request(request, self.door)
        if refusal is not None:
            return self.deny(request, refusal.status, refusal.message, refusal.reason, code=refusal.code)
        principal = self.nobody if "Authorization" not in request.headers else identify(request.headers, self.settings)
        if isinstance(principal, Refused401):
            response = self.deny(request, principal.status, principal.message, principal.reason)
            response.headers.update(principal.headers)
            return response
        return principal

    async def read(self, request: web.Request) -> bytes | web.Response:
        """The whole body, within its size and deadline; else the answer that refuses."""
        body = await edge.read_body(request, self.settings.limits)
        if isinstance(body, bytes):
            return body
        return self.deny(request, body.status, body.message, body.reason)

    def accepts_both(self, accept: str | None) -> bool:
        """True if an Accept header allows both kinds of answer; a missing one allows everything (RFC 9110 12.5.1)."""
        good = accept is None or "*/*" in accept or ("application/json" in accept and "text/event-stream" in accept)
        if good and len(self.good_accepts) < MAX_ACCEPTS:
            self.good_accepts.add(accept)
        return good

    def foreign_version(self, request: web.Request, session: Session) -> bool:
        """True if MCP-Protocol-Version names no revision at all or, where the operator is strict, another one."""
        version = request.headers.get("MCP-Protocol-Version")
        if version is None or version == session.revision:
            return False
        return version not in KNOWN or self.strict_version

    def deny(
        self,
        request: web.Request,
        status: int,
        message: str,
        reason: str,
        frame_id: Any = UNSET,
        *,
        code: int = jsonrpc.INVALID_REQUEST,
    ) -> web.Response:
        """Refuse a request: a status, a JSON-RPC error that names no id, one audit line."""
        self.audit(request, reason, status)
        reply = jsonrpc.error_response(frame_id, code, message, {"origin": "broker", "reason": reason})
        return refuse(status, jsonrpc.encode(reply))

    def audit(self, request: web.Request, reason: str, status: int) -> None:
        """One line for a refused input."""
        telemetry.audit(
            "refused",
            reason=reason,
            backend=self.name,
            peer=request.remote or "",
            status=status,
            http_method=request.method,
        )

    def keepalive(self, stream: Stream) -> Callable[[], None]:
        """Comment on a silent stream every so often; the returned function stops it."""
        interval = self.settings.limits.comment_interval_s
        wheel = self.wheel
        handle = None

        def tick() -> None:
            nonlocal handle
            stream.comment()
            handle = wheel.add(wheel.clock() + interval, tick)

        def stop() -> None:
            if handle is not None:
                wheel.cancel(handle)

        handle = wheel.add(wheel.clock() + interval, tick)
        return stop


def _task_id() -> str:
    """128 random bits: without authorization, a task id is all that protects a task."""
    return f"task-{secrets.token_urlsafe(16)}"


def _speaks_sessions(discovery: Any) -> bool:
    """True if a discovery lists a session revision beside the stateless one."""
    versions = tree.deep(discovery.get("supportedVersions")) if isinstance(discovery, dict) else None
    return isinstance(versions, list) and any(version in SESSION_REVISIONS for version in versions)


def refuse(status: int, body: bytes) -> web.Response:
    """An error answer."""
    return web.Response(status=status, body=body, content_type="application/json")
