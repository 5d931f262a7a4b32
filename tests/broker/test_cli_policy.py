"""`dragoman policy test` and `dragoman policy explain`: what the rules say, and what the exit code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from broker.cli import cli
from broker.settings import Settings
from tests.broker.test_check import DEAD, pipe
from tests.broker.test_readme import blocks

Json = dict[str, Any]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "dragoman.yaml"
    file.write_text(next(block for block in blocks("yaml") if block.startswith("policy:")), encoding="utf-8")
    return file


def run(*line: object) -> Result:
    return CliRunner().invoke(cli, ["policy", *map(str, line)])


def checked(config: Path, *cases: Json, line: tuple[str, ...] = ()) -> Result:
    file = config.parent / "cases.json"
    file.write_text(json.dumps({"config": config.name, "cases": cases}), encoding="utf-8")
    return run("test", file, *line)


STAFF: Json = {"server": "files", "principal": "token:ann", "claims": {"groups": ["staff"]}, "scopes": ["read"]}


def test_the_cases_of_the_readme_are_as_it_says(config: Path) -> None:
    cases = config.parent / "cases.yaml"
    cases.write_text(next(block for block in blocks("yaml") if "cases.yaml" in block), encoding="utf-8")
    result = run("test", cases, "--config", config)
    assert result.exit_code == 0, result.output
    assert result.output.endswith("2 cases, 0 not as expected\n")


@pytest.mark.parametrize(
    "case",
    [
        {**STAFF, "tool": "read_file", "arguments": {"path": "/srv/a"}, "rule": "staff", "listed": True},
        {**STAFF, "tool": "read_file", "arguments": {"path": "/etc"}, "expect": "deny", "rule": "own-folder"},
        {**STAFF, "tool": "read_file", "expect": "deny", "rule": "own-folder", "listed": True},
        {**STAFF, "tool": "delete_all", "expect": "deny", "rule": "no-deletes", "listed": False},
        {**STAFF, "tool": "delete_all", "scopes": ["admin"], "rule": "staff"},
        {
            **STAFF,
            "claims": {},
            "tool": "read_file",
            "arguments": {"path": "/srv"},
            "expect": "deny",
            "rule": "default",
        },
        {**STAFF, "prompt": "a"},
        {**STAFF, "resource": "file:///a"},
        {**STAFF, "resource": "file:///a", "method": "resources/subscribe"},
        {**STAFF, "template": "file:///{a}"},
        {**STAFF, "prompt": "a", "method": "completion/complete"},
        {**STAFF, "claims": {}, "template": "file:///{a}", "expect": "deny", "rule": "default", "listed": False},
        {**STAFF, "claims": {}, "method": "logging/setLevel", "expect": "deny", "rule": "default"},
        {**STAFF, "claims": {}, "method": "tools/list"},
    ],
)
def test_a_case_meets_what_a_client_would_meet(config: Path, case: Json) -> None:
    result = checked(config, case)
    assert (result.exit_code, result.output[:2]) == (0, "ok"), result.output


def test_what_is_not_as_expected_is_shown_with_what_each_rule_says(config: Path) -> None:
    good = {**STAFF, "prompt": "a"}
    wrong = {**STAFF, "tool": "delete_all", "rule": "staff", "listed": True}
    result = checked(config, good, wrong, line=("--quiet",))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"FAIL  {config.parent / 'cases.json'}: cases.1: files, token:ann, tool delete_all",
        "      expected  allow by staff",
        "      found     deny by no-deletes (policy:no-deletes)",
        "      expected  in lists",
        "      found     not in lists",
        "      deny  no-deletes  true",
        "      allow staff       true",
        "      deny  own-folder  false",
        "2 cases, 1 not as expected",
    ]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"server": "nowhere", "tool": "a"}, "cases.0: there is no server nowhere; expected one of files"),
        ({"server": "files"}, "cases.0: expected one of tool, prompt, resource and template, or a method"),
        ({"server": "files", "tool": "a", "prompt": "b"}, "cases.0: expected one of"),
        ({"server": "files", "tol": "a"}, "cases.0.tol: unknown key"),
        ({"server": "files", "tool": "a", "expect": "maybe"}, "cases.0.expect: expected"),
    ],
)
def test_a_case_that_cannot_be_read_is_refused_in_its_place(config: Path, case: Json, said: str) -> None:
    result = checked(config, case)
    assert result.exit_code != 0
    assert said in str(result.exception)


def test_cases_need_a_configuration(config: Path) -> None:
    file = config.parent / "cases.json"
    file.write_text(json.dumps({"cases": [{**STAFF, "prompt": "a"}]}), encoding="utf-8")
    assert run("test", file).exit_code == 2
    config.write_text(config.read_text(encoding="utf-8").replace("kind ==", "knd =="), encoding="utf-8")
    result = run("test", file, "--config", config)
    assert result.exit_code != 0
    assert "policy.rules.0: rule no-deletes: deny: line 1, column 1" in str(result.exception)


def test_an_explanation_names_the_rule_and_what_each_says(config: Path) -> None:
    line = ("explain", config, "--server", "files", "--principal", "key:bob", "--tool", "read_file")
    result = run(*line, "--arguments", '{"path": 7}', "--claims", '{"groups": ["staff"]}')
    assert result.exit_code == 0
    assert result.output.splitlines()[:4] == [
        "files, key:bob, tool read_file: denied by own-folder",
        "  in lists     yes",
        "  in reports   policy-error:own-folder",
        "  the client   -32603 The request was refused by policy",
    ]
    assert "deny  own-folder  error: " in result.output
    got = json.loads(run(*line, "--json").output)
    assert (got["allowed"], got["listed"], got["rule"]) == (False, False, "default")
    assert [rule["value"] for rule in got["rules"]] == [False, False, got["rules"][2]["value"]]


@pytest.mark.parametrize("text", ["[]", "{", '{"a":1,"a":2}'])
def test_an_explanation_takes_objects_alone(config: Path, text: str) -> None:
    assert run("explain", config, "--server", "files", "--tool", "a", "--arguments", text).exit_code == 2


def test_what_is_printed_to_be_pinned_is_a_configuration_and_a_dead_server_is_named(tmp_path: Path) -> None:
    servers = {"a": pipe(tmp_path), "b": pipe(tmp_path, "modern"), "dead": DEAD}
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"servers": servers}), encoding="utf-8")
    result = run("pin", file)
    assert result.exit_code == 1
    assert "dragoman: dead: the server cannot be reached" in result.stderr
    found = yaml.safe_load(result.stdout)["servers"]
    assert list(found) == ["a", "b"]
    for name, members in found.items():
        section = Settings.build({"servers": {name: {**servers[name], **members}}}).servers[name].definitions
        assert (section.changed, list(section.pinned)) == ("hold", ["add"])
    assert run("pin", file, "--server", "a").exit_code == 0
