"""The commands about files, as people type them: what they print, write and end with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from broker.cli import cli
from broker.settings import Settings
from broker.starter import SCHEMA, STARTER, generated, published

SECRET = "canary-30ce-secret"
SERVERS = {
    "files": {"command": "npx", "args": ["-y", "fs"], "env": {"TOKEN": SECRET}},
    "remote": {"url": "https://mcp.example.com/mcp", "headers": {"Authorization": f"Bearer {SECRET}"}},
}
WAIT_S = 20

Dragoman = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's folder with a configuration of Cursor, and nothing else of this machine's."""
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": SERVERS}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def dragoman(home: Path) -> Dragoman:
    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, list(arguments), prog_name="dragoman")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_connect_without_a_host_lists_what_is_found(dragoman: Dragoman, home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text("[", encoding="utf-8")
    (home / "work" / ".vscode").mkdir()
    (home / "work" / ".vscode" / "mcp.json").write_text('{"servers": {}}', encoding="utf-8")
    dragoman("connect", "cursor", "--server", "files")
    lines = dict(line.split(maxsplit=1) for line in dragoman("connect").output.splitlines()[1:] if line)
    assert lines["cursor"] == f"{home}/.cursor/mcp.json: 2 servers, 1 through the broker"
    assert lines["codex"].startswith(f"{home}/.codex/config.toml: ")
    assert lines["codex"].count("not valid TOML") == 1
    assert lines["vscode"].endswith(".vscode/mcp.json: 0 servers, 0 through the broker")
    assert lines["zed"] == "not found"


def test_connect_and_disconnect_a_host_by_name(dragoman: Dragoman, home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    before = path.read_bytes()
    shown = dragoman("connect", "cursor", "--dry-run", "--command", "uvx 'dragoman'")
    assert (shown.exit_code, path.read_bytes()) == (0, before)
    assert '+{"mcpServers": {"files": {"command": "uvx", "args": ["dragoman", "stdio", "--", "npx"' in shown.output
    assert "2 servers would be connected: files, remote" in shown.output
    done = dragoman("connect", "cursor")
    assert (done.exit_code, path.read_bytes() != before) == (0, True)
    assert f"backup: {path}.dragoman-backup" in done.output
    assert "through the broker already: files, remote" in dragoman("connect", "cursor").output
    undone = dragoman("disconnect", "cursor")
    assert (undone.exit_code, path.read_bytes()) == (0, before)
    assert "byte for byte" in undone.output
    assert "no server goes through the broker" in dragoman("disconnect", "cursor").output
    assert SECRET not in shown.output + done.output + undone.output


def test_disconnect_shows_what_else_differs_without_secrets(dragoman: Dragoman, home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    dragoman("connect", "cursor")
    tree = json.loads(path.read_text(encoding="utf-8"))
    tree["mcpServers"]["new"] = {"command": "uvx", "env": {"K": f"{SECRET}-2"}}
    path.write_text(json.dumps(tree), encoding="utf-8")
    done = dragoman("disconnect", "cursor")
    assert done.exit_code == 0
    assert json.loads(path.read_text(encoding="utf-8"))["mcpServers"] == {**SERVERS, "new": tree["mcpServers"]["new"]}
    assert "2 servers disconnected: files, remote" in done.output
    assert '"new": {"command": "uvx"' in done.output
    assert f"the file as it was before: {path}.dragoman-backup" in done.output
    assert SECRET not in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("connect", "nobody"), 2, "'nobody' is no known host; expected one of claude-desktop, "),
        (("connect", "cursor", "--server", "none"), 2, "--server: there is no none in "),
        (("connect", "cursor", "--command", ""), 2, "--command: expected what starts the broker"),
        (("connect", "cursor", "--command", "a 'b"), 2, "--command: "),
        (("connect", "zed"), 3, "Zed has no configuration here; looked at "),
        (("connect", "--file", "none.json"), 3, "none.json: there is no such file — check the path"),
        (("connect", "--file", "."), 3, "expected one of .json"),
        (("disconnect",), 2, "name a HOST, or a file with --file"),
        (("disconnect", "--file", "none.json"), 3, "none.json: there is no such file"),
        (("validate",), 2, "Missing argument"),
        (("validate", "none.yaml"), 3, "none.yaml: cannot be read"),
    ],
)
def test_each_mistake_has_its_exit_code_and_says_what_to_do(
    dragoman: Dragoman, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = dragoman(*arguments)
    assert (done.exit_code, said in done.output) == (code, True), done.output


def test_a_project_s_file_is_offered_where_the_person_has_none(dragoman: Dragoman, home: Path) -> None:
    (home / "work" / ".vscode").mkdir()
    (home / "work" / ".vscode" / "mcp.json").write_text("{}", encoding="utf-8")
    assert "--file .vscode/mcp.json" in dragoman("connect", "vscode").output


def test_a_wrong_server_is_said_and_the_others_are_connected(dragoman: Dragoman, home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"bad": {"comand": "x"}, **SERVERS}}), encoding="utf-8")
    done = dragoman("connect", "cursor")
    assert done.exit_code == 3
    assert f"{path}: mcpServers.bad: neither a command nor a url — rename comand" in done.output
    assert "2 servers connected: files, remote" in done.output
    # Asked for one server, it looks at that one.
    assert dragoman("connect", "cursor", "--server", "files").exit_code == 0


