"""`dragoman stdio`: the composition root of the face on a pipe. Loads neither an HTTP server nor a library of settings.

Invariant: the first message is answered as soon as the backend lets it be; everything that is not needed for that is
loaded when it is. With a configuration, `broker.stdio_configured` takes the place of the options here.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from broker.backends.base import Reach
from broker.backends.hidden import shown
from broker.backends.lines import Lines
from broker.backends.session_policy import SessionPolicy, attribution_of
from broker.context import ServerContext
from broker.ending import on_signals
from broker.faces.one_client import OneClient
from broker.hooks.base import Hook
from broker.hooks.runner import Runner
from broker.limit_values import DEFAULTS, wire_of
from broker.metering.wanted import wanted
from broker.reaching import command_reach, hidden_of, http_reach
from broker.seal import Seal
from broker.signin.options import SignInOptions
from broker.stdio_pipes import Input, Output, read_input, take_output
from broker.stdio_served import Served, reports, server_said
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import REVISIONS

if TYPE_CHECKING:
    from broker.quotas import ServerQuotas

NAME = "default"


class Plan(Protocol):
    """What is to be served."""

    def build(self, wheel: Wheel) -> Served:
        """All of it, within the loop. Raises ValueError for what cannot be used."""


class StdioOptions(msgspec.Struct, frozen=True):
    """What the command line says. `target` is a URL, or a program and its arguments."""

    target: str | tuple[str, ...]
    backend_revision: str = "auto"
    client_revisions: tuple[str, ...] = tuple(revision.id for revision in REVISIONS)
    headers: dict[str, str] = {}
    hooks: tuple[Hook, ...] = ()
    face: str = "mirror"
    ca_bundle: str | None = None
    sign_in: SignInOptions | None = None
    rates: tuple[Any, ...] = ()
    tap: Any = None
    audit: Any = None

    def build(self, wheel: Wheel) -> Served:
        """The server of the command line, for the local user."""
        wire = wire_of(DEFAULTS)
        served = Served(DEFAULTS, tap=self.tap, audit=self.audit)
        reach = _reach(self, wheel)
        by_command = not isinstance(self.target, str)
        watch = Watch(reports(), self.tap, DEFAULTS.stream_queue_bytes, self.audit)
        if wanted("auto", os.environ):
            served.measure(watch, NAME, reach.identity)
        context = served.context = ServerContext(
            NAME,
            reach=reach,
            revision=self.backend_revision,
            face=self.face,
            compare_lists=True,
            bridge=SessionPolicy.defaults(DEFAULTS, attribution=attribution_of("auto", command=by_command)),
            revisions=self.client_revisions,
            limits=DEFAULTS,
            wheel=wheel,
            hooks=Runner(self.hooks, wire),
            watch=watch,
            wire=wire,
            seal=Seal(),
        )
        if self.rates:
            context.quotas = quotas_of(self.rates, wheel.clock)
        return served


async def serve(plan: Plan) -> int:
    """Serve the client on standard input until it ends; the exit code.

    Raises:
        ValueError: what is configured cannot be used.
    """
    descriptor = take_output()
    served = plan.build(Wheel())
    context = served.context
    over = asyncio.Event()
    output = Output(descriptor, _client_does_not_read, max_unread=served.limits.pipe_unread_bytes)
    face = OneClient(context, served.principal, output.write)
    await output.open(over.set)
    await read_input(Input(Lines(context.wire.body, face.too_long), face.line, over.set))
    on_signals(over.set)
    served.when_revoked(lambda: _cut_off(face, over))
    gc.freeze()
    gc.enable()
    await over.wait()
    face.close()
    await served.close()
    await output.close()
    return 0


def _reach(options: StdioOptions, wheel: Wheel) -> Reach:
    target = options.target
    if not isinstance(target, str):
        from broker.backends.child import Command

        hidden = hidden_of(NAME, shown(variables=os.environ))
        return command_reach(NAME, Command(target, inherit=True), wheel, DEFAULTS, log=server_said, hidden=hidden)
    tls = None
    if options.ca_bundle is not None:
        from broker.backends.tls import client_context

        tls = client_context(ca_file=options.ca_bundle)
    hidden = hidden_of(NAME, shown(url=target, headers=options.headers))
    return http_reach(
        target,
        wheel,
        DEFAULTS,
        tls=tls,
        headers=options.headers,
        proxy_env=os.environ,
        sign_in=options.sign_in,
        hidden=hidden,
    )


def quotas_of(rates: tuple[Any, ...], clock: Callable[[], float]) -> ServerQuotas:
    """The rates of the command line, and the cap that is there without any."""
    from broker.quotas import Quotas, Rule
    from broker.quotas.store import Memory

    rules = tuple(Rule("rate", rate=rate) for rate in rates)
    store = Memory(sum(rate.amount for rate in rates), clock)
    at_once, streams = DEFAULTS.calls_per_principal, DEFAULTS.streams_per_principal
    return Quotas(rules, store, at_once=at_once, streams=streams).of(NAME)


def _cut_off(face: OneClient, over: asyncio.Event) -> None:
    """The caller was revoked: its calls are answered so, and nothing comes after."""
    reports().audit("cut-off", reason="revoked", principal=face.principal.id, backend=face.context.name)
    face.context.refused("credential-revoked", face.principal)
    face.close("revoked")
    over.set()


def _client_does_not_read(waiting: int) -> None:
    reports().log("warning", "the client does not read what it is sent", waiting_bytes=waiting)
