"""The subcommands about files: `connect` and `disconnect` a host, `init`, `validate`, `schema`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from broker.cli_codes import CONFIGURATION
from broker.hosts.spans import CannotRead

if TYPE_CHECKING:
    from broker.hosts.machine import Machine
    from broker.hosts.putting import Put, Taken
    from broker.hosts.table import Host

FILE = click.option(
    "--file", "files", multiple=True, type=click.Path(path_type=Path), help="This file, not the host's own; repeatable."
)


@click.command()
@click.argument("host", required=False)
@FILE
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only this server; repeatable.")
@click.option("--command", metavar="COMMAND", help="What starts the broker.  [default: this installation]")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def connect(
    host: str | None, files: tuple[Path, ...], servers: tuple[str, ...], command: str | None, dry_run: bool
) -> None:
    """Rewrite a HOST's configuration so that its servers are reached through the broker.

    Each entry keeps its name; what it starts is `dragoman stdio`, with the command or the address it had. Comments and
    everything else in the file stay. A backup is kept beside it. Without HOST: say which hosts are known, and what is
    found here. Values that may be secret are not shown.

    \b
    Examples
      dragoman connect
      dragoman connect claude-desktop --dry-run
      dragoman connect cursor --server github
      dragoman connect vscode --file .vscode/mcp.json
    """
    from broker.hosts.machine import Machine
    from broker.hosts.putting import own_command, put_in

    machine = Machine.here()
    if host is None and not files:
        _list(machine)
        return
    paths = _paths(host, files, machine)
    broker = _words(command, machine) if command is not None else own_command(machine)
    failed = False
    known: set[str] = set()
    for path in paths:
        try:
            done = put_in(path, broker, servers, dry_run=dry_run)
        except CannotRead as error:
            failed = _refused(path, error)
            continue
        known |= {*done.plan.added, *done.plan.already, *done.plan.left}
        failed |= _told(done, dry_run=dry_run)
    missing = [name for name in servers if name not in known]
    if missing and not failed:
        raise click.UsageError(f"--server: there is no {', '.join(missing)} in {', '.join(map(str, paths))}")
    if failed:
        sys.exit(CONFIGURATION)


@click.command()
@click.argument("host", required=False)
@FILE
def disconnect(host: str | None, files: tuple[Path, ...]) -> None:
    """Undo `connect` in a HOST's configuration.

    A file that nobody touched since is restored byte for byte. Of any other, only the broker's own entries are turned
    back; then it is shown how the file differs from before, and the backup stays.

    \b
    Examples
      dragoman disconnect claude-desktop
      dragoman disconnect --file .vscode/mcp.json
    """
    from broker.hosts.machine import Machine
    from broker.hosts.putting import take_out

    machine = Machine.here()
    if host is None and not files:
        raise click.UsageError("name a HOST, or a file with --file")
    failed = False
    for path in _paths(host, files, machine):
        try:
            _undone(take_out(path))
        except CannotRead as error:
            failed = _refused(path, error)
    if failed:
        sys.exit(CONFIGURATION)


@click.command()
@click.argument("path", default="dragoman.yaml", type=click.Path(path_type=Path))
def init(path: Path) -> None:
    """Write a configuration to start from, with comments, to PATH (dragoman.yaml), and its JSON schema beside it.

    A file that is there already is not touched. Editors that know the YAML language server complete and check it.

    \b
    Example
      dragoman init && dragoman serve dragoman.yaml
    """
    from broker.starter import write

    try:
        schema = write(path)
    except OSError as error:
        click.echo(f"dragoman: {path}: {error.strerror or error}", err=True)
        sys.exit(CONFIGURATION)
    click.echo(f"{path}: written; its schema is {schema}")
    click.echo(f"next: put your servers into it, then `dragoman serve {path}`")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Notes count as problems.")
def validate(files: tuple[Path, ...], strict: bool) -> None:
    """Check configuration FILES, the broker's own and those of hosts, and say what is wrong where, and what to do.

    Nothing in them is started or called. Variables must be set as they will be when the broker serves the file.

    \b
    Example
      dragoman validate dragoman.yaml .vscode/mcp.json ~/.codex/config.toml
    """
    from broker.hosts.machine import Machine
    from broker.hosts.serving import settings
    from broker.settings_file import SettingsError

    failed = False
    for file in files:
        try:
            found, problems = settings(file, Machine.here())
        except SettingsError as error:
            failed = True
            for line in error.problems:
                click.echo(_with_fix(line))
            continue
        for problem in problems:
            click.echo(problem.line(file))
        wrong = any(problem.fatal or strict for problem in problems)
        failed |= wrong
        click.echo(f"{file}: {'valid' if not wrong else 'usable in part'}, {_count(len(found.servers))}")
    if failed:
        sys.exit(CONFIGURATION)


@click.command()
def schema() -> None:
    """Print the JSON schema of the broker's configuration.

    \b
    Example
      dragoman schema > dragoman.schema.json
    """
    from broker.starter import generated

    click.echo(generated(), nl=False)


def _with_fix(line: str) -> str:
    """A problem of the broker's own configuration, with what to do where the problem does not say it itself."""
    import difflib

    from broker.settings import Settings
    from broker.settings_backend import Backend
    from broker.settings_limits import Limits

    if line.endswith(": required, but missing"):
        return f"{line} — add it"
    if not line.endswith(": unknown key"):
        return line
    known = [name for model in (Settings, Backend, Limits) for name in model.model_fields]
    near = difflib.get_close_matches(line.removesuffix(": unknown key").rpartition(".")[2], known, 1)
    return f"{line} — {f'did you mean {near[0]}?' if near else 'remove it'}"


