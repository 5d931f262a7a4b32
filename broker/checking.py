"""Asking every server of a configuration whether it is there, what it speaks and what a client would lose: for people.

Invariants: every server gets a line, whatever becomes of the others; what was opened or started is closed at the end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from broker.app import CONTEXTS, create_app
from broker.faces.context import FaceContext
from broker.hooks.base import Caller
from broker.identity.principal import Principal
from broker.identity.scopes import Needed
from broker.report import Report, make
from broker.report_ask import Offer, inspect
from broker.report_bridge import Bridge
from broker.report_rules import Judgement
from broker.report_sink import CannotAsk
from broker.report_text import clean, losses, summary
from broker.settings_identity import Pipe
from broker.signin.kept import with_grants
from broker.status import transport_of
from protocol_versions import by_id

if TYPE_CHECKING:
    from broker.settings import Settings

AT_ONCE: Final = 4
"""Servers asked at the same time; a package runner may keep a core busy until its server answers."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One server. `problem` is why it cannot be used, with it all that was not found out stays empty. Times in ms."""

    name: str
    place: str
    problem: str = ""
    era: str = ""
    era_reason: str = ""
    revision: str = ""
    capabilities: tuple[str, ...] = ()
    opened_ms: float = 0.0
    round_trip_ms: float | None = None
    report: Report | None = None


class Asks(msgspec.Struct, frozen=True):
    """Whom a server is asked for: a client's revision, and the caller as rules know it; unnamed, who is on a pipe."""

    client: str
    principal: str = ""
    scopes: tuple[str, ...] = ()
    claims: dict[str, Any] = {}

    def caller(self, settings: Settings, backend: str) -> Caller:
        """The caller before a server of this revision; of a configured key with the scopes of that, unless others."""
        kind, _, name = self.principal.partition(":")
        if not self.principal:
            who = settings.pipe.principal(settings.keys)
        elif kind == "key" and name in settings.keys:
            who = Pipe(key=name).principal(settings.keys)
        else:
            who = Principal(self.principal, kind)  # type: ignore[arg-type]
        return Caller(
            principal=who.id,
            kind=who.kind,
            claims=self.claims or who.claims,
            scopes=frozenset(self.scopes) or who.scopes,
            client_revision=self.client,
            backend_revision=backend,
        )


async def checks(settings: Settings, names: list[str], asks: Asks | str, *, timed: bool = True) -> list[Check]:
    """Ask these servers, a few at a time, for a client of one revision, or a caller; in the order of the names.

    `timed` takes one round trip more of each. Nobody is asked to sign in: what somebody signed in to get is used.
    """
    asks = Asks(asks) if isinstance(asks, str) else asks
    app = create_app(with_grants(settings))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Check:
        async with room:
            return await _check(app[CONTEXTS][name], settings, asks, timed=timed)

    try:
        return list(await asyncio.gather(*map(one, names)))
    finally:
        app.freeze()
        await app.shutdown()


async def _check(context: FaceContext, settings: Settings, asks: Asks, *, timed: bool) -> Check:
    name = settings.servers[context.name].place if settings.single else context.name
    place = transport_of(context.reach.identity)
    try:
        offer = await inspect(context, asks.client, timed=timed)
    except CannotAsk as reason:
        return Check(name=name, place=place, problem=str(reason))
    settled, capabilities = context.era.settled, offer.greeting.get("capabilities")
    sessions = by_id(offer.revision).traits.sessions
    return Check(
        name=name,
        place=place,
        era="sessions" if sessions else "stateless",
        era_reason="pinned" if context.pin != "auto" else settled.reason if settled is not None else "",
        revision=offer.revision,
        capabilities=tuple(capabilities) if isinstance(capabilities, dict) else (),
        opened_ms=round(offer.opened_s * 1000, 1),
        round_trip_ms=round(offer.trip_s * 1000, 3) if offer.trip_s is not None else None,
        report=_report_of(context, settings, offer, asks, name),
    )


def _report_of(context: FaceContext, settings: Settings, offer: Offer, asks: Asks, name: str) -> Report:
    """The report on what a server said, as the operator configured it."""
    caller = asks.caller(settings, offer.revision)
    needed = Needed.by(settings.servers[context.name])
    return make(
        name,
        asks.client,
        offer.revision,
        offer.greeting,
        offer.lists,
        incomplete=offer.incomplete,
        rules=Judgement(context.hooks.hooks, caller, server=context.name, needed=needed),
        bridge=Bridge(ways=offer.ways, policy=context.bridge) if offer.ways is not None else None,
    )


def lines(check: Check) -> list[str]:
    """One server as lines of text."""
    name = clean(check.name)
    if check.report is None:
        return [f"{name}: FAILED: {check.problem}"]
    info: Any = check.report.server_info
    server = clean(f"{info.get('name', '')} {info.get('version', '')}".strip()) if isinstance(info, dict) else ""
    trip = f"{check.round_trip_ms:.1f} ms" if check.round_trip_ms is not None else "no answer to a ping"
    who = f", as {clean(check.report.caller)}" if check.report.caller else ""
    why = f" ({check.era_reason})" if check.era_reason else ""
    return [
        f"{name}: ok",
        f"  reached       {clean(check.place)}",
        f"  server        {server or 'does not say who it is'}",
        f"  era           {check.era}{why}",
        f"  revision      {check.revision}",
        f"  capabilities  {', '.join(map(clean, check.capabilities)) or 'none'}",
        f"  round trip    {trip}; first answer after {check.opened_ms:.0f} ms",
        f"  {check.report.client} gets  {summary(check.report)}{who}",
        *(f"    {line}" for line in losses(check.report)),
    ]
