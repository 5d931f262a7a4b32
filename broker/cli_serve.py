"""The subcommands `serve FILE` and `demo`, and the end of every command that listens."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from broker.cli_codes import CANNOT_BIND, CONFIGURATION, RUNTIME

if TYPE_CHECKING:
    from broker.hosts.spans import Problem
    from broker.serve import Beside, Running
    from broker.settings import Settings

FORMATS = click.Choice(["auto", "json", "pretty"])
LEVELS = click.Choice(["debug", "info", "warning", "error"])
SAMPLES = click.Choice(["2026-07-28", "2025-11-25"])

_Command = TypeVar("_Command", bound=Callable[..., Any])


def log_options(command: _Command) -> _Command:
    """`--log-level` and `--log-format`."""
    command = click.option("--log-level", type=LEVELS, help="Least level that is logged.  [default: info]")(command)
    return click.option("--log-format", type=FORMATS, help="`auto` is pretty on a terminal.  [default: auto]")(command)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--tap", metavar="FILE", help="Write every frame and what was changed in it, as JSON lines.")
@click.option("--workers", default=1, type=click.IntRange(1), help="Processes; only 1 is possible.")
@click.option("--check", is_flag=True, help="Only say whether the file is valid.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, whatever the file says; 0 picks one.")
@click.option("--watch", is_flag=True, help="Apply the file whenever it changes, as SIGHUP does.")
@log_options
def serve(
    file: Path,
    tap: str | None,
    workers: int,
    check: bool,
    port: int | None,
    watch: bool,
    log_format: str | None,
    log_level: str | None,
) -> None:
    """Serve every server of the configuration FILE (.yaml, .toml or .json), each at /servers/NAME/mcp.

    FILE may also be a host's own configuration, read as it is (Claude, Cursor, VS Code, Zed, Continue, Codex and
    others), or a registry's server.json. Of such a file, what cannot be served is said and left out.

    On SIGHUP, or with --watch when it changes, the file is read again: servers whose entry did not change keep their
    sessions and processes. A file that cannot be used changes nothing, and why is logged.

    \b
    Examples
      dragoman serve dragoman.yaml
      dragoman serve ~/.cursor/mcp.json --port 9000

    \b
    Example of a file
      servers:
        github:
          url: https://mcp.example.com/mcp
          headers: {Authorization: "env:GITHUB_AUTHORIZATION"}
        files:
          url: http://127.0.0.1:3000/mcp
          revision: "2024-11-05"
          filter: {tools: {deny: ["delete_*"]}}
    """
    if workers > 1:
        raise click.UsageError(
            "--workers: sessions live in the memory of one process, and a client's next request may reach another; "
            "run one worker (several brokers behind a balancer need one that keeps each client on its broker)"
        )
    from broker.hosts.machine import Machine
    from broker.hosts.serving import settings as settings_of

    def load() -> tuple[Settings, list[Problem]]:
        settings, problems = settings_of(file, Machine.here(), **({} if port is None else {"port": port}))
        log = {"format": log_format or settings.log.format, "level": log_level or settings.log.level}
        changed = {"log": settings.log.model_copy(update=log), "tap": Path(tap) if tap else settings.tap}
        return settings.model_copy(update=changed), problems

    watcher = None
    if watch and not check:
        from broker.reload import Watcher

        watcher = Watcher(file)  # before the file is read: what changes meanwhile is seen
    settings, problems = load()
    for problem in problems:
        click.echo(f"dragoman: {problem.line(file)}", err=True)
    if check:
        from broker.policy import check_hooks
        from broker.settings_file import SettingsError

        if any(problem.fatal for problem in problems):
            sys.exit(CONFIGURATION)
        try:
            check_hooks(settings)
        except ValueError as error:
            raise SettingsError([f"{file}: {error}"]) from None
        click.echo(f"{file}: valid, {len(settings.servers)} servers")
        return

    async def follow(broker: Running) -> None:
        from broker.app import SERVERS
        from broker.reload import Reload, reloads

        if watcher is not None and broker.tls is not None:
            tls = broker.tls
            watcher.also(lambda: tls.files)
        await reloads(Reload(broker.app[SERVERS], load, file, problems, broker.tls), watcher)

    run(settings, follow)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the broker.  [default: 8808, or a free one]")
@click.option("--once", is_flag=True, help="End after the story: 0 if everything was as told, else 1.")
@click.option("--built-in-client", is_flag=True, help="Do not download the SDK; use the client of this package.")
@click.option("--server", default="2026-07-28", show_default=True, type=SAMPLES, help="The one revision it speaks.")
def demo(port: int | None, once: bool, built_in_client: bool, server: str) -> None:
    """See older clients talk to a 2026-07-28 server, all started here, through the broker.

    One client is of 2024-11-05, on the official SDK if uv can fetch it; one of 2025-11-25, which can be asked; before
    a server with sessions there is one of 2026-07-28 as well. Then keeps serving, so that you can point a client of
    your own at it, until Ctrl-C.
    """
    from broker.demo.story import tell

    sys.exit(tell(port=port, once=once, built_in=built_in_client, revision=server))


def run(settings: Settings, beside: Beside | None = None) -> None:
    """Serve until a signal, then end the process with an exit code."""
    from broker import serve as serving
    from broker import telemetry

    telemetry.configure(settings.log.format, settings.log.level)
    serving.raise_file_limit(settings.limits)
    tap = None
    try:
        if settings.tap is not None:
            from broker.tap import Tap

            tap = Tap(settings.tap, settings.secrets())
    except (OSError, ValueError) as error:
        click.echo(f"dragoman: tap: {error}", err=True)
        sys.exit(CONFIGURATION)

    def create(settings: Settings, port: int) -> Any:
        from broker.app import create_app

        return create_app(settings, port=port, tap=tap)

    def ready(broker: Running) -> None:
        for name, backend in settings.servers.items():
            telemetry.announce("ready", url=broker.url + settings.path_of(name), server=name, backend=backend.place)
        if settings.anonymous_allowed:
            telemetry.announce("anonymous callers are served", local=settings.local)

    try:
        with asyncio.Runner(loop_factory=serving.new_loop) as runner:
            runner.run(serving.run(settings, create, ready, beside))
    except serving.CannotServe as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CANNOT_BIND if error.bind else RUNTIME)
    except ValueError as error:
        # What is only found out when it is used: certificates, proxy addresses.
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)
    finally:
        if tap is not None:
            tap.close()
