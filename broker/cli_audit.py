"""`dragoman audit`: verify a trail, print its head to keep elsewhere, say what its members mean."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from broker.cli_codes import CONFIGURATION, RUNTIME


@click.group()
def audit() -> None:
    """The audit log: is it as it was written, and what does it say?

    \b
    Examples
      dragoman audit head audit.jsonl
      dragoman audit verify audit.jsonl --head 3f2a...
      dragoman audit verify audit-2026*.jsonl audit.jsonl
    """


@audit.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--head", metavar="HASH", help="Hash that `dragoman audit head` printed: a line must have it.")
def verify(files: tuple[Path, ...], head: str | None) -> None:
    """Say whether FILE is as it was written; several files, oldest first, are read as one trail.

    Ends with 1 and names the lines if something was changed, removed, put in or moved, and with --head also if the end
    was cut off since. What was rewritten whole, with all its hashes, only a head that was kept elsewhere gives away.
    """
    from broker.audit.chain import NOTHING
    from broker.audit.verify import verify as check

    try:
        found = check(files, head)
    except OSError as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)
    for problem in found.problems:
        click.echo(str(problem))
    if found.begins != NOTHING:
        click.echo(f"begins after {found.begins}, which is in none of these files")
    if found.missing:
        click.echo(f"{found.missing} lines are missing where a sink failed, as the lines after them say")
    if found.open:
        click.echo(f"{len(found.open)} calls have no outcome yet")
    state = "problems found" if found.problems else "unchanged"
    click.echo(f"{found.lines} lines of {found.processes} processes: {state}; head {found.head}")
    sys.exit(RUNTIME if found.problems else 0)


@audit.command("head")
@click.argument("file", type=click.Path(path_type=Path))
def head_(file: Path) -> None:
    """Print the hash of the last line of FILE. Keep it where who can write FILE cannot."""
    from broker.audit.verify import head_of

    try:
        head, _ = head_of(file)
    except (OSError, ValueError) as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)
    click.echo(head)


@audit.command()
def fields() -> None:
    """Print what the events and members of audit lines mean, as Markdown."""
    from broker.audit.fields import reference

    click.echo(reference(), nl=False)
