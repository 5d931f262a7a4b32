"""The subcommand `check`: whether every server answers, what it speaks, and what a client would lose."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from broker.cli_codes import CONFIGURATION, RUNTIME
from broker.cli_stdio import target_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from broker.checking import Asks
    from broker.settings import Settings

Answer = TypeVar("Answer")


def caller_options(command: Any) -> Any:
    """`--principal`, `--scope` and `--claims`: whose rules it is about."""
    for name, more in (
        ("--claims", {"default": "{}", "metavar": "JSON", "help": "What its token says."}),
        ("--scope", {"multiple": True, "help": "A scope it has; repeatable.  [default: those of its key]"}),
        ("--principal", {"default": "", "help": "The caller, such as key:alice.  [default: local, or as `pipe` says]"}),
    ):
        command = click.option(name, **more)(command)
    return command


def asks_of(client: str, caller: dict[str, Any]) -> Asks:
    """Whom servers are asked for."""
    from broker.checking import Asks
    from broker.cli_policy import object_of

    return Asks(client, caller["principal"], caller["scope"], object_of("claims", caller["claims"]))


@click.command()
@click.argument("target", nargs=-1, required=True, metavar="FILE | URL | -- COMMAND...")
@click.option("--server", "name", metavar="NAME", help="Only this server of the file.")
@click.option("--client", metavar="REVISION", help="The client's revision.  [default: the newest with sessions]")
@click.option("--backend-revision", help="Revision the server at URL, or of the command, is pinned to.")
@click.option("--bearer-file", metavar="PATH", help="File (mode 0600) with the bearer token for the server at URL.")
@caller_options
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def check(
    target: tuple[str, ...],
    name: str | None,
    client: str | None,
    backend_revision: str | None,
    bearer_file: str | None,
    as_json: bool,
    **caller: Any,
) -> None:
    """Start or reach each server of the configuration FILE, and say what it speaks and what a client would lose.

    Era, revision, capabilities, the time of a round trip, and what is degraded or refused for the client. One server
    may fail, the others are asked all the same; then the exit code is 1. Nothing is called and nothing is served.

    What somebody signed in to get is used, and nobody is asked to sign in. With rules, filters or scopes in FILE it is
    said what they hide from --principal, and refuse to it.

    \b
    Examples
      dragoman check dragoman.yaml
      dragoman check ~/.cursor/mcp.json --server github --client 2025-03-26
      dragoman check http://127.0.0.1:3000/mcp --json
      dragoman check -- npx -y some-server
    """
    asks = asks_of(client_of(client), caller)
    if _is_file(target):
        if backend_revision is not None or bearer_file is not None:
            raise click.UsageError("a FILE says itself how its servers are reached")
        settings = settings_of_file(Path(target[0]))
    elif name is not None:
        raise click.UsageError("--server names a server of a FILE")
    else:
        settings = settings_of_target(target, backend_revision or "auto", bearer_file)
    _run(settings, names_of(settings, name), asks, as_json=as_json)


def client_of(client: str | None) -> str:
    """A known revision; without one the newest that has sessions, which is what most hosts speak."""
    from protocol_versions import REVISIONS

    known = [revision.id for revision in REVISIONS]
    if client is None:
        return [revision.id for revision in REVISIONS if revision.traits.sessions][-1]
    if client not in known:
        raise click.UsageError(f"--client: expected one of {', '.join(known)}")
    return client


def settings_of_file(path: Path) -> Settings:
    """The settings of a file; what of a host's file cannot be used is said."""
    from broker.hosts.machine import Machine
    from broker.hosts.serving import settings as settings_of

    settings, problems = settings_of(path, Machine.here())
    for problem in problems:
        click.echo(f"dragoman: {problem.line(path)}", err=True)
    return settings


def settings_of_target(target: tuple[str, ...], revision: str, bearer_file: str | None) -> Settings:
    """The settings of one server, by its address or its command, which gets the environment as from a host."""
    from broker.settings import PROXY_NAME, Settings, SettingsError

    found = target_of(target)
    backend = {"revision": revision, "bearer_file": bearer_file, "inherit_env": not isinstance(found, str)}
    try:
        return Settings.for_proxy(found, backend=backend)
    except SettingsError as error:
        raise SettingsError([line.removeprefix(f"servers.{PROXY_NAME}.") for line in error.problems]) from None


def names_of(settings: Settings, name: str | None) -> list[str]:
    """The servers that are meant: all of them, or one."""
    if name is not None and name not in settings.servers:
        raise click.UsageError(f"--server: expected one of {', '.join(settings.servers)}")
    return list(settings.servers) if name is None else [name]


def _is_file(target: tuple[str, ...]) -> bool:
    from broker.hosts.document import FORMATS

    return len(target) == 1 and "://" not in target[0] and Path(target[0]).suffix.lower() in FORMATS


def asked(asking: Coroutine[Any, Any, Answer]) -> Answer:
    """What servers say, in the broker's own loop. Ends the program where what is configured turns out wrong in use."""
    from broker import serve, telemetry

    telemetry.configure(level="error")
    try:
        with asyncio.Runner(loop_factory=serve.new_loop) as runner:
            return runner.run(asking)
    except ValueError as error:
        # What is only found out when it is used: certificates, proxy addresses.
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)


def _run(settings: Settings, names: list[str], asks: Asks, *, as_json: bool) -> None:
    from broker.checking import checks, lines

    found = asked(checks(settings, names, asks))
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo("\n".join(line for each in found for line in lines(each)))
    if any(each.problem for each in found):
        sys.exit(RUNTIME)
