"""Clients that may see another list since what judges messages has changed: each is told so in its own way.

    client                                 is told                                        if
    with a session                         `list_changed`, as what belongs to no call     its server announces changes
    with one, before a stateless server    the same                                       what it would read is another
    that listens (2026-07-28)              `list_changed` on the subscription             that was asked for, and agreed

Whether a list may be another one is asked of the hooks of before and of now, for each caller by itself
(`Hook.shown`). Invariants: nobody is told of a list that stayed the same for them, nor of one that they may not ask
for; nothing is announced that was not promised.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from broker.backends.virtual_session import VirtualSession
from broker.hooks.base import Caller, CallInfo, Hook, Pass, Replace
from broker.hooks.names import LISTS
from translators import tree
from translators.reply import notify

if TYPE_CHECKING:
    from broker.faces.streamable_http import StreamableHttp
    from broker.hooks.runner import Runner
    from broker.relay import Relay

AT_ONCE: Final = 64
"""Clients that are told before others have their turn."""

MAX_CALLERS: Final = 1_024
"""Callers of whom is remembered what they see, while all their clients are told."""


def _kind(method: str) -> str:
    return method.partition("/")[0]


class Views:
    """What callers are shown by the hooks `before` and `now`."""

    def __init__(self, before: Sequence[Hook], now: Sequence[Hook]) -> None:
        self._before = tuple(before)
        self._now = tuple(now)
        self._known: dict[tuple[Any, ...], tuple[frozenset[str], Caller]] = {}

    def changed(self, caller: Caller) -> frozenset[str]:
        """The kinds of lists that may be others for this caller: tools, prompts, resources."""
        told = (caller.client_name, caller.client_version, caller.client_revision, caller.backend_revision)
        key = (caller.principal, caller.kind, caller.scopes, id(caller.claims), *told)
        found = self._known.get(key)
        if found is not None:
            return found[0]
        before, now = self._before, self._now
        changed = frozenset(
            _kind(method) for method in LISTS if _shown(before, method, caller) != _shown(now, method, caller)
        )
        if len(self._known) < MAX_CALLERS:
            self._known[key] = changed, caller  # whose claims no others take the place of meanwhile
        return changed


def _shown(hooks: Sequence[Hook], method: str, caller: Caller) -> list[tuple[type[Hook], Any]]:
    found = ((type(hook), hook.shown(method, caller)) for hook in hooks)
    return [(kind, shown) for kind, shown in found if shown is not None]


async def tell(face: StreamableHttp, before: Sequence[Hook], now: Sequence[Hook]) -> None:
    """Tell every client of a server whose list may be another one since hooks have taken the place of others."""
    context = face.context
    telling = Telling(context.hooks, Views(before, now))
    for number, client in enumerate(_clients(face), 1):
        try:
            await telling.tell(client)
        except Exception as error:  # a bug of ours must not keep others from being told
            context.watch.bug(context.name, error)
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)


def _clients(face: StreamableHttp) -> list[Any]:
    modern = face.modern.relay
    sessions = [session.relay for session in face.context.sessions]
    calls = [call for call in modern.calls.values() if call.subscription is not None and not call.bridged]
    pooled = [each for each in modern.bridge.rooms.sessions.values() if each.talk.listens.legs]
    return [*sessions, *face.pair.relays(), *calls, *pooled]


class Telling:
    """Tells the clients of one server."""

    def __init__(self, hooks: Runner, views: Views) -> None:
        self._hooks = hooks
        self._views = views

    async def tell(self, client: Any) -> None:
        """Tell one: a relay, a request that listens, or a session in which others listen."""
        from broker.backends.pooled_session import PooledSession
        from broker.faces.stateless_call import StatelessCall

        if isinstance(client, StatelessCall):
            await self._subscription(client)
        elif isinstance(client, PooledSession):
            for method in await self._news(client.relay.caller(0), client.relay.name):
                client.changed_elsewhere(method)
        else:
            await self._session(client)

    async def _subscription(self, call: Any) -> None:
        for method in await self._news(call.caller(call.number), call.name):
            if call.open and call.subscription.hears(method):
                call.from_backend(call.number, notify(method), "broker")

    async def _session(self, relay: Relay) -> None:
        backend = relay.backend
        if backend is None or backend.closed or relay.talk.phase != "open":
            return
        virtual = backend if isinstance(backend, VirtualSession) else None
        caller = relay.caller(0) if virtual is None else virtual.caller(0)
        for method in await self._news(caller, relay.name, relay.talk.peers.offered):
            if backend.closed:
                return
            leg = 0 if virtual is None else virtual.talk.listening.leg
            if virtual is None or not leg:
                relay.from_backend(0, notify(method), "broker")
            else:
                virtual.from_backend(leg, notify(method), "broker")

    async def _news(self, caller: Caller, server: str, offered: Any = None) -> list[str]:
        """The notifications for a caller, of those that its rules let it hear; `offered`: what its server promised."""
        found = []
        for kind in sorted(self._views.changed(caller)):
            method = f"notifications/{kind}/list_changed"
            if (offered is None or _promised(offered.get(kind))) and await self._heard(method, caller, server):
                found.append(method)
        return found

    async def _heard(self, method: str, caller: Caller, server: str) -> bool:
        if not self._hooks.wants("notification", method, "client"):
            return True
        info = CallInfo(method, None, caller.principal, server, 1, caller)
        verdict = self._hooks.judge("notification", method, "client", {}, info)
        return isinstance(await verdict if inspect.isawaitable(verdict) else verdict, Pass | Replace)


def _promised(capability: Any) -> bool:
    capability = tree.deep(capability)
    return isinstance(capability, dict) and capability.get("listChanged") is True
