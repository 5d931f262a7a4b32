"""What the command line of `dragoman stdio` means, however it was read. Loads no library of command lines."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from broker.cli_codes import CONFIGURATION

KINDS = {"tool": "tools", "prompt": "prompts", "resource": "resources", "template": "templates"}
"""Singular, as options name them, and plural, as the configuration does."""

DEFAULTS: dict[str, Any] = {
    "config": None,
    "server": None,
    "backend_revision": "auto",
    "client_revisions": "all",
    "header": (),
    "bearer_file": None,
    "ca_bundle": None,
    "sign_in": "auto",
    "client_id": "",
    "client_secret_file": None,
    "issuer": "",
    "scope": (),
    "redirect_port": "0",
    **{f"{kind}_{verb}": () for kind in KINDS for verb in ("allow", "deny")},
    "rate": (),
    "tap": None,
    "audit": None,
    "log_level": "warning",
}
"""The options by name, and what each is if it is not given; a tuple can be given again and again."""


class WrongLineError(ValueError):
    """The command line makes no sense."""


class UnusableError(ValueError):
    """What the command line names cannot be used."""


def target_of(given: tuple[str, ...]) -> str | tuple[str, ...] | None:
    """The address, if that is what was given, also as `env:NAME`; else the command, as this system can start it.

    None if nothing was given.

    Raises:
        UnusableError: the environment variable is not set.
    """
    if not given:
        return None
    if len(given) == 1 and given[0].startswith("env:"):
        # For addresses with a key in them: a command line can be read by every process of the machine.
        address = os.environ.get(given[0][4:])
        if not address:
            raise UnusableError(f"the environment variable {given[0][4:]} is not set")
        return address
    if len(given) == 1 and "://" in given[0]:
        return given[0]
    from broker.hosts.machine import startable

    return (startable(given[0]), *given[1:])


def run(plan: Any) -> int:
    """Serve until the client has gone; the exit code."""
    from broker.stdio_app import serve

    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(serve(plan))
    except ValueError as error:
        # What is only found out when it is used: certificates, the files of an audit log.
        sys.stderr.write(f"dragoman: {error}\n")
        return CONFIGURATION


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def options_of(target: str | tuple[str, ...] | None, given: dict[str, Any]) -> Any:
    """What `serve` takes, from the options by name; without a `target`, the configuration names a server.

    Raises:
        WrongLineError, UnusableError, SettingsError: it cannot be made.
    """
    if given["config"] is not None:
        from broker.stdio_configured import configured_of

        return configured_of(target, given)
    if given["server"] is not None:
        raise WrongLineError("--server names a server of --config FILE")
    if target is None:
        raise WrongLineError("give a URL, or -- COMMAND, or --config FILE")
    from broker.stdio_app import StdioOptions
    from protocol_versions import REVISIONS

    known = tuple(revision.id for revision in REVISIONS)
    pinned, served = given["backend_revision"], given["client_revisions"]
    revisions = known if served == "all" else tuple(part.strip() for part in served.split(","))
    for revision in (*revisions, *(() if pinned == "auto" else (pinned,))):
        if revision not in known:
            raise WrongLineError(f"{revision!r} is no revision; expected one of {', '.join(known)}")
    if given["log_level"] != "warning":
        from broker import telemetry

        telemetry.configure("auto", given["log_level"])
    headers = _headers(given)
    sign_in = sign_in_of(given) if given["sign_in"] == "auto" and isinstance(target, str) else None
    if sign_in is not None and any(name.lower() == "authorization" for name in headers):
        sign_in = None
    if headers and not isinstance(target, str):
        raise WrongLineError("--header and --bearer-file are for a URL")
    return StdioOptions(
        target=target,
        backend_revision=pinned,
        client_revisions=tuple(revision for revision in known if revision in revisions),
        headers=headers,
        hooks=_hooks(given),
        ca_bundle=given["ca_bundle"],
        sign_in=sign_in,
        rates=_rates(given["rate"]),
        tap=_tap(given["tap"], headers),
        audit=_audit(given["audit"], headers),
    )


def sign_in_of(given: dict[str, Any]) -> Any:
    """How somebody signs in at a server, from the options by name.

    Raises:
        WrongLineError, UnusableError: it cannot be made.
    """
    from broker.signin.options import SignInOptions, problem

    secret, port = "", str(given["redirect_port"])
    if given["client_secret_file"] is not None:
        from pathlib import Path

        from broker.settings_file import read_secret

        try:
            secret = read_secret(Path(given["client_secret_file"]))
        except ValueError as error:
            raise UnusableError(str(error)) from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise WrongLineError("--redirect-port expects a number")
    options = SignInOptions(given["client_id"], secret, given["issuer"], tuple(given["scope"]), int(port))
    wrong = problem(options)
    if wrong is not None:
        raise WrongLineError(wrong)
    return options


def _headers(given: dict[str, Any]) -> dict[str, str]:
    if not given["header"] and given["bearer_file"] is None:
        return {}
    from pathlib import Path

    from broker.settings_file import read_secret, resolve

    found: dict[str, str] = {}
    try:
        for name, text in map(pair, given["header"]):
            found[name] = resolve(text)
        if given["bearer_file"] is not None:
            found["Authorization"] = f"Bearer {read_secret(Path(given['bearer_file']))}"
    except WrongLineError:
        raise
    except ValueError as error:
        raise UnusableError(str(error)) from None
    return found


def pair(header: str) -> tuple[str, str]:
    """A header of the command line: its name, and its text or where that is.

    Raises:
        WrongLineError: it is none.
    """
    name, equals, text = header.partition("=")
    if not equals or not name:
        raise WrongLineError("--header expects NAME=VALUE")
    return name, text


def filter_of(given: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """What the command line hides, as a section of the configuration."""
    found = {
        plural: {verb: list(given[f"{kind}_{verb}"]) for verb in ("allow", "deny") if given[f"{kind}_{verb}"]}
        for kind, plural in KINDS.items()
    }
    return {plural: rule for plural, rule in found.items() if rule}


def _hooks(given: dict[str, Any]) -> tuple[Any, ...]:
    if not any(given[f"{kind}_{verb}"] for kind in KINDS for verb in ("allow", "deny")):
        return ()
    from broker.hooks.filter_names import FilterNames, Rule

    rules = {plural: Rule(given[f"{kind}_allow"], given[f"{kind}_deny"]) for kind, plural in KINDS.items()}
    return (FilterNames(rules),)


def _rates(given: tuple[str, ...]) -> tuple[Any, ...]:
    if not given:
        return ()
    from broker.quotas.store import read_rate

    try:
        return tuple(map(read_rate, given))
    except ValueError:
        raise WrongLineError("--rate expects a rate such as 10/second or 600 per 5 minutes") from None


def _tap(path: str | None, headers: dict[str, str]) -> Any:
    if path is None:
        return None
    from pathlib import Path

    from broker.tap import Tap

    try:
        return Tap(Path(path), list(headers.values()))
    except (OSError, ValueError) as error:
        raise UnusableError(f"tap: {error}") from None


def _audit(path: str | None, headers: dict[str, str]) -> Any:
    if path is None:
        return None
    from pathlib import Path

    from broker.audit.opening import open_log
    from broker.audit.options import AuditOptions, FileOptions

    try:
        return open_log(AuditOptions(file=FileOptions(Path(path)), secrets=tuple(headers.values())))
    except (OSError, ValueError) as error:
        raise UnusableError(f"audit: {error}") from None
