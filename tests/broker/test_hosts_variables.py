"""Variables in hosts' files, and registry entries, as the broker fills them in."""

from __future__ import annotations

from typing import Any

import pytest

from broker.hosts import registry
from broker.hosts.machine import Machine
from broker.hosts.variables import NoValue, Scope

ENVIRON = {"TOKEN": "t0k", "EMPTY": "", "NESTED": "${TOKEN}", "DRAGOMAN_INPUT_API_KEY": "asked", "Path": "p"}
LINUX = Machine("linux", "/srv/ada", ENVIRON, "/srv/ada/work")
WINDOWS = Machine("win32", r"C:\Users\Ada", ENVIRON, r"C:\work")
INPUTS: dict[str, dict[str, Any]] = {
    "api-key": {"type": "promptString", "password": True},
    "region": {"type": "pickString", "default": "eu"},
    "secret": {"type": "promptString", "password": True, "default": "shown"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a${TOKEN}b", "at0kb"),
        ("${env:TOKEN}", "t0k"),
        ("${TOKEN:-x}${NONE:-y}${env:NONE:-z}${EMPTY:-e}", "t0kyze"),
        ("${EMPTY}|${NONE:-}", "|"),
        ("${NESTED}", "${TOKEN}"),
        ("${input:api-key}/${input:region}", "asked/eu"),
        ("${{ secrets.TOKEN }}${{secrets.TOKEN}}", "t0kt0k"),
        ("Bearer {env:TOKEN}", "Bearer t0k"),
        ("${userHome}${/}${workspaceFolder}", "/srv/ada//srv/ada/work"),
        ("${workspaceFolderBasename}", "work"),
        ("$TOKEN ${not a name} ${1} {curly} $", "$TOKEN ${not a name} ${1} {curly} $"),
    ],
)
def test_a_variable_is_filled_in(text: str, expected: str) -> None:
    assert Scope(LINUX, INPUTS).fill(text, {}) == expected


def test_a_bare_dollar_counts_only_where_the_host_has_it() -> None:
    assert Scope(LINUX, dollar=True).fill("$TOKEN-${TOKEN}", {}) == "t0k-t0k"


def test_windows_has_its_own_separators_and_does_not_tell_case_apart() -> None:
    assert Scope(WINDOWS).fill("${userHome}${/}${PATH}${pathSeparator}", {}) == "C:\\Users\\Ada\\p\\"


def test_what_the_entry_s_own_variables_define_is_left_to_the_command() -> None:
    scope = Scope(LINUX)
    assert scope.fill("Authorization:${AUTH}", {"AUTH": "Bearer x"}) == "Authorization:${AUTH}"
    assert scope.fill("${TOKEN}", {"TOKEN": "own"}) == "t0k"
    with pytest.raises(NoValue):
        scope.fill("${env:AUTH}", {"AUTH": "Bearer x"})


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("${NONE}", "the environment variable NONE is not set", "set NONE before"),
        ("${env:NONE}", "the environment variable NONE is not set", "set NONE before"),
        ("${{ secrets.NONE }}", "the environment variable NONE is not set", "set NONE before"),
        ("${input:other}", "the input 'other' is not defined", "set DRAGOMAN_INPUT_OTHER"),
        ("${input:secret}", "the input 'secret' has no value here", "set DRAGOMAN_INPUT_SECRET"),
        ("${command:pick}", "only the editor knows ${command:pick}", "write the value"),
        ("${config:a.b}", "only the editor knows ${config:a.b}", "write the value"),
    ],
)
def test_a_variable_without_a_value_says_what_to_set(text: str, what: str, fix: str) -> None:
    with pytest.raises(NoValue) as caught:
        Scope(LINUX, INPUTS).fill(text, {})
    assert what in caught.value.what
    assert fix in caught.value.fix


