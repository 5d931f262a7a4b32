"""The virtual servers of one broker: each with its routes, and a table of them that can change while it runs.

Invariants: a server that did not change keeps everything it has (sessions, connections, processes, what is known of
it); nothing is taken from the table before all that takes its place is built; what left the table answers nothing new,
and ends when its calls have, or have had their time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from broker import telemetry
from broker.backends.session_pool import SessionPool
from broker.changes import Changes, changes_of, identity_of
from broker.edge import EdgeSettings
from broker.faces.context import FaceContext
from broker.faces.legacy_sse import LegacySse
from broker.faces.metadata import RESOURCE, SERVER, Metadata, OldClients, Place, routes_of
from broker.faces.streamable_http import StreamableHttp
from broker.hooks.base import Hook
from broker.hooks.runner import Runner
from broker.identity.admission import Admission
from broker.identity.identities import Identities
from broker.lapse_watch import LapseWatch
from broker.limit_values import wire_of
from broker.policy import hooks_of
from broker.reaching import reach_of
from broker.relisted import tell
from broker.review import review
from broker.seal import Seal, key_of
from broker.settings import Backend, Settings
from broker.table import Table
from broker.tap import Tap
from broker.watch import Watch
from broker.wheel import Wheel

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.metering.meter import Meter

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOK_S: Final = 0.05
"""How often it is looked whether a server that left the table has calls yet."""


class VirtualServer:
    """One server behind the broker, and its faces."""

    def __init__(self, context: FaceContext, backend: Backend, settings: Settings) -> None:
        name = context.name
        self.context = context
        self.identity = identity_of(backend)
        self.path = settings.path_of(name)
        face = self.face = StreamableHttp(context)
        pair = face.pair = LegacySse(context, settings.path_of(name, "messages"))
        routes = web.UrlDispatcher()  # which keeps one resource for routes of a path that are added one after another
        routes.add_post(self.path, face.post, expect_handler=face.expect)
        routes.add_get(self.path, face.get, allow_head=False)
        routes.add_delete(self.path, face.delete)
        routes.add_options(self.path, face.options)
        stream, messages = settings.path_of(name, "sse"), settings.path_of(name, "messages")
        routes.add_get(stream, pair.get, allow_head=False)
        routes.add_post(stream, pair.no_post)
        routes.add_options(stream, face.options)
        routes.add_post(messages, pair.post)
        routes.add_options(messages, face.options)
        self.resources = {resource.canonical: resource for resource in routes.resources()}
        if settings.issuers:
            self.resources |= routes_of(RESOURCE + self.path, context.metadata)

    @property
    def busy(self) -> bool:
        """True while a call is open, of whatever client."""
        face = self.face
        return bool(self.context.sessions.busy() or face.modern.relay.calls or face.pair.busy())

    def wind_down(self) -> None:
        """End what has no end of its own."""
        self.face.modern.relay.wind_down()

    def end(self, why: str) -> None:
        """End every call, session and stream."""
        self.face.modern.relay.close()
        self.face.pair.close()
        self.context.sessions.end_all(why)

    async def close(self) -> None:
        """End the connections or processes."""
        await self.context.era.close()
        await self.context.reach.close()
        for hook in self.context.hooks.hooks:
            await hook.close()


class Servers:
    """All of them. `contexts`, `faces`, `posts` and `pools` are views that follow every change."""

    def __init__(
        self,
        settings: Settings,
        *,
        port: int | None,
        tap: Tap | None,
        audit: AuditLog | None = None,
        meter: Meter | None = None,
    ) -> None:
        """Raises ValueError for what is only found out when it is used: certificates, proxy addresses.

        `audit` is written to, and `meter` told of calls; both are closed when all servers have ended.
        """
        self.audit = audit
        self.meter = meter
        self.settings = settings
        self.door = EdgeSettings.of(settings, port)
        self.table = Table()
        self.contexts: dict[str, FaceContext] = {}
        self.faces: dict[str, StreamableHttp] = {}
        self.posts: dict[str, Handler] = {}
        self.pools: dict[str, SessionPool] = {}
        self._wheel = Wheel()
        self._wire = wire_of(settings.limits)
        self._seal = Seal(key_of(key.get_secret_value()) for key in settings.seal_keys)
        self._tap = tap
        self.identities = Identities(settings)
        self._quotas = settings.quotas.counts(settings.limits, self._wheel.clock)
        self.lapses = LapseWatch(self.identities, self._wheel, settings.limits.revocation_s, self._every_face)
        self.identities.shown = self.lapses.begin
        self._place = Place(settings.scheme, settings.public_url, self.door)
        self._leaving: set[asyncio.Task[None]] = set()
        self._retired: set[VirtualServer] = set()
        self._hurry = asyncio.Event()
        self._by_name: dict[str, VirtualServer] = {}
        self._serve({name: self._build(name, settings) for name in settings.servers})

    def compare(self, settings: Settings) -> Changes:
        """What `apply` would do with these settings."""
        return changes_of({name: each.identity for name, each in self._by_name.items()}, self.settings, settings)

    def apply(self, settings: Settings) -> Changes:
        """Serve what these settings say: servers, what judges their messages, quotas, callers, and what is revoked.

        Raises:
            ValueError: a server cannot be built; nothing has changed then.
        """
        changes = self.compare(settings)
        fresh = {name: self._build(name, settings) for name in (*changes.added, *changes.changed)}
        hooks = {name: self._hooks_of(name, settings) for name in changes.policy}
        trusted = self.identities.prepare(settings)
        revoked = self.identities.revoked.prepare(settings.revoked)
        if self._tap is not None:
            self._tap.hide(settings.secrets())
        if self.audit is not None:
            self.audit.redactor.hide(settings.secrets())
        for issuer in self.identities.adopt(settings, trusted):
            self._last(issuer.close())
        self.identities.revoked.adopt(revoked)
        if settings.quotas != self.settings.quotas:
            settings.quotas.change(self._quotas, self.settings.quotas, self._wheel.clock)
        before, self.settings = self._by_name, settings
        self._serve({name: fresh.get(name) or before[name] for name in settings.servers})
        for name, found in hooks.items():
            self._judge_by(before[name], found)
        for name in (*changes.changed, *changes.removed):
            telemetry.last_failures.pop(name, None)
            before[name].context.retired = True
            self._last(self._leave(before[name], settings.limits.drain_s))
        if changes.callers or "revoked" in changes.sections:
            for server in (*self._by_name.values(), *before.values()):
                server.context.lapses = self.identities.lapses
            self.lapses.end()
        return changes

    def wind_down(self) -> None:
        """The broker is about to stop: end what has no end of its own."""
        for server in self._by_name.values():
            server.wind_down()

    async def close(self) -> None:
        """End everything, all servers at once; one that fails to end keeps no other from it."""
        self._hurry.set()
        await asyncio.gather(*(_ended(server, "shutdown") for server in self._by_name.values()))
        if self._leaving:
            await asyncio.wait(self._leaving)
        await self.lapses.close()
        await self.identities.close()
        self._wheel.close()
        if self.audit is not None:
            self.audit.close()
        if self.meter is not None:
            self.meter.close()

    def _build(self, name: str, settings: Settings) -> VirtualServer:
        backend, path = settings.servers[name], settings.path_of(name)
        urls = tuple(origin + path for origin in self._place.origins())
        admission = Admission(name, backend, self.identities, urls)
        limits = backend.limits(settings.limits)
        watch = self._watch(name, backend, limits.stream_queue_bytes)
        context = FaceContext(
            name,
            backend,
            settings,
            reach=reach_of(name, backend, limits, self._wheel),
            wheel=self._wheel,
            hooks=Runner(hooks_of(name, backend, settings, self._wire, watch), self._wire),
            watch=watch,
            wire=self._wire,
            door=self.door,
            seal=self._seal,
            admission=admission,
            metadata=Metadata(admission, self._place, self.door, path, name),
        )
        context.quotas = self._quotas.of(name)
        return VirtualServer(context, backend, settings)

    def _watch(self, name: str, backend: Backend, queue_bytes: int) -> Watch:
        watch = Watch(telemetry, self._tap, queue_bytes, self.audit)
        if self.meter is not None:
            self.meter.watch(watch, name, "stdio:" if backend.command else backend.url)
        return watch

    def _hooks_of(self, name: str, settings: Settings) -> list[Hook]:
        """The hooks of a server that is kept; those whose configuration is what it was are the same ones."""
        before = self.contexts[name].hooks.hooks
        return hooks_of(name, settings.servers[name], settings, self._wire, self.contexts[name].watch, before)

    def _judge_by(self, server: VirtualServer, hooks: list[Hook]) -> None:
        """Change the hooks of a server under its open sessions."""
        runner = server.context.hooks
        before = runner.hooks
        gone = [hook for hook in before if hook not in hooks]
        runner.replace(hooks)
        server.face.modern.relay.discoveries.clear()  # which were judged by those of before
        for call in list(server.face.modern.relay.calls.values()):
            call.guard()
        review(runner)
        self._last(tell(server.face, before, runner.hooks))
        for hook in gone:
            self._last(hook.close())

    def _last(self, ending: Coroutine[Any, Any, None]) -> None:
        """Let something end that is not served any more."""
        task = asyncio.get_running_loop().create_task(ending)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _serve(self, servers: dict[str, VirtualServer]) -> None:
        self._by_name = servers
        resources = {path: resource for server in servers.values() for path, resource in server.resources.items()}
        if self.settings.issuers:
            resources |= routes_of(SERVER, OldClients(self.identities, self.door))
            if len(servers) == 1:  # of several, none is what is protected at the root
                (only,) = servers.values()
                resources |= routes_of(RESOURCE, only.context.metadata)
        self.table.swap(resources)
        views: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
            (self.contexts, {name: server.context for name, server in servers.items()}),
            (self.faces, {name: server.face for name, server in servers.items()}),
            (self.posts, {server.path: server.face.post for server in servers.values()}),
            (self.pools, {name: server.face.modern.relay.bridge for name, server in servers.items()}),
        )
        for view, now in views:
            view.clear()
            view.update(now)

    def _every_face(self) -> list[StreamableHttp]:
        """Also of servers whose last calls may finish."""
        return [server.face for server in (*self._by_name.values(), *self._retired)]

    async def _leave(self, server: VirtualServer, grace_s: float) -> None:
        """Let the calls of a server end, and then the server."""
        self._retired.add(server)
        server.wind_down()
        loop = asyncio.get_running_loop()
        due = loop.time() + grace_s
        while server.busy and not self._hurry.is_set() and loop.time() < due:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), LOOK_S)
        self._retired.discard(server)
        await _ended(server, "reloaded")


async def _ended(server: VirtualServer, why: str) -> None:
    """End a server; what fails is told to the operator without its text, and keeps nothing else from ending."""
    try:
        try:
            server.end(why)
        finally:
            await server.close()
    except Exception as error:
        telemetry.log("error", "server did not end", backend=server.context.name, kind=type(error).__name__)
