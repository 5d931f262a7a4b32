"""`dragoman stdio`: the composition root of the face on a pipe. Loads neither an HTTP server nor a library of settings.

Invariant: the first message is answered as soon as the backend lets it be; everything that is not needed for that is
loaded when it is.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
from broker.identity.principal import LOCAL
from broker.limit_values import DEFAULTS, wire_of
from broker.metering.wanted import wanted
from broker.reaching import command_reach, hidden_of, http_reach
from broker.seal import Seal
from broker.signin.options import SignInOptions
from broker.stdio_pipes import Input, Output, read_input, take_output
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import REVISIONS

if TYPE_CHECKING:
    from broker.metering.meter import Meter
    from broker.quotas import ServerQuotas

NAME = "default"


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


async def serve(options: StdioOptions) -> int:
    """Serve the client on standard input until it ends; the exit code."""
    wheel = Wheel()
    wire = wire_of(DEFAULTS)
    reach = _reach(options, wheel)
    by_command = not isinstance(options.target, str)
    watch = Watch(_reports(), options.tap, DEFAULTS.stream_queue_bytes, options.audit)
    meter = _measured(watch, reach)
    context = ServerContext(
        NAME,
        reach=reach,
        revision=options.backend_revision,
        face=options.face,
        compare_lists=True,
        bridge=SessionPolicy.defaults(DEFAULTS, attribution=attribution_of("auto", command=by_command)),
        revisions=options.client_revisions,
        limits=DEFAULTS,
        wheel=wheel,
        hooks=Runner(options.hooks, wire),
        watch=watch,
        wire=wire,
        seal=Seal(),
    )
    if options.rates:
        context.quotas = quotas_of(options.rates, wheel.clock)
    over = asyncio.Event()
    output = Output(take_output(), _client_does_not_read, max_unread=DEFAULTS.pipe_unread_bytes)
    face = OneClient(context, LOCAL, output.write)
    await output.open(over.set)
    await read_input(Input(Lines(wire.body, face.too_long), face.line, over.set))
    on_signals(over.set)
    gc.freeze()
    gc.enable()
    await over.wait()
    face.close()
    await reach.close()
    wheel.close()
    await output.close()
    if options.audit is not None:
        options.audit.close()
    if meter is not None:
        meter.close()
    return 0


def _measured(watch: Watch, reach: Reach) -> Meter | None:
    """Who exports traces and metrics, if the variables of OpenTelemetry ask for it."""
    if not wanted("auto", os.environ):
        return None
    from broker.metering.meter import meter_of

    meter = meter_of(metrics=False)
    if meter is not None:
        meter.watch(watch, NAME, reach.identity, face="pipe")
    return meter


def _reach(options: StdioOptions, wheel: Wheel) -> Reach:
    target = options.target
    if not isinstance(target, str):
        from broker.backends.child import Command

        hidden = hidden_of(NAME, shown(variables=os.environ))
        return command_reach(NAME, Command(target, inherit=True), wheel, DEFAULTS, log=_server_said, hidden=hidden)
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
    return Quotas(rules, store, at_once=DEFAULTS.calls_per_principal).of(NAME)


def _server_said(line: str, dropped: int) -> None:
    """A host shows what its command writes to standard error: the server's words go there as they are."""
    sys.stderr.write(line + (f" ({dropped} lines left out before)" if dropped else "") + "\n")
    sys.stderr.flush()


def _client_does_not_read(waiting: int) -> None:
    _reports().log("warning", "the client does not read what it is sent", waiting_bytes=waiting)


def _reports() -> Any:
    from broker import telemetry

    return telemetry