PACKAGE: dict[str, Any] = {
    "registryType": "npm",
    "identifier": "@example/server",
    "version": "1.2.3",
    "transport": {"type": "stdio"},
    "runtimeArguments": [{"type": "named", "name": "--quiet"}],
    "packageArguments": [
        {"type": "positional", "valueHint": "folder", "isRequired": True},
        {"type": "named", "name": "--mode", "value": "{level}", "variables": {"level": {"default": "low"}}},
        {"type": "named", "name": "--optional", "description": "left out"},
    ],
    "environmentVariables": [
        {"name": "KEY", "isRequired": True, "isSecret": True},
        {"name": "REGION", "default": "eu"},
        {"name": "EXTRA"},
        {"name": "FIXED", "value": "x"},
    ],
}


def test_a_registry_package_becomes_a_command() -> None:
    found = registry.read({"name": "io.example/files", "packages": [PACKAGE]}, LINUX)
    server = found.server
    assert server is not None
    assert (server.name, server.kind, server.command) == ("files", "stdio", "npx")
    assert server.args == (
        *("-y", "--quiet", "@example/server@1.2.3", "${input:folder}"),
        *("--mode", "${input:level}"),
    )
    assert server.env == {"KEY": "${env:KEY}", "REGION": "${env:REGION:-eu}", "FIXED": "x"}
    assert server.env_from == ("EXTRA",)
    assert found.inputs == {"folder": {}, "level": {"default": "low"}}


@pytest.mark.parametrize(
    ("changed", "command", "args"),
    [
        ({"registryType": "pypi", "identifier": "example"}, "uvx", ["example@1.2.3"]),
        ({"registryType": "nuget", "identifier": "Example"}, "dnx", ["--yes", "Example@1.2.3"]),
        (
            {"registryType": "oci", "identifier": "e.io/x"},
            "docker",
            ["run", "-i", "--rm", "e.io/x:1.2.3"],
        ),
        (
            {
                "registryType": "oci",
                "identifier": "e/x:1",
                "environmentVariables": [{"name": "KEY", "isRequired": True}],
            },
            "docker",
            ["run", "-i", "--rm", "-e", "KEY", "e/x:1"],
        ),
        (
            {"registryType": "npm", "identifier": "@e/x", "runtimeHint": "bunx"},
            "bunx",
            ["@e/x@1.2.3"],
        ),
    ],
)
def test_each_kind_of_package_has_its_runner(changed: dict[str, Any], command: str, args: list[str]) -> None:
    package = {"version": "1.2.3", "transport": {"type": "stdio"}, **changed}
    server = registry.read({"name": "io.example/x", "packages": [package]}, LINUX).server
    assert server is not None
    assert (server.command, list(server.args)) == (command, args)


def test_a_remote_comes_before_a_package_and_http_before_sse() -> None:
    remotes = [
        {"type": "sse", "url": "https://e.example/sse"},
        {
            "type": "streamable-http",
            "url": "https://{region}.e.example/mcp",
            "variables": {"region": {"default": "eu"}},
            "headers": [
                {"name": "Authorization", "value": "Bearer {token}", "variables": {"token": {"isRequired": True}}},
                {"name": "X-Optional"},
                {"name": "X-Required", "isRequired": True},
            ],
        },
    ]
    tree = {"server": {"name": "io.example/x", "remotes": remotes, "packages": [PACKAGE]}, "_meta": {}}
    found = registry.read(tree, LINUX)
    assert found.server is not None
    assert (found.server.kind, found.server.url) == ("http", "https://${input:region}.e.example/mcp")
    assert found.server.headers == {"Authorization": "Bearer ${input:token}", "X-Required": "${input:X-Required}"}


def test_a_registry_entry_nothing_can_be_started_of_says_so() -> None:
    packages = [
        {"registryType": "mcpb", "identifier": "x.mcpb", "transport": {"type": "stdio"}},
        {"registryType": "npm", "identifier": "x", "transport": {"type": "streamable-http", "url": "http://x"}},
    ]
    found = registry.read({"name": "io.example/x", "packages": packages}, LINUX)
    assert found.server is None
    assert [problem.path for problem in found.problems] == ["packages"]
    assert "mcpb, npm" in found.problems[0].what
