"""`dragoman health FILE`: whether the broker that serves FILE answers, for who starts it and cannot ask HTTP itself."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from broker.cli_codes import CONFIGURATION, RUNTIME

WAIT_S = 3.0
"""How long the broker may take. Below what containers wait for a check."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where it listens, not where we do)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--ready", is_flag=True, help="Ask whether it takes new calls, not only whether it answers.")
@click.option("--port", type=click.IntRange(1, 65535), help="The status port, whatever the file says.")
def health(file: Path, ready: bool, port: int | None) -> None:
    """Ask the broker that serves FILE, at its status port, how it is: 0 if it is well, else 1.

    \b
    Example
      dragoman health dragoman.yaml
    """
    import http.client

    from broker.settings import Settings

    status = Settings.load(file).status
    port = status.port if port is None else port
    if not port:
        click.echo(f"dragoman: {file}: status.port: needed, to ask there", err=True)
        sys.exit(CONFIGURATION)
    name = f"[{status.host}]" if ":" in status.host else status.host
    connection = http.client.HTTPConnection(_ANY.get(status.host, status.host), port, timeout=WAIT_S)
    try:
        connection.request("GET", "/ready" if ready else "/health", headers={"Host": f"{name}:{port}"})
        answer = connection.getresponse()
        text = answer.read(1024).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        click.echo(f"dragoman: no answer at port {port}: {error}", err=True)
        sys.exit(RUNTIME)
    finally:
        connection.close()
    click.echo(text)
    sys.exit(0 if answer.status == 200 else RUNTIME)
