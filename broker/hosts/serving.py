"""A host's file served by the broker itself: its servers as sections of the broker's configuration.

A server that cannot be served is left out with its problems, the others go on. Names become names of paths
(`GitHub MCP` is served at `/servers/github-mcp/mcp`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from broker.hosts import registry
from broker.hosts.document import FORMATS, Document, load
from broker.hosts.machine import Machine
from broker.hosts.servers import HostServer, server
from broker.hosts.shapes import entries, is_host_file, is_registry
from broker.hosts.spans import CannotRead, Problem
from broker.hosts.table import expands_bare_dollar
from broker.hosts.variables import NoValue, Scope

if TYPE_CHECKING:
    from broker.settings import Settings

_TRANSPORTS: Final = {"http": "streamable-http", "sse": "sse"}
_NAME_CHARS: Final = 63  # a name in the broker's configuration, as in DNS
_UNSAFE = re.compile(r"[^a-z0-9_]+")
_FOLDERS: Final = (".vscode", ".cursor", ".kiro", ".zed", ".gemini", ".qwen", ".codex", ".amp")


class Served(msgspec.Struct, frozen=True):
    """What of a host's file can be served: sections of `servers` by name, what each is called in the file, and what is
    wrong with it and with others."""

    sections: dict[str, dict[str, Any]]
    titles: dict[str, str]
    problems: list[Problem]


def host_document(path: Path) -> Document | None:
    """The document, if a file is a host's or the registry's; None for the broker's own, and for what is no such file at
    all, about which the broker's own reader has more to say.

    Raises:
        CannotRead: a syntax error, with its place; or nothing at all in the file.
    """
    if path.suffix.lower() not in FORMATS:
        return None
    try:
        document = load(path)
    except CannotRead as error:
        if error.where:
            raise
        return None
    if not document.text.strip():
        raise CannotRead("is empty", "put servers into it, or begin with `dragoman init`")
    return document if is_host_file(document) else None


def sections(document: Document, path: Path, machine: Machine) -> Served:
    """The servers of a host's file, their variables filled in, as sections of the broker's configuration."""
    found, problems, scope = _servers(document, path, machine)
    served = Served({}, {}, problems)
    for where, each in found:
        if not each.enabled:
            problems.append(Problem(where, "switched off in the file", "enable it there to serve it", fatal=False))
            continue
        try:
            section = _section(each, scope, machine, path)
        except _At as error:
            problems.append(Problem(f"{where}.{error.key}".removeprefix("."), error.what, error.fix))
            continue
        name = _slug(each.name, served.sections)
        served.sections[name] = section
        served.titles[name] = where or each.name
    return served


def settings(path: Path, machine: Machine, **overrides: Any) -> tuple[Settings, list[Problem]]:
    """Settings of any file that `dragoman serve` takes, and what of a host's file is not served.

    Raises:
        SettingsError: the broker's own configuration is wrong, or nothing of the host's file can be served.
    """
    from broker.settings import Settings, SettingsError

    try:
        document = host_document(path)
    except CannotRead as error:
        raise SettingsError([f"{path}: {error} — {error.fix}"]) from None
    if document is None:
        return Settings.load(path, **overrides), []
    served = sections(document, path, machine)
    good: dict[str, dict[str, Any]] = {}
    for name, section in served.sections.items():
        try:
            Settings.build({"servers": {name: section}})
        except SettingsError as error:
            for line in error.problems:
                key, _, what = line.removeprefix(f"servers.{name}.").partition(": ")
                served.problems.append(Problem(f"{served.titles[name]}.{key}", what, "correct it in the file"))
            continue
        good[name] = section
    if not good:
        lines = [problem.line(path) for problem in served.problems] or [f"{path}: no server in it — add one"]
        raise SettingsError(lines)
    return Settings.build({**overrides, "servers": good}), served.problems


def _servers(
    document: Document, path: Path, machine: Machine
) -> tuple[list[tuple[str, HostServer]], list[Problem], Scope]:
    """Every server with its place in the file, what is wrong, and what variables mean there."""
    workspace = path.absolute().parent
    workspace = workspace.parent if workspace.name in _FOLDERS else workspace
    tree = document.root.value
    if is_registry(tree):
        listed = registry.read(tree, machine)
        scope = Scope(machine, listed.inputs, str(workspace))
        return [("", listed.server)] if listed.server else [], listed.problems, scope
    found, problems = entries(document)
    asked = tree.get("inputs")
    inputs = {
        each["id"]: each
        for each in (asked if isinstance(asked, list) else [])
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    }
    servers = []
    for entry in found:
        known, wrong = server(entry)
        problems += wrong
        if known is not None:
            servers.append((entry.path, _literal(known) if not entry.shape.variables else known))
    return servers, problems, Scope(machine, inputs, str(workspace), expands_bare_dollar(path))


class _At(ValueError):  # noqa: N818 (where a section fails)
    """A value of an entry that cannot be had."""

    def __init__(self, key: str, what: str, fix: str) -> None:
        super().__init__(what)
        self.key, self.what, self.fix = key, what, fix


def _section(each: HostServer, scope: Scope, machine: Machine, path: Path) -> dict[str, Any]:
    own = each.env

    def fill(key: str, text: str) -> str:
        if each.extra.get(_LITERAL):
            return text
        try:
            return scope.fill(text, own)
        except NoValue as error:
            raise _At(key, error.what, error.fix) from None

    if each.command is None:
        headers = {name: fill(f"headers.{name}", text) for name, text in each.headers.items()}
        headers |= {name: _from_variable(scope, name, source) for name, source in each.headers_from.items()}
        section: dict[str, Any] = {"url": fill("url", str(each.url)), "headers": _as_secrets(headers)}
        if each.kind in _TRANSPORTS:
            section["transport"] = _TRANSPORTS[each.kind]
        return section
    env = _of_file(fill("envFile", each.env_file), path) if each.env_file else {}
    env |= {name: value for name in each.env_from if (value := machine.variable(name)) is not None}
    # An entry's own variables know the environment, not each other.
    env |= {name: fill(f"env.{name}", text) for name, text in each.env.items()}
    words = [fill("command", each.command)]
    words += [fill(f"args.{index}", word) for index, word in enumerate(each.args)]
    section = {"command": words, "env": env}
    if each.cwd:
        section["cwd"] = fill("cwd", each.cwd)
    return section


_LITERAL: Final = "dragoman.literal"


def _literal(each: HostServer) -> HostServer:
    """A server whose host fills nothing in: a `${` in it means itself."""
    return msgspec.structs.replace(each, extra={**each.extra, _LITERAL: True})


def _from_variable(scope: Scope, header: str, source: str) -> str:
    scheme, _, name = source.rpartition(" ")
    try:
        value = scope.variable(name)
    except NoValue as error:
        raise _At(f"headers.{header}", error.what, error.fix) from None
    return f"{scheme} {value}" if scheme else value


def _as_secrets(headers: dict[str, str]) -> dict[str, Any]:
    """Headers as the configuration holds them; as texts they would be read as references once more."""
    from pydantic import SecretStr

    return {name: SecretStr(text) for name, text in headers.items()}


def _of_file(name: str, path: Path) -> dict[str, str]:
    """The variables of an `envFile`, which is named from the file that names it."""
    from dotenv import dotenv_values

    file = path.absolute().parent / name
    if not file.is_file():
        raise _At("envFile", f"there is no file {file}", "create it, or remove the key")
    return {key: value for key, value in dotenv_values(file, interpolate=False).items() if value is not None}


def _slug(title: str, taken: dict[str, Any]) -> str:
    """A name for paths, made of what the file calls the server."""
    base = _UNSAFE.sub("-", title.lower()).strip("-_")[:_NAME_CHARS] or "server"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base[: _NAME_CHARS - len(str(number)) - 1]}-{number}"
    return name
