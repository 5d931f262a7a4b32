"""`dragoman stdio`: the broker as a command that a host starts."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import click

from broker.cli_codes import CONFIGURATION
from broker.hosts.machine import startable

KINDS = {"tool": "tools", "prompt": "prompts", "resource": "resources", "template": "templates"}
"""Singular, as options name them, and plural, as the configuration does."""


def filter_options(command: Any) -> Any:
    """`--tool-allow`, `--tool-deny` and so on, for each kind."""
    for kind, plural in reversed(KINDS.items()):
        command = click.option(
            f"--{kind}-deny", multiple=True, metavar="GLOB", help=f"Hide the {plural} whose name matches; repeatable."
        )(command)
        command = click.option(
            f"--{kind}-allow", multiple=True, metavar="GLOB", help=f"Show only such {plural}; repeatable."
        )(command)
    return command


def target_of(given: tuple[str, ...]) -> str | tuple[str, ...]:
    """The address, if that is what was given, also as `env:NAME`; else the command, as this system can start it."""
    if len(given) == 1 and given[0].startswith("env:"):
        # For addresses with a key in them: a command line can be read by every process of the machine.
        address = os.environ.get(given[0][4:])
        if not address:
            click.echo(f"dragoman: the environment variable {given[0][4:]} is not set", err=True)
            sys.exit(CONFIGURATION)
        return address
    if len(given) == 1 and "://" in given[0]:
        return given[0]
    return (startable(given[0]), *given[1:])


@click.command()
@click.argument("target", nargs=-1, required=True, metavar="URL | -- COMMAND...")
@click.option("--backend-revision", default="auto", show_default=True, help="Revision the server is pinned to.")
@click.option("--client-revisions", default="all", show_default=True, help="Comma-separated, served to the client.")
@click.option("--header", multiple=True, metavar="NAME=env:VAR", help="Sent to a URL; env:VAR or file:PATH.")
@click.option("--bearer-file", metavar="PATH", help="File (mode 0600) with the bearer token for a URL.")
@click.option("--ca-bundle", metavar="PATH", help="PEM file with the authorities to trust instead of the system's.")
@filter_options
@click.option("--tap", metavar="FILE", help="Write every frame and what was changed in it, as JSON lines.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning")
def stdio(target: tuple[str, ...], **given: Any) -> None:
    """Serve an MCP server, at a URL or a command, to the one client on standard input and output.

    For hosts that only know commands: put `dragoman stdio` before the command or the URL they have now.

    \b
    Examples
      dragoman stdio -- npx -y some-server --its-option
      dragoman stdio https://mcp.example.com/mcp --header Authorization=env:MCP_AUTHORIZATION
    """
    from broker.stdio_app import serve

    options = _options(target_of(target), given)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        sys.exit(runner.run(serve(options)))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _options(target: str | tuple[str, ...], given: dict[str, Any]) -> Any:
    from broker.stdio_app import StdioOptions
    from protocol_versions import REVISIONS

    known = tuple(revision.id for revision in REVISIONS)
    pinned, served = given["backend_revision"], given["client_revisions"]
    revisions = known if served == "all" else tuple(part.strip() for part in served.split(","))
    for revision in (*revisions, *(() if pinned == "auto" else (pinned,))):
        if revision not in known:
            raise click.UsageError(f"{revision!r} is no revision; expected one of {', '.join(known)}")
    if given["log_level"] != "warning":
        from broker import telemetry

        telemetry.configure("auto", given["log_level"])
    headers = _headers(given)
    if headers and not isinstance(target, str):
        raise click.UsageError("--header and --bearer-file are for a URL")
    return StdioOptions(
        target=target,
        backend_revision=pinned,
        client_revisions=tuple(revision for revision in known if revision in revisions),
        headers=headers,
        hooks=_hooks(given),
        ca_bundle=given["ca_bundle"],
        tap=_tap(given["tap"], headers),
    )


def _headers(given: dict[str, Any]) -> dict[str, str]:
    if not given["header"] and given["bearer_file"] is None:
        return {}
    from pathlib import Path

    from broker.settings_file import read_secret, resolve

    found: dict[str, str] = {}
    try:
        for each in given["header"]:
            name, equals, text = each.partition("=")
            if not equals or not name:
                raise click.UsageError("--header expects NAME=VALUE")
            found[name] = resolve(text)
        if given["bearer_file"] is not None:
            found["Authorization"] = f"Bearer {read_secret(Path(given['bearer_file']))}"
    except ValueError as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)
    return found


def _hooks(given: dict[str, Any]) -> tuple[Any, ...]:
    if not any(given[f"{kind}_{verb}"] for kind in KINDS for verb in ("allow", "deny")):
        return ()
    from broker.hooks.filter_names import FilterNames, Rule

    rules = {plural: Rule(given[f"{kind}_allow"], given[f"{kind}_deny"]) for kind, plural in KINDS.items()}
    return (FilterNames(rules),)


def _tap(path: str | None, headers: dict[str, str]) -> Any:
    if path is None:
        return None
    from pathlib import Path

    from broker.tap import Tap

    try:
        return Tap(Path(path), list(headers.values()))
    except (OSError, ValueError) as error:
        click.echo(f"dragoman: tap: {error}", err=True)
        sys.exit(CONFIGURATION)
