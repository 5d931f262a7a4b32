"""The subcommand `report`: what one client revision loses with one server, before any call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.cli_check import (
    asked,
    asks_of,
    caller_options,
    client_of,
    names_of,
    settings_of_file,
    settings_of_target,
)
from broker.cli_codes import RUNTIME
from broker.cli_stdio import target_of

if TYPE_CHECKING:
    from broker.checking import Asks
    from broker.settings import Settings


@click.command()
@click.argument("target", nargs=-1, metavar="[URL | -- COMMAND...]")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Report on servers of a configuration.")
@click.option("--server", "name", metavar="NAME", help="Only this server of the configuration.")
@click.option("--client", required=True, metavar="REVISION", help="The client's revision.")
@click.option("--backend-revision", default="auto", show_default=True, help="Revision the server is pinned to.")
@click.option("--bearer-file", metavar="PATH", help="File (mode 0600) with the bearer token for the server at URL.")
@caller_options
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def report(
    target: tuple[str, ...], config: Path | None, name: str | None, client: str, as_json: bool, **given: Any
) -> None:
    """Say what a client of one revision will and will not get from a server, at a URL or a command, before any call.

    The server is asked for its greeting and its lists, nothing else; they are put through the broker's own
    translation, as if for a client that declares everything its revision has. For a client without sessions a
    server with them is also pinged, and its standing stream tried.

    identical: passes as it is; rewritten: in the client's words; emulated: the broker does what the other side lacks;
    degraded: something is lost; refused: not there for the client.

    With rules, filters or scopes in the configuration it is said what they hide from --principal, and refuse to it.
    With a URL or a command as well, the configuration is about that, as for `dragoman proxy`.

    \b
    Examples
      dragoman report http://127.0.0.1:3000/mcp --client 2025-03-26
      dragoman report --client 2025-03-26 -- npx -y some-server
      dragoman report --config dragoman.yaml --server github --client 2024-11-05 --json
    """
    if not target and config is None:
        raise click.UsageError("give a URL, or -- COMMAND, or --config FILE")
    if name is not None and config is None:
        raise click.UsageError("--server names a server of --config FILE")
    if config is not None and not target and (given["backend_revision"] != "auto" or given["bearer_file"] is not None):
        raise click.UsageError("--config FILE says itself how its servers are reached")
    asks = asks_of(client_of(client), given)
    if config is not None and target:
        settings = _under(config, name, target, given)
        name = None
    elif config is not None:
        settings = settings_of_file(config)
    else:
        settings = settings_of_target(target, str(given["backend_revision"]), given["bearer_file"])
    _print(settings, names_of(settings, name), asks, as_json=as_json)


def _under(config: Path, name: str | None, target: tuple[str, ...], given: dict[str, Any]) -> Settings:
    """The settings of a server of the command line under the sections of a file."""
    from broker.settings_target import configured

    found = target_of(target)
    backend: dict[str, Any] = {"url": found} if isinstance(found, str) else {"command": found, "inherit_env": True}
    if given["backend_revision"] != "auto":
        backend["revision"] = given["backend_revision"]
    if given["bearer_file"] is not None:
        backend["bearer_file"] = given["bearer_file"]
    return configured(config, name, backend, {})[0]


def _print(settings: Settings, names: list[str], asks: Asks, *, as_json: bool) -> None:
    from broker.checking import checks

    found = asked(checks(settings, names, asks, timed=False))
    reports = {each.name: each.report for each in found if each.report is not None}
    if as_json:
        import msgspec

        shown: Any = next(iter(reports.values()), None) if settings.single else reports
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode()) if reports else None
    else:
        from broker.report_text import lines

        click.echo("\n\n".join("\n".join(lines(report)) for report in reports.values()), nl=bool(reports))
    for each in found:
        if each.problem:
            click.echo(f"dragoman: {'' if settings.single else f'{each.name}: '}{each.problem}", err=True)
    if len(reports) < len(found):
        sys.exit(RUNTIME)
