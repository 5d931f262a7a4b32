"""The composition root: settings in, an aiohttp Application out.

One endpoint per virtual server: `/mcp` for `dragoman proxy`, `/servers/NAME/mcp` for `dragoman serve`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from broker import edge, telemetry
from broker.backends.session_pool import SessionPool
from broker.edge import EdgeSettings
from broker.faces.context import FaceContext
from broker.faces.legacy_sse import LegacySse
from broker.faces.streamable_http import StreamableHttp
from broker.hooks.filter_names import FilterNames, Rule
from broker.hooks.runner import Runner
from broker.limit_values import wire_of
from broker.reaching import reach_of
from broker.seal import Seal, key_of
from broker.settings import Backend, Settings
from broker.tap import Tap
from broker.watch import Watch
from broker.wheel import Wheel

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

WIND_DOWN: web.AppKey[list[Callable[[], None]]] = web.AppKey("wind_down", list)
"""What `broker.serve` calls before it waits for calls in flight: subscriptions have no end of their own."""

POSTS: web.AppKey[dict[str, Handler]] = web.AppKey("posts", dict)
"""The POST handlers by exact path, for `broker.serve` to call without the router."""

POOLS: web.AppKey[dict[str, SessionPool]] = web.AppKey("pools", dict)
"""What stateless clients share of each server with sessions."""

FACES: web.AppKey[dict[str, StreamableHttp]] = web.AppKey("faces", dict)
"""The faces by name, for `broker.status`."""

CONTEXTS: web.AppKey[dict[str, FaceContext]] = web.AppKey("contexts", dict)


def create_app(settings: Settings, *, port: int | None = None, tap: Tap | None = None) -> web.Application:
    """The application for these settings. It opens no connection before its first request.

    `port` is the one really bound, if the settings leave it open; the Host allow-list needs it.
    """
    limits = settings.limits
    app = web.Application(client_max_size=limits.body_bytes)
    wheel = Wheel()
    door = EdgeSettings.of(settings, port)
    edge.install_cors(app, door)
    wire = wire_of(limits)
    contexts: dict[str, FaceContext] = {}
    posts: dict[str, Handler] = {}
    faces: list[StreamableHttp] = []
    seal = Seal(key_of(key.get_secret_value()) for key in settings.seal_keys)
    for name, backend in settings.servers.items():
        reach = reach_of(name, backend, limits, wheel)
        contexts[name] = FaceContext(
            name,
            backend,
            settings,
            reach=reach,
            wheel=wheel,
            hooks=Runner(_hooks(backend), wire),
            watch=Watch(telemetry, tap, limits.stream_queue_bytes),
            wire=wire,
            door=door,
            seal=seal,
        )
        face = StreamableHttp(contexts[name])
        faces.append(face)
        path = settings.path_of(name)
        app.router.add_post(path, face.post, expect_handler=face.expect)
        posts[path] = face.post
        app.router.add_get(path, face.get, allow_head=False)
        app.router.add_delete(path, face.delete)
        app.router.add_options(path, face.options)
        pair = face.pair = LegacySse(contexts[name], settings.path_of(name, "messages"))
        app.router.add_get(settings.path_of(name, "sse"), pair.get, allow_head=False)
        app.router.add_post(settings.path_of(name, "sse"), pair.no_post)
        app.router.add_post(settings.path_of(name, "messages"), pair.post)
        for end in ("sse", "messages"):
            app.router.add_options(settings.path_of(name, end), face.options)
    app[CONTEXTS] = contexts
    app[FACES] = dict(zip(contexts, faces, strict=True))
    app[POSTS] = posts
    app[POOLS] = {face.context.name: face.modern.relay.bridge for face in faces}
    app[WIND_DOWN] = [face.modern.relay.wind_down for face in faces]

    async def close(_app: web.Application) -> None:
        for face in faces:
            face.modern.relay.close()
            face.pair.close()
        for context in contexts.values():
            context.sessions.end_all("shutdown")
        await asyncio.gather(*(context.reach.close() for context in contexts.values()))
        wheel.close()

    app.on_shutdown.append(close)
    return app


def _hooks(backend: Backend) -> list[FilterNames]:
    """The hooks of one backend, in order."""
    rules = {
        kind: Rule(allow=getattr(backend.filter, kind).allow or (), deny=getattr(backend.filter, kind).deny)
        for kind in ("tools", "prompts", "resources", "templates")
    }
    return [FilterNames(rules)] if any(rule.allow or rule.deny for rule in rules.values()) else []
