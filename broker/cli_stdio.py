"""`dragoman stdio`: the broker as a command that a host starts."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from broker.cli_codes import CONFIGURATION
from broker.stdio_command import KINDS, UnusableError, WrongLineError, options_of, run
from broker.stdio_command import target_of as found_target


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


def sign_in_options(command: Any) -> Any:
    """Who the broker is where somebody signs in, and for what."""
    for name, more in (
        ("--redirect-port", {"default": "0", "metavar": "PORT", "help": "Port the browser comes back to; 0: any."}),
        ("--scope", {"multiple": True, "help": "Asked for instead of what the server names; repeatable."}),
        ("--issuer", {"default": "", "metavar": "URL", "help": "The only issuer that is used, wherever it is."}),
        ("--client-secret-file", {"metavar": "PATH", "help": "File (mode 0600) with that client's secret."}),
        ("--client-id", {"default": "", "metavar": "ID", "help": "Client registered there, or its document's URL."}),
    ):
        command = click.option(name, **more)(command)
    return command


def target_of(given: tuple[str, ...]) -> str | tuple[str, ...]:
    """The address or the command; what a command line names and nobody has set ends the process."""
    try:
        found = found_target(given)
    except UnusableError as error:
        _refuse(error)
    assert found is not None
    return found


def config_options(command: Any) -> Any:
    """`--config` and `--server`: the sections of a file for a server of the command line, or of the file."""
    command = click.option("--server", metavar="NAME", help="Which server of the file this is.")(command)
    text = "Configuration: rules, filters, injections, quotas, audit and limits, as for `serve`."
    return click.option("--config", metavar="FILE", help=text)(command)


@click.command()
@click.argument("target", nargs=-1, metavar="[URL | -- COMMAND...]")
@config_options
@click.option("--backend-revision", default="auto", show_default=True, help="Revision the server is pinned to.")
@click.option("--client-revisions", default="all", show_default=True, help="Comma-separated, served to the client.")
@click.option("--header", multiple=True, metavar="NAME=env:VAR", help="Sent to a URL; env:VAR or file:PATH.")
@click.option("--bearer-file", metavar="PATH", help="File (mode 0600) with the bearer token for a URL.")
@click.option("--ca-bundle", metavar="PATH", help="PEM file with the authorities to trust instead of the system's.")
@click.option(
    "--sign-in",
    type=click.Choice(["auto", "never"]),
    default="auto",
    show_default=True,
    help="At a URL that wants a person: opens a browser.",
)
@sign_in_options
@filter_options
@click.option("--rate", multiple=True, metavar="RATE", help="Requests in a time, such as 10/second; repeatable.")
@click.option("--tap", metavar="FILE", help="Write every frame and what was changed in it, as JSON lines.")
@click.option("--audit", metavar="FILE", help="Write a line before and after each call; see `dragoman audit`.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning")
def stdio(target: tuple[str, ...], **given: Any) -> None:
    """Serve an MCP server, at a URL or a command, to the one client on standard input and output.

    For hosts that only know commands: put `dragoman stdio` before the command or the URL they have now.

    A server at a URL that wants a person to sign in (OAuth) opens a browser, while the host waits; `dragoman login URL`
    does it beforehand. Who is signed in stays so for later runs, and for other hosts of the same person.

    With --config, the sections of a configuration hold for it: `servers.NAME` of the file without a URL or a command,
    else the server that the command line names, as `default` or in the place of --server NAME. The caller is `local`,
    or who the section `pipe` says. What the file says of listening and of TLS is not read.

    \b
    Examples
      dragoman stdio -- npx -y some-server --its-option
      dragoman stdio --config rules.yaml -- npx -y some-server
      dragoman stdio --config dragoman.yaml --server github
      dragoman stdio https://mcp.example.com/mcp --header Authorization=env:MCP_AUTHORIZATION
    """
    try:
        options = options_of(found_target(target), given)
    except WrongLineError as error:
        raise click.UsageError(str(error)) from None
    except UnusableError as error:
        _refuse(error)
    sys.exit(run(options))


def _refuse(error: UnusableError) -> NoReturn:
    click.echo(f"dragoman: {error}", err=True)
    sys.exit(CONFIGURATION)
