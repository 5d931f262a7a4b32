"""A host's entry as a server, whatever the host calls its members.

The one table of spellings reads all hosts: no two of them mean different things by one key. Unknown members are kept
and named in a note, with the member that was probably meant.
"""

from __future__ import annotations

import difflib
from typing import Any, Final, Literal

import msgspec

from broker.hosts.shapes import Entry
from broker.hosts.spans import Problem

Kind = Literal["stdio", "http", "sse", "auto"]

COMMANDS: Final = ("command", "cmd")
ENVS: Final = ("env", "environment", "envs")
URLS: Final = ("url", "httpUrl", "serverUrl", "uri")
HEADERS: Final = ("headers", "http_headers", "httpHeaders")
TYPES: Final = ("type", "transport", "transportType")
KINDS: Final[dict[str, Kind]] = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "streamable_http": "http",
    "sse": "sse",
    "remote": "auto",
}
SIGNED_IN: Final = (
    *("oauth", "auth", "authorization", "authProviderType", "headersHelper"),
    *("oauth_resource", "scopes", "oauthScopes"),
)
"""Members that say that the host itself signs in; the broker cannot do that in its place."""

_CORE: Final = (*COMMANDS, "args", *ENVS, "cwd", *URLS, *HEADERS, *TYPES, "envFile", "name")
_CODEX: Final = ("env_vars", "bearer_token_env_var", "env_http_headers")
# What hosts keep beside: approval, time limits, display. Nothing of it changes how a server is reached.
_OTHERS: Final = """
$schema alwaysAllow alwaysLoad autoApprove available_tools bundled default_tools_approval_mode description dev disabled
disabledTools disabled_tools display_name enabled enabledTools enabled_tools env_keys excludeTools
experimental_environment extensionName gallery icon id includeTools priority required requestOptions roots sandbox
sandboxEnabled settings source startup_timeout_ms startup_timeout_sec supports_parallel_tool_calls timeout title
tool_timeout_sec tools trust version
"""
_KNOWN: Final = {*_CORE, *_CODEX, *SIGNED_IN, *_OTHERS.split()}


class HostServer(msgspec.Struct, frozen=True):
    """A server as a host has it, variables not filled in: either a `command` or a `url`.

    `env_from` are names passed on from the environment; `headers_from` says per header which variable holds its value,
    after an optional scheme (`Bearer TOKEN`). `extra` is what only the host understands.
    """

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    kind: Kind = "auto"
    headers: dict[str, str] = {}
    enabled: bool = True
    extra: dict[str, Any] = {}
    env_file: str | None = None
    env_from: tuple[str, ...] = ()
    headers_from: dict[str, str] = {}


def server(entry: Entry) -> tuple[HostServer | None, list[Problem]]:
    """The server of an entry, and what is wrong with it; None if something is that it cannot do without."""
    reader = _Reader(entry)
    found = reader.read()
    return (None if any(problem.fatal for problem in reader.problems) else found), reader.problems


