"""What a reload reads and when: the file that rests, the signal, members that only a start can give, secrets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.app import SERVERS, create_app
from broker.reload import Watcher, fixed_members, watch
from broker.settings import Settings
from broker.tap import Tap

Json = dict[str, Any]


def test_secrets_of_a_new_server_are_hidden_in_the_tap(tmp_path: Path) -> None:
    async def story() -> None:
        tap = Tap(tmp_path / "tap.jsonl", ["old-secret"])
        tree = {"url": "http://127.0.0.1:9/mcp", "headers": {"X": "new-secret"}}
        servers = create_app(Settings.build({"servers": {"a": {"url": "http://127.0.0.1:9/mcp"}}}), tap=tap)[SERVERS]
        servers.apply(Settings.build({"servers": {"a": tree}}))
        tap.frame("client", "in", "a", frame_with_secrets())
        tap.close()
        await servers.close()

    asyncio.run(story())
    text = (tmp_path / "tap.jsonl").read_text(encoding="utf-8")
    assert "[redacted]" in text
    assert "secret" not in text


def frame_with_secrets() -> Any:
    from protocol_versions import jsonrpc

    return jsonrpc.notification("notifications/message", {"data": "old-secret new-secret"})


def test_members_that_differ_are_named_with_their_place() -> None:
    tree: Json = {"servers": {"a": {"url": "http://a/mcp"}}}
    now = Settings.build(tree)
    then = Settings.build({**tree, "port": 1, "limits": {"depth": 9, "batch": 3}, "status": {"port": 2}})
    assert fixed_members(now, then) == ["port", "limits.depth", "limits.batch", "status.port"]
    assert fixed_members(now, Settings.build({"servers": {"b": {"url": "http://b/mcp"}}})) == []


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("tap", "log", ""),
        ("audit", {"file": {"path": "log"}}, ".file"),
    ],
)
def test_what_takes_a_restart_is_named_also_where_it_appears_or_goes(
    tmp_path: Path, name: str, value: Any, part: str
) -> None:
    files = [tmp_path / each for each in ("one", "two")]
    for file in files:
        file.touch()
    in_place = [json.loads(json.dumps(value).replace("log", str(file))) for file in files]
    tree: Json = {"servers": {"a": {"url": "http://a/mcp"}}}
    without, one, two = (Settings.build({**tree, **more}) for more in ({}, *({name: each} for each in in_place)))
    assert fixed_members(without, one) == fixed_members(one, without) == [name]
    assert fixed_members(one, two) == [f"{name}{part}"]


def test_of_tls_other_files_may_be_named_and_nothing_else_may_be_said(tmp_path: Path) -> None:
    one, two = (tmp_path / each for each in ("one", "two"))
    one.touch()
    two.touch()
    tree: Json = {"servers": {"a": {"url": "http://a/mcp"}}, "anonymous": "allow"}

    def fixed(now: Json | None, then: Json | None) -> list[str]:
        return fixed_members(*(Settings.build({**tree, "tls": each}) for each in (now, then)))

    assert fixed({"certificate": one}, {"certificate": two, "key": one}) == []
    assert fixed({"certificate": one, "client_ca": one}, {"certificate": one, "client_ca": two}) == []
    assert fixed({"certificate": one}, {"certificate": one, "client_ca": two}) == ["tls.client_ca"]
    optional = {"certificate": two, "client_ca": one, "client_certificates": "optional"}
    assert fixed({"certificate": one, "client_ca": one}, optional) == ["tls.client_certificates"]
    assert fixed(None, {"certificate": one}) == fixed({"certificate": one}, None) == ["tls"]


def test_a_file_counts_as_changed_once_it_rests_and_once_for_each_change(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a", encoding="utf-8")
    watcher = Watcher(file)
    assert [watcher.look(), watcher.look()] == [False, False]
    file.write_text("ab", encoding="utf-8")
    assert watcher.look() is False
    file.write_text("abc", encoding="utf-8")
    assert [watcher.look(), watcher.look(), watcher.look()] == [False, True, False]
    file.unlink()
    assert [watcher.look(), watcher.look()] == [False, False]
    file.write_text("d", encoding="utf-8")
    assert [watcher.look(), watcher.look(), watcher.look()] == [False, True, False]


async def test_watching_looks_at_each_turn_and_tells_of_a_change(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a", encoding="utf-8")
    told: list[int] = []
    turns = 0

    async def sleep(_seconds: float) -> None:
        nonlocal turns
        turns += 1
        if turns == 2:
            file.write_text("changed", encoding="utf-8")
        if turns == 5:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await watch(Watcher(file), lambda: told.append(turns), sleep=sleep)
    assert told == [3]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP on this system")
@pytest.mark.parametrize("watching", [False, True])
async def test_the_command_applies_a_changed_file(tmp_path: Path, watching: bool) -> None:
    file = tmp_path / "c.json"

    def write(*names: str) -> None:
        file.write_text(json.dumps({"servers": {each: {"url": "http://127.0.0.1:9/mcp"} for each in names}}))

    write("one")
    arguments = ("serve", str(file), "--port", "0", "--log-format", "json", *(["--watch"] if watching else []))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "broker", *arguments, stderr=subprocess.PIPE)
    assert process.stderr is not None

    async def said(word: str) -> Json:
        assert process.stderr is not None
        while word not in (line := (await process.stderr.readline()).decode()):
            assert line
        found: Json = json.loads(line)
        return found

    try:
        async with asyncio.timeout(20):
            await said('"anonymous callers are served"')
            write("one", "two")
            if not watching:
                os.kill(process.pid, signal.SIGHUP)
            found = await said("configuration applied")
            assert (found["added"], found["kept"]) == ("two", "one")
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
