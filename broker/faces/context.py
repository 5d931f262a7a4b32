"""What the HTTP handlers of one virtual server share beside its context: admission, sessions, refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from msgspec import UNSET

from broker import edge, telemetry
from broker.backends.base import Reach
from broker.backends.session_policy import SessionPolicy
from broker.context import ServerContext
from broker.edge import EdgeSettings
from broker.hooks.runner import Runner
from broker.identity import Principal, Refused401, identify
from broker.patience import Patience
from broker.seal import Seal
from broker.sessions import Session, Sessions
from broker.settings import Backend, Settings
from broker.streams import Stream
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import REVISIONS, jsonrpc
from protocol_versions.jsonrpc import WireLimits

KNOWN = frozenset(revision.id for revision in REVISIONS)


MAX_ACCEPTS = 64
"""Spellings of Accept remembered as good; every client program has one."""


CALLER: web.RequestKey[Principal] = web.RequestKey("caller", Principal)
"""Where a request keeps its caller, for the audit log."""


class FaceContext(ServerContext):
    """One virtual server's shared parts over HTTP."""

    def __init__(
        self,
        name: str,
        backend: Backend,
        settings: Settings,
        *,
        reach: Reach,
        wheel: Wheel,
        hooks: Runner,
        watch: Watch,
        wire: WireLimits,
        door: EdgeSettings,
        seal: Seal,
    ) -> None:
        limits = settings.limits
        super().__init__(
            name,
            reach=reach,
            revision=backend.revision,
            face=backend.face,
            compare_lists=backend.compare_lists,
            bridge=SessionPolicy.of(backend, limits),
            revisions=settings.revisions,
            limits=limits,
            wheel=wheel,
            hooks=hooks,
            watch=watch,
            wire=wire,
            seal=seal,
        )
        self.settings = settings
        self.door = door
        self.nobody = identify({}, settings)
        self.strict_version = settings.strict_version_header
        self.retired = False
        """Whether another server of this name, or none, takes what comes from now on."""
        self.post: Callable[[web.Request], Awaitable[web.StreamResponse]]
        self.good_accepts: set[str | None] = set()
        self.patience = Patience(wheel, limits.commit_to_sse_s)
        self.sessions = Sessions(
            wheel,
            ttl_s=limits.session_ttl_s,
            lifetime_s=limits.session_lifetime_s,
            per_principal=limits.sessions_per_principal,
            total=limits.sessions,
            event_store_s=limits.event_store_s,
            on_end=lambda _session, why: telemetry.note("session-ended", backend=name, reason=why),
        )

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
        if self.watch.audit is not None:
            request[CALLER] = principal
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

    def audit(self, request: web.Request, reason: str, status: int, principal: Principal | None = None) -> None:
        """One line for a refused input, and one in the audit log."""
        principal = principal or request.get(CALLER)
        self.refused(reason, principal, peer=request.remote or "", status=status, method=request.method)
        self.report(request, reason, status, principal)

    def report(self, request: web.Request, reason: str, status: int, principal: Principal | None = None) -> None:
        """One line for a refused input that the audit log has already: it was a call."""
        telemetry.audit(
            "refused",
            reason=reason,
            principal="" if principal is None else principal.id,
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


def refuse(status: int, body: bytes) -> web.Response:
    """An error answer."""
    return web.Response(status=status, body=body, content_type="application/json")