def first(value: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    """The first of these keys that is there."""
    return next((key for key in keys if value.get(key) is not None), None)


class _Reader:
    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.value: dict[str, Any] = entry.node.value
        self.problems: list[Problem] = []

    def bad(self, key: str, what: str, fix: str, *, fatal: bool = True) -> None:
        path = f"{self.entry.path}.{key}" if key else self.entry.path
        self.problems.append(Problem(path, what, fix, fatal))

    def read(self) -> HostServer:
        value = self.value
        for key in self.entry.node.doubled():
            self.bad(key, "the key is there twice", "remove one")
        for key in value:
            if key not in _KNOWN:
                near = difflib.get_close_matches(key, _CORE, 1)
                fix = f"did you mean {near[0]}?" if near else "it is the host's business; the broker does not use it"
                self.bad(key, "unknown key", fix, fatal=False)
        command, args = self._command()
        url_key = first(value, URLS)
        url = self._text(url_key) if url_key else None
        kind = self._kind(command, url, url_key)
        headers, nested = self._headers()
        return HostServer(
            name=self.entry.name,
            command=command if kind == "stdio" else None,
            args=args,
            env=self._table(first(value, ENVS)) | nested,
            cwd=self._text("cwd"),
            url=url if kind != "stdio" else None,
            kind=kind,
            headers=headers,
            enabled=value.get("enabled") is not False and value.get("disabled") is not True,
            extra={key: each for key, each in value.items() if key not in (*_CORE, *_CODEX, "requestOptions")},
            env_file=self._text("envFile"),
            env_from=tuple(self._env_from()),
            headers_from=self._headers_from(),
        )

    def _command(self) -> tuple[str | None, tuple[str, ...]]:
        key = first(self.value, COMMANDS)
        if key is None:
            return None, ()
        found = self.value[key]
        if isinstance(found, dict):  # Zed until 2025: {"command": {"path": ..., "args": [...], "env": {...}}}
            path = found.get("path")
            if not isinstance(path, str) or not path:
                self.bad(f"{key}.path", "expected a command", 'write "command": "npx"')
            return str(path), self._list(found.get("args"), f"{key}.args")
        if isinstance(found, list):
            words = self._list(found, key)
            if not words and not self.problems:
                self.bad(key, "an empty list", "name the program first")
            return (words[0], words[1:]) if words else ("", ())
        if not isinstance(found, str) or not found.strip():
            self.bad(key, "expected a command", 'write text, such as "npx"')
            return "", ()
        return found, self._list(self.value.get("args"), "args")

    def _kind(self, command: str | None, url: str | None, url_key: str | None) -> Kind:
        key = first(self.value, TYPES)
        said = self.value.get(key) if key else None
        kind = KINDS.get(said) if isinstance(said, str) else None
        if said is not None and kind is None:
            self.bad(str(key), f"{said!r} is not supported", f"expected one of {', '.join(KINDS)}")
            return "auto"
        if command is None and url is None:
            near = next((each for each in self.value if difflib.get_close_matches(each, ("command", "url"), 1)), None)
            fix = f"rename {near}" if near else "add a `command` to start, or a `url` to call"
            self.bad("", "neither a command nor a url", fix)
            return "auto"
        if command is not None and url is not None and kind is None:
            self.bad("", "both a command and a url", "remove one, or say which by `type`")
        if kind == "stdio" and command is None:
            self.bad(str(key), f"{said} needs a command", "add `command`, or make the type http")
        if kind not in (None, "stdio") and url is None:
            self.bad(str(key), f"{said} needs a url", "add `url`, or make the type stdio")
        if kind is None or kind == "auto":
            kind = "stdio" if url is None else "http" if url_key == "httpUrl" else "auto"
        return kind

    def _headers(self) -> tuple[dict[str, str], dict[str, str]]:
        """The headers, and the variables that Zed's older form keeps inside the command."""
        options = self.value.get("requestOptions")
        headers = self._table(first(self.value, HEADERS))
        if isinstance(options, dict) and options.get("headers") is not None:
            headers |= self._table("requestOptions.headers", options["headers"])
        command = self.value.get("command")
        inner = command.get("env") if isinstance(command, dict) else None
        return headers, self._table("command.env", inner) if inner is not None else {}

    def _env_from(self) -> list[str]:
        names = []
        found = self.value.get("env_vars") or []
        if not isinstance(found, list):
            self.bad("env_vars", "expected a list of names", 'write ["TOKEN"]')
            return []
        for index, each in enumerate(found):
            name = each.get("name") if isinstance(each, dict) else each
            if isinstance(name, str):
                names.append(name)
            else:
                self.bad(f"env_vars.{index}", "expected the name of a variable", 'write text, such as "TOKEN"')
        return names

    def _headers_from(self) -> dict[str, str]:
        found = self._table("env_http_headers")
        bearer = self._text("bearer_token_env_var")
        return {**found, "Authorization": f"Bearer {bearer}"} if bearer else found

    def _text(self, key: str) -> str | None:
        found = self.value.get(key)
        if found is not None and not isinstance(found, str):
            self.bad(key, "expected text", "put it in quotes")
            return None
        return found

    def _list(self, found: Any, key: str) -> tuple[str, ...]:
        if found is None:
            return ()
        if not isinstance(found, list):
            self.bad(key, "expected a list of texts", 'write ["one", "two"]')
            return ()
        for index, each in enumerate(found):
            if not isinstance(each, str):
                self.bad(f"{key}.{index}", "expected text", "put it in quotes")
        return tuple(str(each) for each in found)

    def _table(self, key: str | None, found: Any = None) -> dict[str, str]:
        found = self.value.get(key) if key and found is None else found
        if key is None or found is None:
            return {}
        if not isinstance(found, dict):
            self.bad(key, "expected texts by name", 'write {"NAME": "text"}')
            return {}
        for name, each in found.items():
            if not isinstance(each, str):
                self.bad(f"{key}.{name}", "expected text", "put it in quotes")
        return {name: each for name, each in found.items() if isinstance(each, str)}
