"""`dragoman proxy --config`: the sections of a file for the server that the command line names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from broker.cli_proxy import proxy as proxy_command
from broker.cli_proxy import settings_of
from broker.cli_stdio import target_of
from broker.settings import Settings
from broker.settings_file import SettingsError
from tests.broker.rules_world import section

URL = "http://127.0.0.1:3000/mcp"


class Proxy:
    """What the command would serve, by its file and its line."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "dragoman.yaml"

    def __call__(self, tree: Any, *line: str) -> Settings:
        self.file.write_text(yaml.safe_dump(tree), encoding="utf-8")
        with proxy_command.make_context("proxy", ["--config", str(self.file), *line]) as context:
            given = dict(context.params)
            return settings_of(target_of(given.pop("target")), given)


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    return Proxy(tmp_path)


def test_the_file_holds_and_what_the_line_says_comes_before_it(proxy: Proxy) -> None:
    tree = {
        "port": 9000,
        "policy": section("deny name == 'x'"),
        "log": {"level": "error"},
        "client_revisions": ["2025-06-18"],
    }
    found = proxy(tree, URL)
    assert (found.port, found.log.level, found.revisions) == (9000, "error", ("2025-06-18",))
    assert found.path_of("default") == "/mcp"
    assert found.servers["default"].url == URL
    assert [rule.name for rule in found.policy.rules] == ["r1"]
    found = proxy(tree, "--port", "8808", "--client-revisions", "all", "--log-level", "debug", "--tool-deny", "a*", URL)
    assert (found.port, found.log.level, len(found.revisions)) == (8808, "debug", 5)
    assert found.servers["default"].filter.tools.deny == ("a*",)


def test_it_takes_the_place_of_a_server_of_the_file(proxy: Proxy) -> None:
    tree = {"servers": {"crm": {"command": ["x"], "env": {"A": "b"}, "policy": section("deny name == 'x'")}}}
    backend = proxy(tree, "--server", "crm", URL).servers["crm"]
    assert (backend.url, backend.command, backend.env) == (URL, (), {})
    assert len(backend.policy.rules) == 1
    assert proxy(tree, "--server", "crm", "--", "program").servers["crm"].inherit_env


def test_what_cannot_be_is_refused(proxy: Proxy) -> None:
    with pytest.raises(SettingsError, match="polcy: unknown key"):
        proxy({"polcy": {}}, URL)
    with pytest.raises(SettingsError, match="there is no server crm"):
        proxy({}, "--server", "crm", URL)
    assert CliRunner().invoke(proxy_command, ["--server", "crm", URL]).exit_code == 2
