"""The composition root: settings in, an aiohttp Application out.

One endpoint per virtual server: `/mcp` for `dragoman proxy`, `/servers/NAME/mcp` for `dragoman serve`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from broker import edge
from broker.backends.session_pool import SessionPool
from broker.faces.context import FaceContext
from broker.faces.streamable_http import StreamableHttp
from broker.metering.wanted import wanted
from broker.servers import Handler, Servers
from broker.settings import Settings
from broker.tap import Tap

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.metering.meter import Meter

WIND_DOWN: web.AppKey[list[Callable[[], None]]] = web.AppKey("wind_down", list)
"""What `broker.serve` calls before it waits for calls in flight: subscriptions have no end of their own."""

POSTS: web.AppKey[dict[str, Handler]] = web.AppKey("posts", dict)
"""The POST handlers by exact path, for `broker.serve` to call without the router."""

POOLS: web.AppKey[dict[str, SessionPool]] = web.AppKey("pools", dict)
"""What stateless clients share of each server with sessions."""

FACES: web.AppKey[dict[str, StreamableHttp]] = web.AppKey("faces", dict)
"""The faces by name, for `broker.status`."""

CONTEXTS: web.AppKey[dict[str, FaceContext]] = web.AppKey("contexts", dict)

SERVERS: web.AppKey[Servers] = web.AppKey("servers", Servers)
"""What can be changed while the application runs; the others are views of it."""


def create_app(
    settings: Settings,
    *,
    port: int | None = None,
    tap: Tap | None = None,
    audit: AuditLog | None = None,
    meter: Meter | None = None,
) -> web.Application:
    """The application for these settings. It opens no connection before its first request.

    `audit` replaces the audit log that the settings ask for, `meter` who measures; all is closed with the application.

    Raises:
        ValueError: the audit log cannot be written, or what a server needs cannot be used.

    `port` is the one really bound, if the settings leave it open; the Host allow-list needs it.
    """
    app = web.Application(client_max_size=settings.limits.body_bytes)
    if audit is None and settings.audit is not None:
        from broker.audit.opening import open_log

        try:
            audit = open_log(settings.audit.options(settings.secrets()))
        except (OSError, ValueError) as error:
            raise ValueError(f"audit: {error}") from None
    told = settings.telemetry
    if meter is None and (settings.measured or wanted(told.opentelemetry, os.environ)):
        from broker.metering.meter import meter_of

        try:
            meter = meter_of(metrics=settings.measured, tools=told.tools, mode=told.opentelemetry)
        except ValueError as error:
            raise ValueError(f"telemetry: {error}") from None
    servers = Servers(settings, port=port, tap=tap, audit=audit, meter=meter)
    edge.install_cors(app, servers.door)
    app.router.register_resource(servers.table)
    app[SERVERS] = servers
    app[CONTEXTS] = servers.contexts
    app[FACES] = servers.faces
    app[POSTS] = servers.posts
    app[POOLS] = servers.pools
    app[WIND_DOWN] = [servers.wind_down]

    async def close(_app: web.Application) -> None:
        await servers.close()

    app.on_shutdown.append(close)
    return app