def _list(machine: Machine) -> None:
    from broker.hosts.table import HOSTS

    click.echo("host             configuration")
    for host in HOSTS:
        states = [_state(path) for path in (*host.files(machine), *host.project_files(machine))]
        for state in states or ["not found"]:
            click.echo(f"{host.name:<16} {state}")
    click.echo("\nconnect one:  dragoman connect HOST --dry-run")


def _state(path: Path) -> str:
    from broker.hosts.keeping import look
    from broker.hosts.shapes import entries
    from broker.hosts.wrapping import broker_word, words_of

    try:
        kept = look(path)
    except CannotRead as error:
        return f"{path}: {error}"
    found, _ = entries(kept.document)
    commands = kept.record.commands if kept.record else []
    through = sum(broker_word(words_of(entry.node.value), *commands) >= 0 for entry in found)
    return f"{path}: {_count(len(found))}, {through} through the broker"


def _paths(name: str | None, files: tuple[Path, ...], machine: Machine) -> list[Path]:
    from broker.hosts.table import HOSTS, host

    known = host(name) if name is not None else None
    if name is not None and known is None:
        raise click.UsageError(f"{name!r} is no known host; expected one of {', '.join(each.name for each in HOSTS)}")
    if files or known is None:
        return list(files)
    return known.files(machine) or _no_file(known, machine)


def _no_file(host: Host, machine: Machine) -> NoReturn:
    places = ", ".join(str(place) for place in host.locations(machine))
    click.echo(f"dragoman: {host.title} has no configuration here; looked at {places}", err=True)
    for path in host.project_files(machine):
        click.echo(f"dragoman: there is one of this folder: --file {path.relative_to(machine.folder)}", err=True)
    sys.exit(CONFIGURATION)


def _words(command: str, machine: Machine) -> list[str]:
    """A command line as words; on Windows a backslash is part of a path."""
    try:
        words = shlex.split(command, posix=not machine.windows)
    except ValueError as error:
        raise click.UsageError(f"--command: {error}") from None
    if not words:
        raise click.UsageError("--command: expected what starts the broker, such as 'uvx dragoman'")
    return [word.strip('"') for word in words] if machine.windows else words


def _refused(path: Path, error: CannotRead) -> bool:
    click.echo(f"dragoman: {path}: {error} — {error.fix}", err=True)
    return True


def _told(done: Put, *, dry_run: bool) -> bool:
    """Say what `connect` did; True if a server had to be left out because it is wrong."""
    plan = done.plan
    for problem in plan.problems:
        click.echo(problem.line(done.path), err=True)
    if dry_run:
        for line in done.diff:
            click.echo(line)
    verb = "would be connected" if dry_run else "connected"
    click.echo(f"{done.path}: {_count(len(plan.added))} {verb}{_names(plan.added)}")
    if plan.already:
        click.echo(f"  through the broker already: {', '.join(plan.already)}")
    for name, why in plan.left.items():
        click.echo(f"  {name} stays as it is: {why}")
    if done.backup is not None:
        click.echo(f"  backup: {done.backup}")
        click.echo("  restart the host, so that it reads the file anew; `dragoman disconnect` undoes this")
    return any(problem.fatal for problem in plan.problems)


def _undone(done: Taken) -> None:
    if done.restored:
        click.echo(f"{done.path}: as it was before, byte for byte{_names(done.removed)}")
    elif not done.removed:
        click.echo(f"{done.path}: no server goes through the broker")
    else:
        click.echo(f"{done.path}: {_count(len(done.removed))} disconnected{_names(done.removed)}")
    for name, why in done.kept.items():
        click.echo(f"  {name} stays as it is: {why}")
    if done.diff:
        click.echo("  the file was changed since it was connected; how it differs from before:")
        for line in done.diff:
            click.echo(line)
    if done.backup is not None:
        click.echo(f"  the file as it was before: {done.backup}")


def _names(names: list[str]) -> str:
    return f": {', '.join(names)}" if names else ""


def _count(number: int) -> str:
    return f"{number} server{'' if number == 1 else 's'}"
