"""A registry's `server.json` as one server: a remote address if it has one, else a package to start.

Source: the registry's server.schema.json of 2025-12-11. What a person would be asked for becomes a variable of the
environment: `DRAGOMAN_INPUT_NAME` for headers, arguments and template variables, the variable's own name for the
package's environment. A remote comes first because it runs nothing here.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from broker.hosts.machine import Machine
from broker.hosts.servers import HostServer, Kind
from broker.hosts.spans import Problem
from broker.hosts.variables import input_variable

# How a package of each kind is started, and what stands between name and version.
_RUNNERS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "npm": (("npx", "-y"), "@"),
    "pypi": (("uvx",), "@"),
    "oci": (("docker", "run", "-i", "--rm"), ":"),
    "nuget": (("dnx", "--yes"), "@"),
}
_REMOTES: Final[dict[str, Kind]] = {"streamable-http": "http", "sse": "sse"}
_CURLY = re.compile(r"\{([A-Za-z0-9_.-]+)\}")


class Listed(msgspec.Struct, frozen=True):
    """The server of a `server.json`, and what is asked for in it, by name, as VS Code would define it."""

    server: HostServer | None
    inputs: dict[str, dict[str, Any]]
    problems: list[Problem]


def read(tree: dict[str, Any], machine: Machine) -> Listed:
    """The server that a `server.json` describes, also as the registry's API wraps it."""
    reader = _Reader(machine)
    found = reader.server(tree.get("server", tree))
    return Listed(found, reader.inputs, reader.problems)


class _Reader:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.inputs: dict[str, dict[str, Any]] = {}
        self.problems: list[Problem] = []

    def server(self, tree: dict[str, Any]) -> HostServer | None:
        name = str(tree["name"]).rpartition("/")[2]
        for kind in _REMOTES:
            for remote in _objects(tree.get("remotes")):
                if remote.get("type") == kind and remote.get("url"):
                    return self._remote(name, remote)
        packages = _objects(tree.get("packages"))
        for package in packages:
            transport = package.get("transport")
            local = not isinstance(transport, dict) or transport.get("type", "stdio") == "stdio"
            if local and str(package.get("registryType")) in _RUNNERS and isinstance(package.get("identifier"), str):
                return self._package(name, package)
        kinds = sorted({str(each.get("registryType")) for each in packages}) or ["none"]
        what = f"no remote address, and no package that can be started (found: {', '.join(kinds)})"
        fix = f"expected a remote, or a stdio package of {', '.join(_RUNNERS)}; others must be installed by hand"
        self.problems.append(Problem("packages", what, fix))
        return None

    def _remote(self, name: str, remote: dict[str, Any]) -> HostServer:
        headers = {}
        for header in _objects(remote.get("headers")):
            value = self._value(header, str(header.get("name")))
            if value is not None:
                headers[str(header.get("name"))] = value
        url = self._templated(str(remote["url"]), remote.get("variables"))
        return HostServer(name, url=url, kind=_REMOTES[remote["type"]], headers=headers)

    def _package(self, name: str, package: dict[str, Any]) -> HostServer:
        (program, *first), joint = _RUNNERS[package["registryType"]]
        hint = package.get("runtimeHint")
        if isinstance(hint, str) and hint and hint != program:
            program, first = hint, []
        env: dict[str, str] = {}
        env_from: list[str] = []
        for variable in _objects(package.get("environmentVariables")):
            key = str(variable.get("name"))
            if isinstance(variable.get("value"), str):
                env[key] = self._templated(variable["value"], variable.get("variables"))
            elif isinstance(variable.get("default"), str):
                env[key] = f"${{env:{key}:-{variable['default']}}}"
            elif variable.get("isRequired"):
                env[key] = f"${{env:{key}}}"
            else:
                env_from.append(key)
        runtime = self._arguments(package.get("runtimeArguments"))
        if package["registryType"] == "oci":  # a container sees none of our variables unless told their names
            runtime += [part for key in (*env, *env_from) for part in ("-e", key) if f"{key}=" not in " ".join(runtime)]
        image = package["identifier"]
        version = package.get("version")
        pinned = isinstance(version, str) and version and not ("@" in image[1:] or ":" in image.rpartition("/")[2])
        args = [
            *(each for each in first if each not in runtime),
            *runtime,
            f"{image}{joint}{version}" if pinned else image,
            *self._arguments(package.get("packageArguments")),
        ]
        return HostServer(name, program, tuple(args), env, kind="stdio", env_from=tuple(env_from))

    def _arguments(self, arguments: Any) -> list[str]:
        """Arguments as words. A named one is two words, as VS Code passes it; more programs take that than `--a=b`."""
        words: list[str] = []
        for argument in _objects(arguments):
            flag = str(argument.get("name") or "")
            if set(argument) <= {"type", "name", "isRequired"}:
                words += [flag] if flag else []  # nothing to ask for: a switch
                continue
            value = self._value(argument, str(argument.get("valueHint") or flag.lstrip("-") or "argument"))
            if value is not None:
                words += [flag, value] if argument.get("type") == "named" and flag else [value]
        return words

    def _value(self, given: dict[str, Any], name: str) -> str | None:
        """The text of an input: written there, asked for, or None where it may be left out."""
        if isinstance(given.get("value"), str):
            return self._templated(given["value"], given.get("variables"))
        default = given.get("default")
        asked = self.machine.variable(input_variable(name)) is not None
        if not (asked or given.get("isRequired") or isinstance(default, str) or given.get("valueHint")):
            return None
        return self._ask(name, given)

    def _ask(self, name: str, given: dict[str, Any]) -> str:
        default = given.get("default")
        self.inputs[name] = {"default": default} if isinstance(default, str) else {}
        return f"${{input:{name}}}"

    def _templated(self, text: str, variables: Any) -> str:
        """The text with each `{name}` that `variables` defines as its value, or as what will be asked for."""
        known = variables if isinstance(variables, dict) else {}

        def filled(found: re.Match[str]) -> str:
            given = known.get(found[1])
            if not isinstance(given, dict):
                return found[0]
            value = given.get("value")
            return value if isinstance(value, str) else self._ask(found[1], given)

        return _CURLY.sub(filled, text)


def _objects(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
