"""`dragoman stdio --config`: what of a file holds on a pipe, for which server, and who the caller is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker import telemetry
from broker.entry import plain
from broker.settings_file import SettingsError
from broker.stdio_command import DEFAULTS, WrongLineError
from broker.stdio_configured import Configured, configured_of
from broker.wheel import Wheel
from tests.broker.http1_world import within
from tests.broker.modern_world import envelope
from tests.broker.pipe_world import SERVER
from tests.broker.policy_pipes_world import PipeClient
from tests.broker.policy_world import SHAS
from tests.broker.rules_world import section

URL = "https://mcp.example.com/mcp"
COMMAND = (sys.executable, SERVER)
WAIT_S = 30


def written(folder: Path, tree: Any) -> str:
    path = folder / "dragoman.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return str(path)


def made(folder: Path, tree: Any, target: str | tuple[str, ...] | None = COMMAND, **given: Any) -> Configured:
    """What a command line with this file serves."""
    return configured_of(target, {**DEFAULTS, "config": written(folder, tree), **given})


@asynccontextmanager
async def served(folder: Path, tree: Any, revision: str = "2025-11-25", **given: Any) -> AsyncIterator[PipeClient]:
    """A client of a broker with this file, before the command."""
    plan = made(folder, tree, **given)
    client = PipeClient(plan.build(Wheel()), revision)
    try:
        await client.open()
        yield client
    finally:
        client.face.close()
        await within(client.served.close())


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


# ---- which server, and what of it ------------------------------------------------------------------------------------


def test_a_server_of_the_command_line_is_the_default_one_of_a_file_without_servers(tmp_path: Path) -> None:
    found = made(tmp_path, {"policy": section("deny name == 'x'")})
    assert (found.name, found.settings.servers["default"].command[1:]) == ("default", COMMAND[1:])
    assert found.settings.servers["default"].inherit_env
    assert [rule.name for rule in found.settings.policy.rules] == ["r1"]


def test_it_takes_the_place_of_a_named_one_and_keeps_its_rules(tmp_path: Path) -> None:
    crm = {
        "url": URL,
        "headers": {"Authorization": "Bearer its own"},
        "inject": [{"argument": "tenant", "value": "a"}],
        "filter": {"tools": {"deny": ["a*"]}},
    }
    found = made(tmp_path, {"servers": {"crm": crm, "other": {"url": URL}}}, server="crm", tool_deny=("b*",))
    backend = found.settings.servers["crm"]
    assert (found.name, backend.url, backend.command[1:]) == ("crm", "", COMMAND[1:])
    assert backend.filter.tools.deny == ("a*", "b*")
    assert len(backend.inject) == 1
    assert list(found.settings.servers) == ["crm"]
    elsewhere = made(tmp_path, {"servers": {"crm": crm}}, "https://elsewhere.example.com/mcp", server="crm")
    assert elsewhere.settings.servers["crm"].request_headers() == {}


def test_without_one_the_only_server_of_the_file_or_the_named_one_is_served(tmp_path: Path) -> None:
    two = {"servers": {"a": {"url": URL}, "b": {"command": ["x"], "env": {"TOKEN": "env:NOT_SET_ANYWHERE"}}}}
    assert made(tmp_path, {"servers": {"a": {"url": URL}}}, None).name == "a"
    assert made(tmp_path, two, None, server="a").settings.servers["a"].url == URL
    with pytest.raises(SettingsError, match="which server"):
        made(tmp_path, two, None)
    with pytest.raises(SettingsError, match="expected one of a, b"):
        made(tmp_path, two, None, server="c")
    with pytest.raises(SettingsError, match="the file has no servers"):
        made(tmp_path, {}, server="c")


def test_what_a_file_says_of_http_is_not_read(tmp_path: Path) -> None:
    tree = {"host": "0.0.0.0", "tls": {"certificate": "nowhere.pem"}, "status": {"port": 1}, "public_url": "nonsense"}
    assert made(tmp_path, tree).settings.local


def test_unknown_keys_and_rules_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    for tree, said in (
        ({"polcy": {}}, "polcy: unknown key"),
        ({"policy": section("deny nmae == 'x'")}, "rule r1"),
        ({"servers": []}, "servers: expected a mapping"),
        ({"single": True}, "single: unknown key"),
        ({"pipe": {"key": "ann"}}, "pipe.key: expected a name of `keys`"),
        ({"pipe": {"key": "ann", "scopes": ["a"]}, "keys": SHAS}, "for a caller without `key`"),
    ):
        with pytest.raises(SettingsError, match=said):
            made(tmp_path, tree)


def test_the_command_line_adds_to_what_is_hidden_and_never_shows_more(tmp_path: Path) -> None:
    tree = {"servers": {"default": {"filter": {"tools": {"allow": ["a*"]}}}}}
    assert made(tmp_path, tree, tool_deny=("ab",)).settings.servers["default"].filter.tools.deny == ("ab",)
    with pytest.raises(SettingsError, match="can only deny more"):
        made(tmp_path, tree, tool_allow=("b*",))


def test_rates_and_files_of_the_command_line_are_added_to_the_file(tmp_path: Path) -> None:
    tree = {
        "quotas": {"rules": [{"name": "slow", "rate": "1/hour"}]},
        "audit": {"file": {"path": "a.jsonl", "keep": 3}},
    }
    found = made(tmp_path, tree, rate=("5/second",), audit="b.jsonl").settings
    assert [rule.rate for rule in found.quotas.rules] == ["1/hour", "5/second"]
    assert found.audit is not None
    assert found.audit.file is not None
    assert (str(found.audit.file.path), found.audit.file.keep) == ("b.jsonl", 3)


@pytest.mark.parametrize(
    ("tree", "given", "level"),
    [
        ({}, {}, "warning"),
        ({"log": {"format": "json"}}, {}, "warning"),
        ({"log": {"level": "debug"}}, {}, "debug"),
        ({"log": {"level": "debug"}}, {"log_level": "error"}, "error"),
    ],
)
async def test_a_host_is_shown_no_more_of_the_log_than_was_asked_for(
    tmp_path: Path, tree: Any, given: Any, level: str
) -> None:
    told = telemetry._state.format, telemetry._state.level
    try:
        await made(tmp_path, tree, **given).build(Wheel()).close()
        assert telemetry._state.level == telemetry._LEVELS[level]
    finally:
        telemetry._state.format, telemetry._state.level = told


def test_at_a_url_a_person_signs_in_unless_the_file_or_the_line_says_how_else(tmp_path: Path) -> None:
    assert made(tmp_path, {}, URL).sign_in is not None
    assert made(tmp_path, {}, URL, sign_in="never").sign_in is None
    assert made(tmp_path, {}, URL, header=("Authorization=x",)).sign_in is None
    assert made(tmp_path, {"keys": SHAS, "pipe": {"key": "ann"}}, URL).sign_in is not None
    assert made(tmp_path, {}).sign_in is None


def test_a_line_that_names_a_server_names_a_file() -> None:
    from broker.stdio_command import options_of

    for target, given in ((COMMAND, {"server": "a"}), (None, {})):
        with pytest.raises(WrongLineError):
            options_of(target, {**DEFAULTS, **given})
    assert plain(["--config", "f.yaml"]) == ((), {**DEFAULTS, "config": "f.yaml"})
    assert plain([]) is None


# ---- who is there, and what holds for it -----------------------------------------------------------------------------

CALLERS = [
    ({}, "principal == 'local' && credential == 'local'"),
    ({"pipe": {"name": "ann"}}, "principal == 'local:ann' && credential == 'local'"),
    ({"pipe": {"scopes": ["write"], "claims": {"tenant": "a"}}}, "'write' in scopes && claims.tenant == 'a'"),
    (
        {"pipe": {"key": "ann"}, "keys": {"ann": {"sha256": SHAS["ann"], "scopes": ["write"]}}},
        "principal == 'key:ann' && credential == 'key' && 'write' in scopes",
    ),
]


@pytest.mark.parametrize(("tree", "rule"), CALLERS, ids=["local", "named", "proven", "keyed"])
async def test_rules_see_the_caller_that_the_file_says_is_on_the_pipe(tmp_path: Path, tree: Any, rule: str) -> None:
    async with served(tmp_path, {**tree, "policy": section(f"allow {rule}", default="deny")}) as client:
        assert "result" in await client.ask(1, "tools/call", call("add", a=1, b=2))
    async with served(tmp_path, {**tree, "policy": section(f"deny method == 'tools/call' && {rule}")}) as client:
        assert "error" in await client.ask(1, "tools/call", call("add", a=1, b=2))


@pytest.mark.parametrize("scopes", [[], ["write"]], ids=["without", "with"])
async def test_a_method_that_needs_scopes_needs_them_on_a_pipe(tmp_path: Path, scopes: list[str]) -> None:
    tree = {"pipe": {"scopes": scopes}, "servers": {"default": {"method_scopes": {"tools/call": ["write"]}}}}
    async with served(tmp_path, tree, "2025-03-26") as client:
        assert "result" in await client.ask(1, "tools/list", {})
        answer = await client.ask(2, "tools/call", call("add", a=1, b=2))
        if scopes:
            assert "result" in answer
            return
        assert answer["error"]["data"] == {"origin": "broker", "reason": "insufficient-scope"}
        one = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call("add", a=1, b=2)}
        client.line([one, {"jsonrpc": "2.0", "id": 4, "method": "tools/list"}])
        said = [await client.said(), await client.said()]
        assert [each["error"]["data"]["reason"] for each in said] == ["insufficient-scope"] * 2


@pytest.mark.parametrize("use", ["Says", "Tagged"])
async def test_hooks_of_the_operators_own_hold_on_a_pipe_and_are_closed_with_it(tmp_path: Path, use: str) -> None:
    options = {"answer": "deny"} if use == "Says" else {"tag": "@"}
    tree = {"hooks": [{"use": f"tests.broker.own_hooks_world:{use}", "options": options}]}
    async with served(tmp_path, tree) as client:
        answer = await client.ask(1, "tools/call", call("x"))
        if use == "Says":
            assert (answer["error"]["code"], answer["error"]["message"]) == (-5, "Not today")
        else:
            assert answer["result"]["content"] == [{"type": "text", "text": "x@"}]
        (hook,) = client.served.context.hooks.hooks
    assert use == "Says" or hook.hook.closed == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("revision", ["2024-11-05", "2026-07-28"])
async def test_sanitising_injection_quotas_and_audit_hold_on_a_pipe(tmp_path: Path, revision: str) -> None:
    tree = {
        "sanitise": {"rules": [{"find": ["email"], "action": "redact"}]},
        "servers": {"default": {"inject": [{"argument": "b", "value": 40, "tools": ["add"]}]}},
        "quotas": {"rules": [{"name": "few", "rate": "3/hour", "tools": ["add"]}]},
        "audit": {"file": {"path": str(tmp_path / "audit.jsonl")}},
    }
    async with served(tmp_path, tree, revision) as client:
        added = await client.ask(1, "tools/call", call("add", a=2))
        assert added["result"]["content"] == [{"type": "text", "text": "42"}]
        assert "error" in await client.ask(2, "tools/call", call("add", a=2, b=1))
        said = await client.ask(3, "tools/call", call("ada@example.com"))
        assert said["result"]["content"] == [{"type": "text", "text": "[redacted:email]"}]
        await client.ask(4, "tools/call", call("add", a=2))
        over = await client.ask(5, "tools/call", call("add", a=2))
        assert over["error"]["data"]["reason"] == "rate-limited"
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [(line["metadata"]["event_code"], line.get("actor", {}).get("user", {}).get("uid")) for line in lines]
    assert ("admitted", "local") in told
    assert ("denied", "local") in told


# ---- as a process ----------------------------------------------------------------------------------------------------


def run(*line: str, sent: str = "") -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "broker", "stdio", *line]
    return subprocess.run(whole, input=sent, capture_output=True, text=True, timeout=WAIT_S, check=False)


def test_the_command_judges_by_the_file(tmp_path: Path) -> None:
    config = written(tmp_path, {"policy": section("deny method == 'ping'"), "log": {"format": "json"}})
    line = [sys.executable, "-m", "broker", "stdio", "--config", config, "--", *COMMAND]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        answers = []
        for number, (method, params) in enumerate((("initialize", asked), ("ping", {}), ("tools/list", {}))):
            process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
            answers.append(json.loads(process.stdout.readline()))
            if method == "initialize":
                process.stdin.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}) + "\n")
        assert ["result" in answer for answer in answers] == [True, False, True]
        process.stdin.close()
        assert process.wait(WAIT_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(WAIT_S)
        process.stdout.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("revision", ["2025-06-18", "2026-07-28"])
def test_a_caller_that_is_revoked_is_told_and_left(tmp_path: Path, revision: str) -> None:
    revoked = tmp_path / "revoked.txt"
    revoked.write_text("# nobody\n", encoding="utf-8")
    habits = ["modern"] if revision == "2026-07-28" else []
    tree = {"keys": SHAS, "pipe": {"key": "ann"}, "revoked": str(revoked), "limits": {"revocation_s": 0.05}}
    line = [sys.executable, "-m", "broker", "stdio", "--config", written(tmp_path, tree), "--", *COMMAND, *habits]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(number: int, method: str, params: dict[str, Any]) -> None:
            meta = {"_meta": envelope()} if revision == "2026-07-28" else {}
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, **meta}}
            process.stdin.write(json.dumps(message) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]

        if revision != "2026-07-28":
            ask(
                0,
                "initialize",
                {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
            )
            assert json.loads(process.stdout.readline())["id"] == 0
        ask(1, "tools/call", call("slow"))
        ask(2, "tools/call", call("add", a=1, b=2))
        assert json.loads(process.stdout.readline())["id"] == 2
        revoked.write_text("key:ann\n", encoding="utf-8")
        error = json.loads(process.stdout.readline())
        assert (error["id"], error["error"]["data"]["reason"]) == (1, "revoked")
        assert process.wait(WAIT_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT_S)


def test_a_file_that_cannot_be_used_ends_the_command_with_3(tmp_path: Path) -> None:
    wrong = run("--config", written(tmp_path, {"policy": section("deny nmae == 'x'")}), "--", *COMMAND)
    assert (wrong.returncode, wrong.stdout) == (3, "")
    assert "rule r1" in wrong.stderr
    later = run("--config", written(tmp_path, {"audit": {"file": {"path": str(tmp_path)}}}), "--", *COMMAND)
    assert (later.returncode, later.stdout) == (3, "")
    assert later.stderr.startswith("dragoman: audit: ")


def test_a_client_that_reads_nothing_is_left_and_the_server_ended(tmp_path: Path) -> None:
    """What waits for it is bounded, and its server does not run on for nobody."""
    config = written(tmp_path, {"limits": {"pipe_unread_bytes": 1_048_576}})
    line = [sys.executable, "-m", "broker", "stdio", "--config", config, "--", *COMMAND]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        flood = {**call("flood", size=60_000, count=100), "_meta": {"progressToken": 1}}
        for number, (method, params) in enumerate((("initialize", asked), ("tools/call", flood))):
            process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
        process.stdin.flush()
        assert process.wait(WAIT_S) == 0
        assert process.stderr is not None
        assert "the client does not read what it is sent" in process.stderr.read()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT_S)
