"""Hosts' files served as they are: sections of the configuration, with variables filled in, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broker.hosts.machine import Machine
from broker.hosts.serving import settings
from broker.settings import Settings, SettingsError

SECRET = "canary-77aa-secret"
ENVIRON = {"TOKEN": SECRET, "DRAGOMAN_INPUT_KEY": SECRET, "PASSED": "on"}


def served(path: Path, text: str, environ: dict[str, str] | None = None) -> tuple[Settings, list[str]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    machine = Machine("linux", "/srv/ada", ENVIRON if environ is None else environ, "/srv/ada/work")
    found, problems = settings(path, machine)
    return found, [problem.line("FILE") for problem in problems]


def refused(path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        served(path, text)
    return caught.value.problems


def test_a_host_s_servers_become_backends_at_paths_of_their_names(tmp_path: Path) -> None:
    found, problems = served(
        tmp_path / "mcp.json",
        """{"mcpServers": {
            "GitHub MCP": {"url": "https://a.example/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}},
            "github-mcp": {"command": "npx", "args": ["-y", "x", "${workspaceFolderBasename}"],
                           "env": {"KEY": "${env:TOKEN}"}, "cwd": "${userHome}"},
            "@example/é": {"url": "https://b.example/sse", "type": "sse"}
        }}""",
    )
    assert problems == []
    assert [found.path_of(name) for name in found.servers] == [
        "/servers/github-mcp/mcp",
        "/servers/github-mcp-2/mcp",
        "/servers/example/mcp",
    ]
    first, second, third = found.servers.values()
    assert (first.url, first.request_headers()) == ("https://a.example/mcp", {"Authorization": f"Bearer {SECRET}"})
    assert second.command == ("npx", "-y", "x", tmp_path.name)
    assert (second.environment(), str(second.cwd)) == ({"KEY": SECRET}, "/srv/ada")
    assert (first.transport, third.url, third.transport) == ("auto", "https://b.example/sse", "sse")
    assert SECRET not in repr(found)


def test_vs_code_s_inputs_are_answered_by_variables(tmp_path: Path) -> None:
    found, problems = served(
        tmp_path / ".vscode" / "mcp.json",
        """{"inputs": [{"id": "key", "type": "promptString", "password": true},
                       {"id": "region", "type": "pickString", "default": "eu"},
                       {"id": "none", "type": "promptString"}],
            "servers": {
              "a": {"type": "http", "url": "https://${input:region}.example/mcp",
                    "headers": {"X-Key": "${input:key}", "X-At": "${workspaceFolderBasename}"}},
              "b": {"type": "http", "url": "https://b.example/${input:none}"}}}""",
    )
    assert list(found.servers) == ["a"]
    assert found.servers["a"].url == "https://eu.example/mcp"
    # The folder an editor would have open is the one that holds `.vscode`.
    assert found.servers["a"].request_headers() == {"X-Key": SECRET, "X-At": tmp_path.name}
    assert problems == [
        "FILE: servers.b.url: the input 'none' has no value here — set DRAGOMAN_INPUT_NONE before you start the broker"
    ]


def test_codex_passes_variables_on_and_fills_none_in(tmp_path: Path) -> None:
    found, problems = served(
        tmp_path / "config.toml",
        """
        [mcp_servers.files]
        command = "sh"
        args = ["-c", "exec x ${TOKEN}"]
        env_vars = ["PASSED", "UNSET"]
        env = { MODE = "${TOKEN}" }
        [mcp_servers.remote]
        url = "https://a.example/mcp"
        bearer_token_env_var = "TOKEN"
        env_http_headers = { X-Mode = "PASSED" }
        [mcp_servers.broken]
        url = "https://a.example/mcp"
        bearer_token_env_var = "UNSET"
        """,
    )
    assert found.servers["files"].command == ("sh", "-c", "exec x ${TOKEN}")
    assert found.servers["files"].environment() == {"PASSED": "on", "MODE": "${TOKEN}"}
    assert found.servers["remote"].request_headers() == {"X-Mode": "on", "Authorization": f"Bearer {SECRET}"}
    assert [line.partition(" — ")[0] for line in problems] == [
        "FILE: mcp_servers.broken.headers.Authorization: the environment variable UNSET is not set"
    ]


def test_gemini_s_bare_variables_count_in_its_own_file_alone(tmp_path: Path) -> None:
    text = '{"mcpServers": {"a": {"command": "x", "args": ["$TOKEN"]}}}'
    assert served(tmp_path / ".gemini" / "settings.json", text)[0].servers["a"].command == ("x", SECRET)
    assert served(tmp_path / "mcp.json", text)[0].servers["a"].command == ("x", "$TOKEN")


def test_an_env_file_is_read_beside_the_file_that_names_it_and_is_weaker_than_env(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# mine\nA=1\nB='two ${A}'\nexport C=3\n", encoding="utf-8")
    text = '{"servers": {"a": {"type": "stdio", "command": "x", "envFile": "FILE", "env": {"C": "own"}}}}'
    for name in (".env", "${workspaceFolder}/.env"):
        found, _ = served(tmp_path / "mcp.json", text.replace("FILE", name))
        assert found.servers["a"].environment() == {"A": "1", "B": "two ${A}", "C": "own"}
    lines = refused(tmp_path / "mcp.json", text.replace("FILE", "none.env"))
    assert "servers.a.envFile: there is no file" in lines[0]


def test_a_registry_entry_is_served_as_it_is(tmp_path: Path) -> None:
    found, problems = served(
        tmp_path / "server.json",
        """{"name": "io.example/weather", "version": "1.0.0", "packages": [{
            "registryType": "npm", "identifier": "@example/weather", "version": "1.0.0",
            "transport": {"type": "stdio"},
            "environmentVariables": [{"name": "TOKEN", "isRequired": true}, {"name": "PASSED"}, {"name": "UNSET"}],
            "packageArguments": [{"type": "named", "name": "--key", "valueHint": "key", "isRequired": true}]}]}""",
    )
    assert problems == []
    assert found.servers["weather"].command == ("npx", "-y", "@example/weather@1.0.0", "--key", SECRET)
    assert found.servers["weather"].environment() == {"TOKEN": SECRET, "PASSED": "on"}


def test_one_wrong_server_costs_the_others_nothing(tmp_path: Path) -> None:
    found, problems = served(
        tmp_path / "mcp.json",
        """{"mcpServers": {
            "typo": {"comand": "x"},
            "unset": {"command": "x", "env": {"K": "${UNSET}"}},
            "nowhere": {"url": "ftp://a.example"},
            "own": {"url": "https://a.example/mcp", "headers": {"Host": "x"}},
            "off": {"command": "x", "disabled": true},
            "good": {"command": "x"}
        }}""",
    )
    assert list(found.servers) == ["good"]
    assert [line.partition(" — ")[0] for line in problems] == [
        "FILE: mcpServers.typo.comand: note: unknown key",
        "FILE: mcpServers.typo: neither a command nor a url",
        "FILE: mcpServers.unset.env.K: the environment variable UNSET is not set",
        "FILE: mcpServers.off: note: switched off in the file",
        "FILE: mcpServers.nowhere.url: expected an http:// or https:// URL",
        "FILE: mcpServers.own.headers: Host is written by the broker itself",
    ]
    assert all(" — " in line for line in problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"mcpServers": {"a": {"comand": "x"}}}', "mcpServers.a: neither a command nor a url"),
        ('{"mcpServers": {}}', "no server in it"),
        ('{"mcpServers": {"a" {}}}', "line 1, column 21: not valid JSON: expected :"),
        ("\n", "is empty — put servers into it"),
    ],
)
def test_a_file_of_which_nothing_can_be_served_is_refused_with_reasons(tmp_path: Path, text: str, said: str) -> None:
    lines = refused(tmp_path / "mcp.json", text)
    assert any(said in line and line.startswith(str(tmp_path)) for line in lines), lines


def test_secrets_are_not_in_what_is_said(tmp_path: Path) -> None:
    text: dict[str, Any] = {"a": f'{{"url": "ftp://{SECRET}"}}', "b": f'{{"command": 7, "env": {{"K": "{SECRET}"}}}}'}
    inner = ", ".join(f'"{name}": {entry}' for name, entry in text.items())
    assert SECRET not in "\n".join(refused(tmp_path / "mcp.json", f'{{"mcpServers": {{{inner}}}}}'))


def test_the_broker_s_own_configuration_is_read_as_ever(tmp_path: Path) -> None:
    found, problems = served(tmp_path / "dragoman.json", '{"$schema": "x", "servers": {"a": {"url": "http://a/mcp"}}}')
    assert (list(found.servers), problems) == (["a"], [])
    assert "hosts: unknown key" in refused(tmp_path / "dragoman.yaml", "hosts: x\nservers: {a: {url: 'http://a/'}}")[0]
