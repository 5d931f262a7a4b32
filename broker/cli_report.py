"""The subcommand `report`: what one client revision loses with one server, before any call."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.cli_codes import CONFIGURATION, RUNTIME

if TYPE_CHECKING:
    from broker.report import Report
    from broker.settings import Settings


@click.command()
@click.argument("url", required=False)
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Report on servers of a configuration.")
@click.option("--server", "name", metavar="NAME", help="Only this server of the configuration.")
@click.option("--client", required=True, metavar="REVISION", help="The client's revision.")
@click.option("--backend-revision", default="auto", show_default=True, help="Revision the server at URL is pinned to.")
@click.option("--bearer-file", metavar="PATH", help="File (mode 0600) with the bearer token for the server at URL.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def report(
    url: str | None, config: Path | None, name: str | None, client: str, as_json: bool, **given: str | None
) -> None:
    """Say what a client of one revision will and will not get from the server at URL, before any call.

    The server is asked for its greeting and its lists, nothing else; they are put through the broker's own
    translation, as if for a client that declares everything its revision has. For a client without sessions a
    server with them is also pinged, and its standing stream tried.

    identical: passes as it is; rewritten: in the client's words; emulated: the broker does what the other side lacks;
    degraded: something is lost; refused: not there for the client.

    \b
    Examples
      dragoman report http://127.0.0.1:3000/mcp --client 2025-03-26
      dragoman report --config dragoman.yaml --server github --client 2024-11-05 --json
    """
    if (url is None) is (config is None):
        raise click.UsageError("give a URL, or --config FILE")
    if name is not None and config is None:
        raise click.UsageError("--server names a server of --config FILE")
    if config is not None and (given["backend_revision"] != "auto" or given["bearer_file"] is not None):
        raise click.UsageError("--config FILE says itself how its servers are reached")
    from protocol_versions import REVISIONS

    known = [revision.id for revision in REVISIONS]
    if client not in known:
        raise click.UsageError(f"--client: expected one of {', '.join(known)}")
    from broker.settings import Settings

    if config is not None:
        from broker.hosts.machine import Machine
        from broker.hosts.serving import settings as settings_of

        settings, problems = settings_of(config, Machine.here())
        for problem in problems:
            click.echo(f"dragoman: {problem.line(config)}", err=True)
    else:
        backend = {"revision": given["backend_revision"], "bearer_file": given["bearer_file"]}
        settings = Settings.for_proxy(str(url), backend=backend)
    names = list(settings.servers) if name is None else [name]
    if name is not None and name not in settings.servers:
        raise click.UsageError(f"--server: expected one of {', '.join(settings.servers)}")
    _print(settings, names, client, as_json=as_json)


def _print(settings: Settings, names: list[str], client: str, *, as_json: bool) -> None:
    from broker import serve, telemetry

    telemetry.configure(level="error")
    try:
        with asyncio.Runner(loop_factory=serve.new_loop) as runner:
            found = runner.run(_reports(settings, names, client))
    except ValueError as error:
        # What is only found out when it is used: certificates, proxy addresses.
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)
    reports = {name: result for name, result in found.items() if not isinstance(result, str)}
    if as_json:
        import msgspec

        shown: Any = next(iter(reports.values()), None) if settings.single else reports
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode()) if reports else None
    else:
        from broker.report_text import lines

        click.echo("\n\n".join("\n".join(lines(report)) for report in reports.values()), nl=bool(reports))
    for name, result in found.items():
        if isinstance(result, str):
            click.echo(f"dragoman: {'' if settings.single else f'{name}: '}{result}", err=True)
    if len(reports) < len(found):
        sys.exit(RUNTIME)


async def _reports(settings: Settings, names: list[str], client: str) -> dict[str, Report | str]:
    """A report on each server, or why there is none."""
    from broker.app import CONTEXTS, create_app
    from broker.report import make
    from broker.report_ask import inspect
    from broker.report_bridge import Bridge
    from broker.report_sink import CannotAsk

    app = create_app(settings)
    found: dict[str, Report | str] = {}
    try:
        for name in names:
            context = app[CONTEXTS][name]
            try:
                offer = await inspect(context, client)
            except CannotAsk as reason:
                found[name] = str(reason)
                continue
            found[name] = make(
                settings.servers[name].url if settings.single else name,
                client,
                offer.revision,
                offer.greeting,
                offer.lists,
                incomplete=offer.incomplete,
                visible=_visible(context.hooks.hooks),
                bridge=Bridge(ways=offer.ways, policy=context.bridge) if offer.ways is not None else None,
            )
    finally:
        app.freeze()
        await app.shutdown()
    return found


def _visible(hooks: tuple[Any, ...]) -> Any:
    """Whether every filter lets a name of a kind be seen."""
    from broker.hooks.filter_names import FilterNames

    filters = [hook for hook in hooks if isinstance(hook, FilterNames)]
    return lambda kind, name: all(found.visible(kind, name) for found in filters)
