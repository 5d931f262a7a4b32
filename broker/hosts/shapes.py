"""Where in a host's file the servers stand, and how that host spells an entry.

A shape is told by its root key. One file may have servers in several places: Claude Code keeps those of each project
beside the user's. Entries that a host runs by itself (extensions, built-in ones) are not servers of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from broker.hosts.document import Document
from broker.hosts.spans import Node, Problem

_ENTRY: Final = {"command", "cmd", "url", "uri", "httpUrl", "serverUrl", "args", "type", "transport"}
_BUILT_IN: Final = {"builtin", "platform", "frontend", "inline_python"}  # Goose's own extensions


class Shape(msgspec.Struct, frozen=True):
    """How entries are written: `argv` as one list in `command`; `env`, `url` and `headers` are the keys of those,
    `local` and `remote` the types of a command and an address; `variables` says whether the host fills variables in."""

    name: str
    command: str = "command"
    argv: bool = False
    env: str = "env"
    url: str = "url"
    headers: str = "headers"
    local: str = "stdio"
    remote: str = "http"
    variables: bool = True


PLAIN: Final = Shape("mcpServers")
VSCODE: Final = Shape("servers")
ZED: Final = Shape("context_servers")
CODEX: Final = Shape("mcp_servers", headers="http_headers", variables=False)
AMP: Final = Shape("amp.mcpServers")
OPENCODE: Final = Shape("mcp", argv=True, env="environment", local="local", remote="remote")
GOOSE: Final = Shape("extensions", command="cmd", env="envs", url="uri", remote="streamable_http")
REGISTRY: Final = Shape("server.json")


class Entry(msgspec.Struct, frozen=True):
    """One server as it stands in a file. `where` is the path of keys and positions to it, `node` its object."""

    where: tuple[str | int, ...]
    name: str
    node: Node
    shape: Shape

    @property
    def path(self) -> str:
        """The entry's path as problems name it."""
        return ".".join(str(part) for part in self.where)


def is_registry(tree: dict[str, Any]) -> bool:
    """True for a registry's `server.json`, also as the registry's API wraps it."""
    inner = tree.get("server", tree)
    return isinstance(inner, dict) and isinstance(inner.get("name"), str) and bool({"packages", "remotes"} & set(inner))


def is_host_file(document: Document) -> bool:
    """True if a file is one of a host or of the registry, and not the broker's own configuration."""
    return is_registry(document.root.value) or any(True for _ in _places(document))


def entries(document: Document) -> tuple[list[Entry], list[Problem]]:
    """Every server of a file, and what of it is none."""
    found: list[Entry] = []
    problems: list[Problem] = []
    for where, node, shape in _places(document):
        path = ".".join(where)
        if isinstance(node.value, list):
            _of_list(where, node, shape, found, problems)
            continue
        if not isinstance(node.value, dict):
            problems.append(Problem(path, "expected servers by name", "write an object, such as {}"))
            continue
        doubled = node.doubled()
        problems += [Problem(f"{path}.{name}", "the name is there twice", "rename one") for name in doubled]
        for member in node.members:
            if member.key not in doubled:
                _add(Entry((*where, member.key), member.key, member.node, shape), found, problems)
    return found, problems


def _of_list(where: tuple[str, ...], node: Node, shape: Shape, found: list[Entry], problems: list[Problem]) -> None:
    names = [item.value.get("name") if isinstance(item.value, dict) else None for item in node.items]
    for index, (name, item) in enumerate(zip(names, node.items, strict=True)):
        path = f"{'.'.join(where)}.{index}"
        if not isinstance(name, str) or not name:
            if isinstance(item.value, dict) and "uses" in item.value:
                continue  # Continue: a block from its hub, which Continue itself resolves
            problems.append(Problem(path, "a server without name", "give it a `name`"))
        elif names.count(name) > 1:
            if names.index(name) == index:
                problems.append(Problem(f"{path}.name", f"the name {name!r} is there twice", "rename one"))
        else:
            _add(Entry((*where, index), name, item, shape), found, problems)


def _add(entry: Entry, found: list[Entry], problems: list[Problem]) -> None:
    value = entry.node.value
    if not isinstance(value, dict):
        problems.append(Problem(entry.path, "expected an object", 'write {"command": ...} or {"url": ...}'))
    elif not entry.name:
        problems.append(Problem(entry.path, "a server without name", "give it one"))
    elif str(value.get("type")) in _BUILT_IN or (entry.shape is ZED and not _ENTRY & set(value)):
        return
    else:
        found.append(entry)


def _places(document: Document) -> Iterator[tuple[tuple[str, ...], Node, Shape]]:
    root = document.root
    toml = document.format == "toml"
    for key, shape in (("mcpServers", PLAIN), ("context_servers", ZED), ("amp.mcpServers", AMP)):
        node = root.get(key)
        if node is not None:
            yield (key,), node, shape
    node = root.get("mcp_servers")
    if node is not None:
        yield ("mcp_servers",), node, CODEX if toml else PLAIN
    projects = root.get("projects")
    for member in projects.members if projects else ():
        node = member.node.get("mcpServers")
        if node is not None and node.members:
            yield ("projects", member.key, "mcpServers"), node, PLAIN
    node = root.get("servers")
    if node is not None and document.format == "json" and _is_vscode(root.value):
        yield ("servers",), node, VSCODE
    node = root.get("mcp", "servers")
    if node is not None and _has_entries(node.value):
        yield ("mcp", "servers"), node, VSCODE
        return
    node = root.get("mcp")
    if node is not None and root.get("mcpServers") is None and _has_entries(node.value):
        yield ("mcp",), node, OPENCODE if _is_opencode(node.value) else PLAIN
    node = root.get("extensions")
    if node is not None and document.format == "yaml" and _has_entries(node.value):
        yield ("extensions",), node, GOOSE


def _has_entries(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(each, dict) and _ENTRY & set(each) for each in value.values())


def _is_vscode(tree: dict[str, Any]) -> bool:
    """Whether `servers` is VS Code's: the broker's own has no inputs, no types, and commands as lists."""
    servers = tree["servers"]
    if "inputs" in tree or not isinstance(servers, dict):
        return "inputs" in tree
    own = any(key in tree for key in ("keys", "limits", "host", "port", "client_revisions"))
    return not own and any(
        isinstance(each, dict) and ("type" in each or "args" in each or isinstance(each.get("command"), str))
        for each in servers.values()
    )


def _is_opencode(servers: dict[str, Any]) -> bool:
    return any(
        isinstance(each, dict) and (each.get("type") in ("local", "remote") or isinstance(each.get("command"), list))
        for each in servers.values()
    )
