"""The subcommand `proxy`: one server, at a URL or a command, for clients over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.cli_serve import log_options, run
from broker.cli_stdio import config_options, filter_options, sign_in_options, target_of
from broker.stdio_command import KINDS, filter_of

if TYPE_CHECKING:
    from broker.settings import Settings


@click.command()
@click.argument("target", nargs=-1, required=True, metavar="URL | -- COMMAND...")
@config_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8808, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 picks one.")
@click.option("--backend-revision", default="auto", show_default=True, help="Revision the server is pinned to.")
@click.option("--client-revisions", default="all", show_default=True, help="Comma-separated, served to clients.")
@click.option("--header", multiple=True, metavar="NAME=env:VAR", help="Sent to the server; env:VAR or file:PATH.")
@click.option("--bearer-file", metavar="PATH", help="File (mode 0600) with the bearer token for the server.")
@click.option("--sign-in", is_flag=True, help="Sign in at the server in a browser; for one person on this machine.")
@sign_in_options
@click.option("--ca-bundle", metavar="PATH", help="PEM file with the authorities to trust instead of the system's.")
@click.option("--client-cert", metavar="PATH", help="PEM certificate to show to the server.")
@click.option("--client-key", metavar="PATH", help="PEM key of that certificate.")
@click.option("--use-proxy", is_flag=True, help="Reach the server through HTTPS_PROXY/HTTP_PROXY.")
@click.option("--allow-origin", multiple=True, metavar="ORIGIN", help="Web origin that may call; repeatable.")
@click.option("--allow-host", multiple=True, metavar="HOST[:PORT]", help="Further Host accepted; repeatable.")
@click.option("--key", multiple=True, metavar="NAME=SHA256", help="Caller's key, as `dragoman key new` prints it.")
@click.option("--anonymous", type=click.Choice(["auto", "allow", "refuse"]), default="auto", show_default=True)
@filter_options
@click.option("--tap", metavar="FILE", help="Write every frame and what was changed in it, as JSON lines.")
@click.option("--audit", metavar="FILE", help="Write a line before and after each call; see `dragoman audit`.")
@click.option("--audit-fsync", type=click.Choice(["off", "interval", "each"]), default="interval", show_default=True)
@click.option(
    "--status-port", type=click.IntRange(0, 65535), help="Answer /health, /ready, /status and /metrics there."
)
@log_options
def proxy(target: tuple[str, ...], **given: Any) -> None:
    """Serve an MCP server, at a URL or a command, to clients of every revision, at http://HOST:PORT/mcp.

    With --config, the sections of a configuration hold for it: as `default`, or in the place of --server NAME.

    \b
    Examples
      dragoman proxy http://127.0.0.1:3000/mcp
      dragoman proxy https://mcp.example.com/mcp --bearer-file token.txt --port 9000
      dragoman proxy https://mcp.example.com/mcp --sign-in
      dragoman proxy http://127.0.0.1:3000/mcp --backend-revision 2024-11-05 --tap frames.jsonl
      dragoman proxy http://127.0.0.1:3000/mcp --tool-deny 'delete_*'
      dragoman proxy http://127.0.0.1:3000/mcp --config rules.yaml
      dragoman proxy --port 9000 -- npx -y some-server --its-option
    """
    run(settings_of(target_of(target), given))


def settings_of(target: str | tuple[str, ...], given: dict[str, Any]) -> Settings:
    """Settings of the command line; problems are named as in a file, without the server's place."""
    from broker.settings import PROXY_NAME, Settings, SettingsError

    if given["config"] is None and given["server"] is not None:
        raise click.UsageError("--server names a server of --config FILE")
    backend: dict[str, Any] = {
        "revision": given["backend_revision"],
        "inherit_env": not isinstance(target, str),
        "headers": _pairs("--header", given["header"]),
        "bearer_file": given["bearer_file"],
        "sign_in": _sign_in(given),
        "ca_bundle": given["ca_bundle"],
        "client_certificate": given["client_cert"],
        "client_key": given["client_key"],
        "proxy": "environment" if given["use_proxy"] else "none",
        "filter": filter_of(given),
    }
    revisions = given["client_revisions"]
    settings: dict[str, Any] = {
        "host": given["host"],
        "port": given["port"],
        "client_revisions": revisions if revisions == "all" else [part.strip() for part in revisions.split(",")],
        "allowed_origins": given["allow_origin"],
        "allowed_hosts": given["allow_host"],
        "keys": _pairs("--key", given["key"]),
        "anonymous": given["anonymous"],
        "tap": given["tap"],
        "audit": None if given["audit"] is None else _audit(given),
        "status": {"port": given["status_port"]},
        "log": {"format": given["log_format"] or "auto", "level": given["log_level"] or "info"},
    }
    if given["config"] is not None:
        from broker.settings_target import configured

        backend = {"url" if isinstance(target, str) else "command": target, **_said(backend, _OF_BACKEND)}
        return configured(Path(given["config"]), given["server"], backend, _said(settings, _OF_ALL))[0]
    try:
        return Settings.for_proxy(target, backend=backend, **settings)
    except SettingsError as error:
        raise SettingsError([line.removeprefix(f"servers.{PROXY_NAME}.") for line in error.problems]) from None


_OF_BACKEND = {
    "revision": ("backend_revision",), "inherit_env": ("target",), "headers": ("header",),
    "bearer_file": ("bearer_file",), "sign_in": ("sign_in",), "ca_bundle": ("ca_bundle",),
    "client_certificate": ("client_cert",), "client_key": ("client_key",), "proxy": ("use_proxy",),
    "filter": tuple(f"{kind}_{verb}" for kind in KINDS for verb in ("allow", "deny")),
}  # fmt: skip
_OF_ALL = {
    "host": ("host",), "port": ("port",), "client_revisions": ("client_revisions",),
    "allowed_origins": ("allow_origin",), "allowed_hosts": ("allow_host",), "keys": ("key",),
    "anonymous": ("anonymous",), "tap": ("tap",), "audit": ("audit",), "status": ("status_port",),
    "log": ("log_format", "log_level"),
}  # fmt: skip
"""The members of sections that options stand for."""


def _said(members: dict[str, Any], options: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """The members of a section that the command line says something of: those that a file says too are another's."""
    source = click.get_current_context().get_parameter_source
    default = click.core.ParameterSource.DEFAULT
    return {name: members[name] for name, by in options.items() if any(source(option) is not default for option in by)}


def _sign_in(given: dict[str, Any]) -> bool | dict[str, Any]:
    said = {
        "client_id": given["client_id"],
        "client_secret": f"file:{given['client_secret_file']}" if given["client_secret_file"] is not None else None,
        "issuer": given["issuer"],
        "scopes": given["scope"],
        "redirect_port": given["redirect_port"],
    }
    if not given["sign_in"]:
        if given["redirect_port"] != "0" or any(said[name] for name in said if name != "redirect_port"):
            raise click.UsageError("--client-id, --issuer and the like need --sign-in")
        return False
    return said


def _audit(given: dict[str, Any]) -> dict[str, Any]:
    return {"file": {"path": given["audit"], "fsync": given["audit_fsync"]}}


def _pairs(option: str, values: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name or name in pairs:
            raise click.UsageError(f"{option} expects a different NAME=VALUE each time")
        pairs[name] = text
    return pairs
