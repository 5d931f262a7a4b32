"""The subcommand `report`: what one client revision loses with one server, before any call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.cli_check import asked, client_of, names_of, settings_of_file, settings_of_target
from broker.cli_codes import RUNTIME

if TYPE_CHECKING:
    from broker.settings import Settings


@click.command()
@click.argument("target", nargs=-1, metavar="[URL | -- COMMAND...]")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Report on servers of a configuration.")
@click.option("--server", "name", metavar="NAME", help="Only this server of the configuration.")
@click.option("--client", required=True, metavar="REVISION", help="The client's revision.")
@click.option("--backend-revision", default="auto", show_default=True, help="Revision the server is pinned to.")
@click.option("--bearer-file", metavar="PATH", help="File (mode 0600) with the bearer token for the server at URL.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def report(
    target: tuple[str, ...], config: Path | None, name: str | None, client: str, as_json: bool, **given: str | None
) -> None:
    """Say what a client of one revision will and will not get from a server, at a URL or a command, before any call.

    The server is asked for its greeting and its lists, nothing else; they are put through the broker's own
    translation, as if for a client that declares everything its revision has. For a client without sessions a
    server with them is also pinged, and its standing stream tried.

    identical: passes as it is; rewritten: in the client's words; emulated: the broker does what the other side lacks;
    degraded: something is lost; refused: not there for the client.

    \b
    Examples
      dragoman report http://127.0.0.1:3000/mcp --client 2025-03-26
      dragoman report --client 2025-03-26 -- npx -y some-server
      dragoman report --config dragoman.yaml --server github --client 2024-11-05 --json
    """
    if (not target) is (config is None):
        raise click.UsageError("give a URL, or -- COMMAND, or --config FILE")
    if name is not None and config is None:
        raise click.UsageError("--server names a server of --config FILE")
    if config is not None and (given["backend_revision"] != "auto" or given["bearer_file"] is not None):
        raise click.UsageError("--config FILE says itself how its servers are reached")
    client = client_of(client)
    if config is not None:
        settings = settings_of_file(config)
    else:
        settings = settings_of_target(target, str(given["backend_revision"]), given["bearer_file"])
    _print(settings, names_of(settings, name), client, as_json=as_json)


def _print(settings: Settings, names: list[str], client: str, *, as_json: bool) -> None:
    from broker.checking import checks

    found = asked(checks(settings, names, client, timed=False))
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
