"""What the HTTP handlers of one virtual server share beside its context: admission, sessions, refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from msgspec import UNSET

from broker import edge, telemetry
from broker.addresses import Addresses
from broker.backends.base import Reach
from broker.backends.session_policy import SessionPolicy
from broker.context import ServerContext
from broker.edge import EdgeSettings
from broker.faces.metadata import Metadata
from broker.hooks.runner import Runner
from broker.identity import Principal, Refused
from broker.identity.admission import Admission
from broker.patience import Patience
from broker.quotas.meter import REASONS, TEXT, seconds
from broker.quotas.quotas import Over
from broker.seal import Seal
from broker.sessions import Session, Sessions
from broker.settings import Backend, Settings
from broker.streams import Stream
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import REVISIONS, jsonrpc
from protocol_versions.jsonrpc import Frame, WireLimits

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
        admission: Admission,
        metadata: Metadata,
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
        self.admission = admission
        self.metadata = metadata
        found = admission.nobody
        certificates = admission.identities.certificates is not None
        self.nobody = found if isinstance(found, Principal) and not certificates else None
        """Who calls without a credential, if that is certain."""
        self.lapses = admission.identities.lapses
        # A head says nothing of the connection's certificate, or of a body's method; a page of another origin gets
        # headers that the short answer does not have.
        self.knows_heads = not (door.cross_origins or certificates or admission.per_method)
        self.strict_version = settings.strict_version_header
        self.addresses = Addresses() if settings.forwarded is None else settings.forwarded.addresses()
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
            on_end=self._session_ended,
        )

    def _session_ended(self, session: Session, why: str) -> None:
        telemetry.note("session-ended", backend=self.name, reason=why)
        if self.watch.calls is not None:
            self.watch.calls.session_ended(session.revision, why, self.wheel.clock() - session.created)

    def admit(self, request: web.Request) -> Principal | web.Response | None:
        """The caller, once Host, Origin, framing and credential are in order; else the answer that refuses.

        None if an issuer has to be asked: `admitted` does, and decides in any case.
        """
        refusal = edge.check_request(request, self.door)
        if refusal is not None:
            return self.deny(request, refusal.status, refusal.message, refusal.reason, code=refusal.code)
        if self.nobody is not None and "Authorization" not in request.headers:
            return self._known(request, self.nobody)
        found = self.admission.identify(request.headers, self._certificate(request), self.metadata.url(request))
        if isinstance(found, Refused):
            return self._refused(request, found)
        return found if found is None else self._known(request, found)

    async def admitted(self, request: web.Request) -> Principal | web.Response:
        """As `admit`, asking the issuer if need be."""
        now = self.admit(request)
        if now is not None:
            return now
        found = await self.admission.verify(request.headers, self._certificate(request), self.metadata.url(request))
        return self._refused(request, found) if isinstance(found, Refused) else self._known(request, found)

    def address(self, request: web.Request) -> str:
        """The client's address; empty where there is none."""
        return self.addresses.of(request.remote or "", self.addresses.said(request.headers))

    def _known(self, request: web.Request, principal: Principal) -> Principal:
        if self.watch.audit is not None:
            request[CALLER] = principal
        return principal

    def lacking(
        self, request: web.Request, principal: Principal, decoded: Frame | list[Frame | jsonrpc.Refused]
    ) -> web.Response | None:
        """The answer to messages of which one needs scopes that the caller does not have."""
        for frame in [decoded] if isinstance(decoded, Frame) else decoded:
            if isinstance(frame, Frame) and frame.method is not UNSET:
                found = self.admission.lacking(principal, frame.method, self.metadata.url(request))
                if found is not None:
                    return self._refused(request, found, principal, frame.id)
        return None

    def lacking_for_body(self, request: web.Request, principal: Principal, body: bytes) -> web.Response | None:
        """As `lacking`; what cannot be read is for others to refuse."""
        try:
            return self.lacking(request, principal, jsonrpc.decode_strict(body, self.wire))
        except jsonrpc.Refused:
            return None

    def _refused(
        self, request: web.Request, refused: Refused, principal: Principal | None = None, frame_id: Any = UNSET
    ) -> web.Response:
        if refused.status == 401 and self.quotas.by_address:
            over = self.quotas.admit("", self.address(request), "authorization")
            if isinstance(over, Over):
                return self.too_many(request, over)
        # The caller is told less than the log: what exactly is wrong with a credential helps who makes them up.
        self.audit(request, refused.detail or refused.reason, refused.status, principal)
        code = jsonrpc.INTERNAL_ERROR if refused.status == 503 else jsonrpc.INVALID_REQUEST
        data = {"origin": "broker", "reason": refused.reason}
        response = refuse(refused.status, jsonrpc.encode(jsonrpc.error_response(frame_id, code, refused.message, data)))
        response.headers.update(refused.headers)
        return response

    def too_many(self, request: web.Request, over: Over) -> web.Response:
        """The answer to a request that is too much before it is anybody's."""
        response = self.deny(request, 429, TEXT, REASONS[over.reason], code=jsonrpc.INTERNAL_ERROR)
        response.headers["Retry-After"] = seconds(over)
        return response

    def _certificate(self, request: web.Request) -> bytes | None:
        """The client's certificate on this connection (DER), where certificates name callers."""
        if self.admission.identities.certificates is None or request.transport is None:
            return None
        tls = request.transport.get_extra_info("ssl_object")
        found: bytes | None = None if tls is None else tls.getpeercert(True)
        return found

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
        self.refused(reason, principal, peer=self.address(request), status=status, method=request.method)
        self.report(request, reason, status, principal)

    def report(self, request: web.Request, reason: str, status: int, principal: Principal | None = None) -> None:
        """One line for a refused input that the audit log has already: it was a call."""
        telemetry.audit(
            "refused",
            reason=reason,
            principal="" if principal is None else principal.id,
            backend=self.name,
            peer=self.address(request),
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
