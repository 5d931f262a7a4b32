"""Health and status for operators and their orchestrators, on a port of its own.

    /health   200 while the process answers
    /ready    200 while new calls are accepted, 503 before and while the broker stops
    /metrics  what is counted and measured, as Prometheus reads it
    /status   JSON: for each server its transport, era, revision, sessions, open and suspended calls, last failure

A POST to /revocations ends credentials, for whoever has the key: see `broker.revocations`.

Invariants: nothing here is secret, names a session or a caller, or asks a backend anything; only the hosts that belong
to the address are answered, so that no web page can read it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from broker import edge, telemetry
from broker.edge import EdgeSettings
from broker.faces.streamable_http import StreamableHttp
from broker.revocations import MAX_BODY, PATH, Revocations
from broker.settings import Settings
from broker.version import VERSION

if TYPE_CHECKING:
    from broker.metering.exposition import Exposition
    from broker.metering.meter import Meter

Json = dict[str, Any]


class Status:
    """What is asked of one running broker. `accepting()` says whether it takes new calls."""

    def __init__(
        self,
        faces: Callable[[], Mapping[str, StreamableHttp]],
        accepting: Callable[[], bool],
        meter: Meter | None = None,
        revocations: Revocations | None = None,
    ) -> None:
        self._revocations = revocations
        self._meter = meter
        self._exposition: Exposition | None = None
        self._faces = faces
        self._accepting = accepting
        self._began = time.monotonic()

    def app(self, door: EdgeSettings) -> web.Application:
        """The application of the status port."""

        @web.middleware
        async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
            refusal = edge.check_request(request, door)
            if refusal is not None:
                return web.Response(status=refusal.status, text=refusal.message)
            answer: web.StreamResponse = await handler(request)
            answer.headers["Cache-Control"] = "no-store"
            return answer

        app = web.Application(middlewares=[guarded], client_max_size=MAX_BODY)
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/status", self._status)
        app.router.add_get("/metrics", self._metrics)
        if self._revocations is not None:
            app.router.add_post(PATH, self._revocations.post)
        return app

    async def listen(self, listener: socket.socket, settings: Settings) -> web.AppRunner:
        """Answer on that socket until the runner is cleaned up."""
        host, port = settings.status.host, listener.getsockname()[1]
        runner = web.AppRunner(self.app(EdgeSettings.at(host, port, settings)), access_log=None)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        telemetry.announce("status", url=f"http://{host}:{port}/status")
        return runner

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.Response:
        accepting = self._accepting()
        return web.json_response({"ready": accepting}, status=200 if accepting else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._exposition is None:
            from broker.metering.exposition import Exposition

            self._exposition = Exposition(self._faces, self._accepting, self._began, self._meter)
        text, content_type = self._exposition.text(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def _status(self, _request: web.Request) -> web.Response:
        servers = {name: described(face) for name, face in self._faces().items()}
        uptime_s = round(time.monotonic() - self._began, 1)
        return web.json_response({"version": VERSION, "uptime_s": uptime_s, "servers": servers})


def described(face: StreamableHttp) -> Json:
    """One server, for people: no address with its query, no arguments of a command."""
    context, stateless = face.context, face.modern.relay
    settled, pool = context.era.settled, stateless.bridge
    found: Json = {
        "transport": transport_of(context.reach.identity),
        "pinned": context.pin,
        "era": settled.kind if settled is not None else "unknown",
        "era_reason": settled.reason if settled is not None else "",
        "revisions": sorted({*revisions_of(face)}),
        "sessions": len(context.sessions) + len(face.pair),
        "backend_sessions": len(pool.rooms.sessions),
        "open_calls": context.sessions.busy() + len(stateless.calls),
        "suspended_calls": pool.parked,
    }
    failure = telemetry.last_failures.get(context.name)
    if failure is not None:
        reason, at = failure
        found["last_failure"] = {"reason": reason, "seconds_ago": round(time.monotonic() - at, 1)}
    return found


def revisions_of(face: StreamableHttp) -> list[str]:
    """The revisions that were negotiated with the server for sessions that are open now."""
    relays = [session.relay for session in face.context.sessions]
    relays += [session.relay for session in face.modern.relay.bridge.rooms.sessions.values()]
    return [relay.talk.peers.server for relay in relays if relay.talk.peers.server]


def transport_of(identity: str) -> str:
    """`stdio`, or scheme, host and path of an address."""
    if identity.startswith("stdio:"):
        return "stdio"
    parts = urlsplit(identity)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
