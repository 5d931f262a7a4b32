"""`dragoman check` and `report` over every transport: what is said of each server, and what a dead one costs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.checking import Check, checks, lines
from broker.demo import server, session_server
from broker.settings import Settings
from tests.broker.pipe_world import SERVER, alive, settled
from tests.broker.scripted_backend import Asked, world
from tests.broker.test_pair_backend import PairServer
from tests.broker.test_report_ask import at, dragoman

Json = dict[str, Any]
DEAD = {"url": "http://127.0.0.1:9/mcp"}


def pipe(tmp_path: Path, *habits: str) -> Json:
    """A command as the configuration has it; its processes write down their ids."""
    return {"command": [sys.executable, SERVER, *habits], "env": {"PIPE_SERVER_LOG": str(tmp_path / "log")}}


async def checked(servers: Json, client: str = "2025-11-25") -> list[Check]:
    return await checks(Settings.build({"servers": servers}), list(servers), client)


async def none_left(tmp_path: Path) -> None:
    """Until every process that was started is gone."""
    words = [line.split() for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    started = {int(pid) for pid, word in words if word == "start"}
    assert started
    await settled(lambda: not any(map(alive, started)))


@pytest.mark.parametrize(
    ("habits", "era", "revision"), [((), "sessions", "2025-11-25"), (("modern",), "stateless", "2026-07-28")]
)
@pytest.mark.parametrize("client", ["2024-11-05", "2025-11-25", "2026-07-28"])
async def test_a_command_of_either_era_is_started_asked_and_ended(
    tmp_path: Path, habits: tuple[str, ...], era: str, revision: str, client: str
) -> None:
    (found,) = await checked({"a": pipe(tmp_path, *habits)}, client)
    spoken = client if not habits and client != "2026-07-28" else revision
    assert (found.problem, found.place, found.era, found.revision) == ("", "stdio", era, spoken)
    assert found.capabilities == ("tools",)
    assert found.round_trip_ms is not None
    assert 0 < found.round_trip_ms < found.opened_ms
    assert found.report is not None
    assert [entry.name for entry in found.report.entries["tools"]] == ["add"]
    await none_left(tmp_path)


@pytest.mark.parametrize("settings", [{}, {"transport": "sse"}, {"revision": "2024-11-05"}])
@pytest.mark.parametrize("client", ["2024-11-05", "2026-07-28"])
async def test_a_server_of_the_pair_is_asked_on_its_stream(settings: Json, client: str) -> None:
    async with world() as here:
        pair = PairServer(here)

        async def pong(asked: Asked) -> None:
            await asked.reply(202)
            await pair.say({"id": asked.id, "result": {}})

        here.backend.on("ping", pong)
        (found,) = await checked({"a": {"url": f"http://127.0.0.1:{here.backend.port}/mcp", **settings}}, client)
        assert (found.problem, found.era) == ("", "sessions")
        assert found.report is not None
        assert found.report.server_info == {"name": "pair", "version": "1"}
        assert len(pair.streams) == (1 if "transport" in settings else 2)  # one to find out


async def test_a_server_that_fails_costs_the_others_nothing(tmp_path: Path) -> None:
    async with at(server.sample_app()) as url:
        servers = {
            "dead": DEAD,
            "gone": {"command": ["no-such-program-anywhere"]},
            "dies": {"command": [sys.executable, "-c", ""]},
            "pipe": pipe(tmp_path),
            "web": {"url": url},
        }
        found = await checked(servers)
    assert [(each.name, each.problem) for each in found] == [
        ("dead", "the server cannot be reached (connect)"),
        ("gone", "the command cannot be started"),
        ("dies", "the server ended before it answered"),
        ("pipe", ""),
        ("web", ""),
    ]
    assert found[-1].era_reason == "discovered"


async def test_a_pinned_server_is_asked_in_its_revision(tmp_path: Path) -> None:
    (found,) = await checked({"a": {**pipe(tmp_path), "revision": "2025-03-26"}})
    assert (found.era_reason, found.revision) == ("pinned", "2025-03-26")


async def test_what_a_client_loses_is_said_line_by_line() -> None:
    async with at(server.sample_app()) as url:
        (found,) = await checked({"a": {"url": url, "filter": {"tools": {"deny": ["gr*"]}}}}, "2024-11-05")
    said = lines(found)
    assert said[0] == "a: ok"
    assert "    refused   tool greet: hidden by the operator's filter" in said
    assert any(line.startswith("  round trip") for line in said)


def test_the_command_ends_with_1_and_says_which_server_failed(tmp_path: Path) -> None:
    async def story() -> None:
        async with at(session_server.sample_app()) as url:
            config = tmp_path / "c.json"
            servers = {"dead": DEAD, "pipe": pipe(tmp_path), "web": {"url": url}}
            config.write_text(json.dumps({"servers": servers}), encoding="utf-8")
            code, text, _ = await dragoman("check", str(config), "--client", "2025-03-26")
            assert code == 1
            assert [line for line in text.splitlines() if not line.startswith(" ")] == [
                "dead: FAILED: the server cannot be reached (connect)",
                "pipe: ok",
                "web: ok",
            ]
            code, text, _ = await dragoman("check", str(config), "--server", "pipe", "--json")
            (found,) = json.loads(text)
            assert (code, found["name"], found["revision"]) == (0, "pipe", "2025-11-25")

    asyncio.run(story())


def test_a_url_or_a_command_is_checked_without_a_file() -> None:
    async def story() -> None:
        async with at(server.sample_app()) as url:
            code, text, _ = await dragoman("check", url)
            assert (code, text.splitlines()[0]) == (0, f"{url}: ok")
            code, text, _ = await dragoman("check", "--", sys.executable, SERVER)
            assert (code, text.splitlines()[0]) == (0, f"{sys.executable}: ok")
            code, text, _ = await dragoman("report", "--client", "2026-07-28", "--", sys.executable, SERVER)
            assert code == 0
            assert "speaks 2025-11-25; a client speaks 2026-07-28" in text

    asyncio.run(story())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument"),
        (("http://a/mcp", "--server", "x"), "--server names"),
        (("c.yaml", "--backend-revision", "2025-11-25"), "says itself"),
        (("http://a/mcp", "--client", "1999-01-01"), "expected one of"),
    ],
)
def test_a_wrong_check_command_ends_with_2(arguments: tuple[str, ...], said: str) -> None:
    code, _, text = asyncio.run(dragoman("check", *arguments))
    assert code == 2
    assert said in text
