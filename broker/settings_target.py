"""One server under the sections of a configuration: that of the file, or one that the command line names.

For `dragoman stdio --config` and `dragoman proxy --config`. A server of the command line is `default`, or takes the
place of one of the file: its rules, filters and injections are that one's; where it is and how it is reached is what
the command line says. Invariants: what the command line adds to a filter hides more, never less; no credential of a
server of the file is shown to one that takes its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from broker.settings import PROXY_NAME, Settings
from broker.settings_file import SettingsError, read

PLACE: Final = ("url", "command")
"""What says where a server is."""

REACHED: Final = (
    *PLACE, "env", "inherit_env", "cwd", "transport", "headers", "bearer_file", "sign_in", "token", "ca_bundle",
    "client_certificate", "client_key", "proxy",
)  # fmt: skip
"""And how it is reached: started, connected to, and shown credentials."""

OVER_HTTP: Final = (
    "host", "port", "allowed_hosts", "allowed_origins", "issuers", "public_url", "expired_calls", "tls", "anonymous",
    "strict_version_header", "status", "forwarded",
)  # fmt: skip
"""Sections that mean nothing to a client on a pipe."""


def configured(
    path: Path, name: str | None, backend: dict[str, Any], top: dict[str, Any], *, pipe: bool = False
) -> tuple[Settings, str]:
    """The settings of one server, and its name.

    `backend` are the members that the command line says of it, with its place if it names one, and `top` those of the
    whole; either replaces what the file says. `name` is the server in the file. For a `pipe` what is about HTTP towards
    clients is not read.

    Raises:
        SettingsError: with one line per problem.
    """
    tree = read(path)
    tree.pop("$schema", None)
    if "single" in tree:
        raise SettingsError([f"{path}: single: unknown key"])
    if pipe:
        tree = {key: value for key, value in tree.items() if key not in OVER_HTTP}
    servers = tree.get("servers", {})
    if not isinstance(servers, dict):
        raise SettingsError([f"{path}: servers: expected a mapping"])
    placed = any(key in backend for key in PLACE)
    name = _named(path, servers, name, placed=placed)
    section = servers.get(name, {})
    if not isinstance(section, dict):
        raise SettingsError([f"{path}: servers.{name}: expected a mapping"])
    if placed:
        section = {key: value for key, value in section.items() if key not in REACHED}
    try:
        merged = _over(tree, {**top, "servers": {name: _over(section, backend)}, "single": True})
        return Settings.build(merged), name
    except SettingsError as error:
        raise SettingsError([f"{path}: {line}" for line in error.problems]) from None


def ruled(path: Path) -> Settings:
    """The settings of a file whose rules are looked at: its servers need not say where they are, nor be there at all.

    Raises:
        SettingsError: with one line per problem.
    """
    tree = read(path)
    tree.pop("$schema", None)
    servers = tree.get("servers", {PROXY_NAME: {}})
    if isinstance(servers, dict):
        servers = {name: _placed(section) for name, section in servers.items()}
    try:
        return Settings.build({**tree, "servers": servers})
    except SettingsError as error:
        raise SettingsError([f"{path}: {line}" for line in error.problems]) from None


def _placed(section: Any) -> Any:
    """A section of a server, somewhere: where does not matter to its rules."""
    if not isinstance(section, dict) or "url" in section or "command" in section:
        return section
    return {**section, "command": [PROXY_NAME]}


def _named(path: Path, servers: dict[str, Any], name: str | None, *, placed: bool) -> str:
    """The server that is meant."""
    if name is not None and name not in servers:
        expected = f"expected one of {', '.join(map(str, servers))}" if servers else "the file has no servers"
        raise SettingsError([f"{path}: there is no server {name}: {expected}"])
    if name is not None or placed:
        return name or PROXY_NAME
    if len(servers) != 1:
        raise SettingsError(
            [f"{path}: which server? Say --server NAME, or where one is; {', '.join(servers) or 'none'}"]
        )
    return str(next(iter(servers)))


def _over(section: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """A section with what the command line says of it; sections within it are taken member by member."""
    found = dict(section)
    for key, value in said.items():
        before = found.get(key)
        if isinstance(before, dict) and isinstance(value, dict) and key != "servers":
            found[key] = _over(before, value)
        elif key == "allow" and before is not None:
            raise SettingsError(["filter: the file has a list `allow` of its own; the command line can only deny more"])
        elif key in ("deny", "rules") and isinstance(before, list):
            found[key] = [*before, *value]
        else:
            found[key] = value
    return found
