"""Variables of hosts' files, filled in where the broker serves such a file itself.

`${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${input:id}` of VS Code, `${{ secrets.NAME }}` of Continue, `{env:NAME}`
of OpenCode, `$NAME` of Gemini CLI, and the folders that editors offer. What is filled in is not read again. A `${NAME}`
that the entry's own `env` defines is left for the command, which several popular ones fill in themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from broker.hosts.machine import Machine

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BRACES = re.compile(r"\$\{\{\s*secrets\.(?P<secret>[A-Za-z_][A-Za-z0-9_]*)\s*\}\}|\$\{(?P<inner>[^{}]*)\}")
_OPENCODE = re.compile(rf"\{{env:(?P<secret>{_NAME})\}}")
_DOLLAR = re.compile(rf"\$(?P<secret>{_NAME})")
_ENV = re.compile(rf"(?:env:)?(?P<name>{_NAME})(?::-(?P<default>.*))?", re.DOTALL)


class NoValue(ValueError):  # noqa: N818 (an outcome, named as the caller reads it)
    """A variable without a value: `what` it is and how to `fix` it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


class Scope(msgspec.Struct, frozen=True):
    """What variables mean in one file. `inputs` are VS Code's definitions by id, `workspace` the folder an editor would
    have open, `dollar` whether `$NAME` counts."""

    machine: Machine
    inputs: Mapping[str, Mapping[str, Any]] = {}
    workspace: str = ""
    dollar: bool = False

    def fill(self, text: str, own: Mapping[str, str]) -> str:
        """The text with its variables filled in; `own` is the entry's `env`.

        Raises:
            NoValue: a variable has no value.
        """
        pieces: list[str] = []
        at = 0
        for found in _both(text, dollar=self.dollar):
            pieces += [text[at : found.start()], self._value(found, own)]
            at = found.end()
        return "".join([*pieces, text[at:]])

    def variable(self, name: str) -> str:
        """A variable of the environment.

        Raises:
            NoValue: it is not set.
        """
        value = self.machine.variable(name)
        if value is None:
            raise NoValue(f"the environment variable {name} is not set", f"set {name} before you start the broker")
        return value

    def _value(self, found: re.Match[str], own: Mapping[str, str]) -> str:
        groups = found.groupdict()
        if groups.get("secret"):
            return self.variable(groups["secret"])
        inner = groups["inner"]
        if inner.startswith("input:"):
            return self._input(inner.removeprefix("input:"))
        known = self._place(inner)
        if known is not None:
            return known
        if inner.partition(":")[0] in ("command", "config"):
            raise NoValue(f"only the editor knows ${{{inner}}}", "write the value instead")
        env = _ENV.fullmatch(inner)
        if env is None:
            return found[0]
        value = self.machine.variable(env["name"])
        if value or (value is not None and env["default"] is None):
            return value
        if env["default"] is not None:
            return env["default"]
        if env["name"] in own and not inner.startswith("env:"):
            return found[0]
        return self.variable(env["name"])

    def _input(self, name: str) -> str:
        variable = input_variable(name)
        value = self.machine.variable(variable)
        if value is not None:
            return value
        definition = self.inputs.get(name)
        if definition is None:
            raise NoValue(f"the input {name!r} is not defined", f"define it under `inputs`, or set {variable}")
        default = definition.get("default")
        if isinstance(default, str) and not definition.get("password"):
            return default
        raise NoValue(f"the input {name!r} has no value here", f"set {variable} before you start the broker")

    def _place(self, name: str) -> str | None:
        workspace: PurePath = self.machine.path(self.workspace or self.machine.folder)
        match name:
            case "workspaceFolder" | "workspaceRoot" | "cwd":
                return str(workspace)
            case "workspaceFolderBasename":
                return workspace.name
            case "userHome":
                return self.machine.home
            case "pathSeparator" | "/":
                return "\\" if self.machine.windows else "/"
        return None


def input_variable(name: str) -> str:
    """The environment variable that answers a question the editor would ask: `DRAGOMAN_INPUT_API_KEY` for `api-key`."""
    return "DRAGOMAN_INPUT_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _both(text: str, *, dollar: bool) -> list[re.Match[str]]:
    """Every variable in a text, in order, none inside another."""
    patterns = [_BRACES, _OPENCODE, *([_DOLLAR] if dollar else [])]
    found = sorted((match for pattern in patterns for match in pattern.finditer(text)), key=lambda match: match.start())
    kept: list[re.Match[str]] = []
    for match in found:
        if not kept or match.start() >= kept[-1].end():
            kept.append(match)
    return kept
