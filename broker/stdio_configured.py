"""`dragoman stdio --config FILE`: one server for the one client on a pipe, under the sections of a configuration.

What judges, counts and writes down is made as for `dragoman serve`, so that every decision is the same on a pipe.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from broker.backends.session_policy import SessionPolicy
from broker.context import ServerContext
from broker.hooks.runner import Runner
from broker.identity.revoked import Revoked
from broker.identity.scopes import Needed
from broker.limit_values import wire_of
from broker.metering.wanted import wanted
from broker.policy import hooks_of
from broker.reaching import reach_of
from broker.seal import Seal, key_of
from broker.settings import Settings
from broker.settings_target import configured
from broker.stdio_command import filter_of, pair, sign_in_of
from broker.stdio_served import Served, reports, server_said
from broker.watch import Watch

if TYPE_CHECKING:
    from broker.audit.log import AuditLog
    from broker.signin.options import SignInOptions
    from broker.wheel import Wheel

LEVEL: Final = "warning"
"""The least level that is logged unless the file or the command line says another: a host shows all of it."""


class Configured(msgspec.Struct, frozen=True):
    """A server of a configuration; `sign_in` is how its person signs in where the file says nothing of that."""

    settings: Settings
    name: str
    sign_in: SignInOptions | None = None

    def build(self, wheel: Wheel) -> Served:
        """The server of the configuration, for the caller that it says is on the pipe.

        Raises:
            ValueError: what is configured cannot be used.
        """
        settings, name = self.settings, self.name
        backend, told = settings.servers[name], settings.telemetry
        limits, wire = backend.limits(settings.limits), wire_of(settings.limits)
        level = settings.log.level if "level" in settings.log.model_fields_set else LEVEL
        reports().configure(settings.log.format, level)
        reach = reach_of(name, backend, limits, wheel, sign_in=self.sign_in, log=server_said)
        served = Served(limits, settings.pipe.principal(settings.keys), tap=_tap(settings), audit=_audit(settings))
        if settings.revoked is not None:
            served.revoked = Revoked(settings.revoked)
        watch = Watch(reports(), served.tap, limits.stream_queue_bytes, served.audit)
        if wanted(told.opentelemetry, os.environ):
            served.measure(watch, name, reach.identity, tools=told.tools, mode=told.opentelemetry)
        context = served.context = ServerContext(
            name,
            reach=reach,
            revision=backend.revision,
            face=backend.face,
            compare_lists=backend.compare_lists,
            bridge=SessionPolicy.of(backend, limits),
            revisions=settings.revisions,
            limits=limits,
            wheel=wheel,
            hooks=Runner(hooks_of(name, backend, settings, wire, watch), wire),
            watch=watch,
            wire=wire,
            seal=Seal(key_of(key.get_secret_value()) for key in settings.seal_keys),
        )
        context.quotas = settings.quotas.counts(settings.limits, wheel.clock).of(name)
        needed = Needed.by(backend)
        context.needed = needed if needed.every else None
        return served


def configured_of(target: str | tuple[str, ...] | None, given: dict[str, Any]) -> Configured:
    """What `dragoman stdio --config FILE` serves, from the options by name; without a target, a server of the file.

    Raises:
        SettingsError: with one line per problem.
        WrongLineError, UnusableError: the command line cannot be used.
    """
    top: dict[str, Any] = {"log": {"level": given["log_level"]}} if given["log_level"] != LEVEL else {}
    if given["client_revisions"] != "all":
        top["client_revisions"] = [part.strip() for part in given["client_revisions"].split(",")]
    if given["rate"]:
        rules = [{"name": f"rate-{number}", "rate": rate} for number, rate in enumerate(given["rate"], 1)]
        top["quotas"] = {"rules": rules}
    if given["tap"] is not None:
        top["tap"] = given["tap"]
    if given["audit"] is not None:
        top["audit"] = {"file": {"path": given["audit"]}}
    settings, name = configured(Path(given["config"]), given["server"], _backend(target, given), top, pipe=True)
    backend = settings.servers[name]
    shown = any(each.lower() == "authorization" for each in backend.request_headers()) or backend.token is not None
    signs = given["sign_in"] == "auto" and bool(backend.url) and not (shown or backend.sign_in)
    return Configured(settings, name, sign_in_of(given) if signs else None)


def _backend(target: str | tuple[str, ...] | None, given: dict[str, Any]) -> dict[str, Any]:
    """What the command line says of the server, as a section of the configuration."""
    found: dict[str, Any] = {}
    if isinstance(target, str):
        found = {"url": target, "proxy": "environment"}
    elif target is not None:
        found = {"command": target, "inherit_env": True}
    if given["backend_revision"] != "auto":
        found["revision"] = given["backend_revision"]
    found |= {name: given[name] for name in ("bearer_file", "ca_bundle") if given[name] is not None}
    if given["header"]:
        found["headers"] = dict(map(pair, given["header"]))
    return {**found, "filter": filter_of(given)}


def _tap(settings: Settings) -> Any:
    if settings.tap is None:
        return None
    from broker.tap import Tap

    try:
        return Tap(settings.tap, settings.secrets())
    except (OSError, ValueError) as error:
        raise ValueError(f"tap: {error}") from None


def _audit(settings: Settings) -> AuditLog | None:
    if settings.audit is None:
        return None
    from broker.audit.opening import open_log

    try:
        return open_log(settings.audit.options(settings.secrets()))
    except (OSError, ValueError) as error:
        raise ValueError(f"audit: {error}") from None
