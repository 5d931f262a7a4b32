"""The command `dragoman`: serve, translate one message, and say what is translated.

Libraries are imported by the subcommand that needs them, so that `--help` and `translate` stay quick. Exit codes are
part of the interface; they are listed in `--help`.
"""

from __future__ import annotations

import sys

import click

from broker.cli_audit import audit
from broker.cli_check import check
from broker.cli_codes import CONFIGURATION, RUNTIME
from broker.cli_health import health
from broker.cli_hosts import connect, disconnect, init, schema, validate
from broker.cli_login import login, logout
from broker.cli_policy import policy
from broker.cli_proxy import proxy
from broker.cli_reference import reference
from broker.cli_report import report
from broker.cli_serve import demo, serve
from broker.cli_stdio import stdio
from broker.cli_translate import revisions, translate
from broker.version import VERSION

EPILOG = """\b
Exit codes
  0  done
  1  failed while running
  2  the command line is wrong
  3  the configuration is wrong, or a file it names cannot be used
  4  cannot listen on that address
  5  translate: this message has no translation

\b
Examples
  dragoman demo
  dragoman proxy http://127.0.0.1:3000/mcp
  dragoman stdio -- npx -y some-server
  dragoman serve dragoman.yaml
  dragoman check dragoman.yaml
  dragoman policy test cases.yaml --config dragoman.yaml
  dragoman audit verify audit.jsonl
  dragoman connect claude-desktop --dry-run
  dragoman login https://mcp.example.com/mcp
  dragoman report http://127.0.0.1:3000/mcp --client 2025-03-26
  dragoman revisions
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="dragoman")
def cli() -> None:
    """Let any MCP client talk to any MCP server, whatever protocol revision each is pinned to.

    Put the broker between the two: the client sees a server of its own revision, the server sees a client of its
    own. Start with `dragoman demo`, then point your host at `dragoman proxy URL`.
    """


@cli.group()
def key() -> None:
    """Keys that callers show to the broker."""


@key.command("new")
@click.option("--name", default="alice", show_default=True, help="The caller the key is for.")
def key_new(name: str) -> None:
    """Print a fresh key, and the line for the configuration that accepts it.

    The configuration holds only the key's SHA-256; the key itself is stored nowhere, so note it now.

    \b
    Example
      dragoman key new --name alice
    """
    from broker.identity import new_key

    fresh, digest = new_key()
    click.echo(f"key for the caller, sent as `Authorization: Bearer KEY`:\n  {fresh}\n")
    click.echo(f"lines for the configuration:\n  keys:\n    {name}: {digest}")


cli.add_command(proxy)
cli.add_command(serve)
cli.add_command(stdio)
for command in (connect, disconnect, init, validate, schema):
    cli.add_command(command)
cli.add_command(login)
cli.add_command(logout)
cli.add_command(translate)
cli.add_command(revisions)
cli.add_command(report)
cli.add_command(check)
cli.add_command(audit)
cli.add_command(health)
cli.add_command(reference)
cli.add_command(policy)
cli.add_command(demo)


def main() -> None:
    """The entry point: runs the command and ends the process with its exit code."""
    from broker.settings_file import SettingsError

    try:
        cli(prog_name="dragoman")
    except SettingsError as error:
        for problem in error.problems:
            click.echo(f"dragoman: {problem}", err=True)
        sys.exit(CONFIGURATION)
    except OSError as error:
        click.echo(f"dragoman: {error.strerror or error}", err=True)
        sys.exit(RUNTIME)
