"""The subcommands that do not listen: `translate` one message, and `revisions`, the table of all pairs."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from broker.cli_codes import NO_TRANSLATION, RUNTIME

PARTS = click.Choice(["params", "result", "error", "notification"])
SIDES = click.Choice(["client", "server"])


@click.command()
@click.option("--method", required=True, help="The method of the message, such as tools/call.")
@click.option("--client", required=True, metavar="REVISION", help="The client's revision.")
@click.option("--server", required=True, metavar="REVISION", help="The server's revision.")
@click.option("--part", type=PARTS, default="result", show_default=True, help="Which part of the exchange the body is.")
@click.option("--toward", type=SIDES, help="Who reads it; needed only where a method travels both ways.")
@click.option("--explain", is_flag=True, help="Also print each Change that acted, as a JSON patch (RFC 6902).")
@click.argument("body", type=click.File("rb"), default="-")
def translate(
    method: str, client: str, server: str, part: str, toward: str | None, explain: bool, body: BinaryIO
) -> None:
    """Print a message's BODY (standard input, or a file) as its reader sees it through the broker.

    The body is the value of `params`, `result` or `error`, not the whole JSON-RPC message. Standard output is the
    translated body; what was lost on the way is said on standard error.

    \b
    Examples
      dragoman translate --method tools/call --client 2024-11-05 --server 2025-11-25 < result.json
      dragoman translate --method tools/list --client 2024-11-05 --server 2025-11-25 --explain < list.json
    """
    from broker.explain import explain_body

    try:
        story = explain_body(
            body.read(),
            method=method,
            part=part,  # type: ignore[arg-type]
            client=client,
            server=server,
            toward=toward,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if explain:
        for line in story.lines():
            click.echo(line, err=True)
    for loss in story.losses:
        click.echo(f"{loss.loss}: {loss.change} ({loss.path or 'whole body'})", err=True)
    if story.body is not None:
        click.echo(story.body.decode())
        return
    click.echo(f"{story.verdict}: {story.reason}", err=True)
    sys.exit(NO_TRANSLATION)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Every method of every pair, as JSON.")
@click.option("--markdown", is_flag=True, help="The table as Markdown.")
@click.option("--pair", nargs=2, metavar="CLIENT SERVER", help="Every method of one pair.")
def revisions(as_json: bool, markdown: bool, pair: tuple[str, str] | None) -> None:
    """Print what happens to the methods between every client and server revision.

    identical: passes as it is; rewritten: in the reader's words; emulated: the broker does what the other side
    lacks; refused: answered with an error, because nothing there could do it.

    \b
    Examples
      dragoman revisions
      dragoman revisions --pair 2024-11-05 2025-11-25
    """
    from broker.explain import pair_lines, rows, table_lines

    try:
        found = rows()
    except ImportError as error:
        click.echo(f"dragoman: the table cannot be made here: {error}", err=True)
        sys.exit(RUNTIME)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    if pair is not None:
        lines = pair_lines(found, *pair)
        if not lines:
            raise click.UsageError("--pair expects two known revisions")
    else:
        lines = table_lines(found, markdown=markdown)
    for line in lines:
        click.echo(line)