def test_validate_names_file_key_and_fix_of_every_problem(dragoman: Dragoman, home: Path) -> None:
    good, bad = home / "good.json", home / "bad.json"
    good.write_text('{"mcpServers": {"a": {"url": "https://a.example/mcp", "colour": 1}}}', encoding="utf-8")
    bad.write_text('{"mcpServers": {"a": {"url": "https://a.example/mcp"}, "b": {"url": 7}}}', encoding="utf-8")
    own = home / "dragoman.yaml"
    own.write_text("servers: {a: {url: 'http://127.0.0.1:1/mcp', revison: auto}}", encoding="utf-8")
    done = dragoman("validate", str(good))
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"{good}: mcpServers.a.colour: note: unknown key — it is the host's business; the broker does not use it",
        f"{good}: valid, 1 server",
    ]
    assert dragoman("validate", "--strict", str(good)).exit_code == 3
    done = dragoman("validate", str(good), str(bad), str(own))
    assert done.exit_code == 3
    assert f"{bad}: mcpServers.b.url: expected text — put it in quotes" in done.output
    assert f"{bad}: usable in part, 1 server" in done.output
    assert f"{own}: servers.a.revison: unknown key — did you mean revision?" in done.output


def test_serve_checks_a_host_s_file_and_says_what_is_left_out(dragoman: Dragoman, home: Path) -> None:
    path = home / ".cursor" / "mcp.json"
    done = dragoman("serve", str(path), "--check")
    assert (done.exit_code, done.output) == (0, f"{path}: valid, 2 servers\n")
    path.write_text(json.dumps({"mcpServers": {"bad": {}, **SERVERS}}), encoding="utf-8")
    done = dragoman("serve", str(path), "--check")
    assert done.exit_code == 3
    assert f"dragoman: {path}: mcpServers.bad: neither a command nor a url" in done.output


def test_init_writes_a_configuration_that_is_valid_and_its_schema_beside_it(dragoman: Dragoman, home: Path) -> None:
    done = dragoman("init")
    path = home / "work" / "dragoman.yaml"
    assert done.exit_code == 0
    assert path.read_text(encoding="utf-8") == STARTER
    first = STARTER.splitlines()[0]
    assert first == f"# yaml-language-server: $schema=./{SCHEMA}"
    assert json.loads((path.parent / SCHEMA).read_text(encoding="utf-8")) == json.loads(published())
    assert list(Settings.load(path).servers) == ["example"]
    assert dragoman("validate", "dragoman.yaml").exit_code == 0
    again = dragoman("init")
    assert (again.exit_code, path.read_text(encoding="utf-8")) == (3, STARTER)
    assert "dragoman.yaml: File exists" in again.output
    # Another configuration in the folder finds the schema there.
    assert dragoman("init", "other.yaml").exit_code == 0


def test_init_does_not_write_over_somebody_else_s_schema(dragoman: Dragoman, home: Path) -> None:
    (home / "work" / SCHEMA).write_text('{"title": "mine"}', encoding="utf-8")
    done = dragoman("init")
    assert done.exit_code == 3
    assert "is not the broker's schema" in done.output
    assert [each.name for each in (home / "work").iterdir()] == [SCHEMA]
    assert dragoman("init", "none/dragoman.yaml").exit_code == 3


def test_every_commented_line_of_the_starter_is_valid_once_it_is_uncommented(tmp_path: Path) -> None:
    # A comment that holds a key, or a continuation of one, is configuration; others are prose.
    text = re.sub(r"^( *)# (?=[a-z_]+:|  )", r"\1", STARTER, flags=re.MULTILINE).replace("yaml-language-server:", "#")
    tree = yaml.safe_load(text)
    assert {"keys", "limits", "log"} <= set(tree)
    assert {"revision", "headers", "filter"} <= set(tree["servers"]["example"])
    tree["servers"]["example"]["headers"] = {"Authorization": "Bearer x"}
    assert Settings.build(tree).servers["example"].revision == "2025-06-18"
    jsonschema.validate(tree, json.loads(published()))


def test_the_schema_accepts_what_the_settings_accept_and_refuses_unknown_keys() -> None:
    schema = json.loads(published())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    good = {"$schema": "x", "servers": {"a": {"url": "http://a/mcp", "filter": {"tools": {"deny": ["x"]}}}}}
    assert check.is_valid(good)
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"servers": {}},
        {"servers": {"A b": {"url": "http://a/mcp"}}},
        {"servers": {"a": {"url": "http://a/mcp", "revison": "auto"}}},
        {"servers": {"a": {"url": "http://a/mcp"}}, "port": 70000},
        {"servers": {"a": {"url": "http://a/mcp"}}, "single": True},
        {"servers": {"a": {"url": "http://a/mcp"}}, "limits": {"depth": 0}},
    )
    for bad in wrong:
        assert not check.is_valid(bad), bad


def test_the_schema_command_prints_it() -> None:
    line = [sys.executable, "-m", "broker", "schema"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=WAIT_S, check=True)
    assert done.stdout == generated()
    assert json.loads(done.stdout)["title"] == "Dragoman configuration"
