"""The isolation runs in a size for every day; `python -m tests.isolation` is the full size."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.isolation.backend import Backend
from tests.isolation.caller import PLANS, Told
from tests.isolation.run import judge, run

CALLERS, CALLS = 20, 5


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_answer_reaches_its_own_caller_once_while_all_calls_are_suspended_at_once(seed: int) -> None:
    report = await asyncio.wait_for(run(CALLERS, CALLS, seed=seed), 60)
    assert report.problems == []
    assert sum(report.outcomes.values()) == report.calls == CALLERS * CALLS
    assert report.most_parked == report.calls - report.outcomes["left"]
    # Questions on standing streams say of no call that they are its own: every call had a session of its own.
    assert report.most_sessions >= report.most_parked


@pytest.mark.parametrize("kills", [0, 3])
async def test_the_same_holds_where_every_call_is_judged_written_down_and_counted(tmp_path: Path, kills: int) -> None:
    audit = tmp_path / "audit.jsonl"
    report = await asyncio.wait_for(run(CALLERS, CALLS, seed=3, kills=kills, audit=audit), 60)
    assert report.problems == []
    assert report.outcomes["answered"] > 0


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_call_runs_twice_and_each_is_answered_or_said_to_be_unknown_though_the_server_dies(seed: int) -> None:
    report = await asyncio.wait_for(run(CALLERS, CALLS, seed=seed, kills=4), 60)
    assert report.problems == []
    assert report.outcomes["unknown"] > 0
    assert report.outcomes["answered"] > 0


def history(**changes: object) -> tuple[list[Told], Backend]:
    """One call that was asked once and answered, and what its server did; `changes` are those of the call."""
    backend = Backend()
    backend.ran["a-1"] = 1
    backend.told["a-1"] = ["x"]
    told = Told("a-1", "plain", "answered", ["x"], {"nonce": "a-1", "answers": ["x"]})
    for name, value in changes.items():
        setattr(told, name, value)
    return [told], backend


def test_the_judge_sees_every_kind_of_breach() -> None:
    assert judge(*history(), killed=False) == []
    wrong = [
        history(result={"nonce": "b-1", "answers": ["x"]}),
        history(answers=["y"]),
        history(problems=["answers [1, 1]"]),
        history(outcome="unknown"),
        history(outcome="error: overloaded"),
    ]
    twice = history()
    twice[1].ran["a-1"] = 2
    never = history()
    del never[1].ran["a-1"]
    for found in (*wrong, twice, never):
        assert judge(*found, killed=False)
    assert judge(*history(outcome="unknown"), killed=True) == []
    assert set(PLANS) == {"plain", "twice", "one gone", "early", "late"}


@pytest.mark.parametrize("turns", range(5))
async def test_a_connection_however_new_ends_when_the_server_dies(turns: int) -> None:
    backend = Backend()
    await backend.start()
    with socket.create_connection(("127.0.0.1", backend.port)) as connection:
        connection.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await backend.kill()
        with suppress(ConnectionError):
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 1), 10) == b""
