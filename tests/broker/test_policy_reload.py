"""Rules that change while the broker serves: open sessions are judged by the new ones, and a wrong file by the old."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from broker import telemetry
from broker.app import CONTEXTS
from broker.changes import Changes
from broker.hooks.definitions import digest_of
from broker.hooks.policy import Policy
from tests.broker.http1_world import turn, within
from tests.broker.modern_world import ask
from tests.broker.reload_world import Here, both, kept, serving
from tests.broker.rules_world import section
from tests.broker.scripted_backend import Asked

Json = dict[str, Any]
NO_X = section("deny kind == 'tool' && name == 'x'")
KEPT = {"added": (), "changed": (), "removed": (), "kept": ("one", "two")}


def policy_of(here: Here, name: str = "two") -> Any:
    return [hook for hook in here.broker.app[CONTEXTS][name].hooks.hooks if isinstance(hook, Policy)]


async def test_rules_of_one_server_apply_to_its_open_sessions_at_once(tmp_path: Path) -> None:
    """C96, C157."""
    async with serving(tmp_path) as here:
        first, second = here.client("one"), here.client("two")
        await first.open()
        await second.open()
        assert (await second.call()).json.get("result") is not None
        here.write(servers=both(here, policy=NO_X))
        assert here.reload.now() == Changes(**KEPT, policy=("two",))
        assert (await second.call()).json["error"]["message"] == "Unknown tool"
        assert (await first.call()).json.get("result") is not None
        here.write(servers=both(here))
        assert here.reload.now() == Changes(**KEPT, policy=("two",))
        assert policy_of(here) == []
        assert (await second.call()).json.get("result") is not None
        assert here.two.count("initialize") == 1


async def test_what_is_pinned_changes_under_open_sessions_and_what_was_seen_is_not_forgotten(tmp_path: Path) -> None:
    """C160: a person approves what changed, and nobody has to begin anew."""
    async with serving(tmp_path) as here:
        here.write(servers=both(here, definitions={"changed": "hold"}))
        assert here.reload.now() == Changes(**KEPT, policy=("two",))
        client = here.client("two")
        here.two.capabilities = {"tools": {}}
        await client.open()

        async def shown(description: str) -> list[Json]:
            tool = {"name": "x", "description": description, "inputSchema": {"type": "object"}}
            here.two.on("tools/list", lambda asked: asked.result({"tools": [tool]}))
            found: list[Json] = (await client.call(1, "tools/list")).json["result"]["tools"]
            return found

        (tool,) = await shown("good")
        assert await shown("bad") == []
        here.write(servers=both(here, definitions={"changed": "hold", "look_alike": "hold"}))
        assert here.reload.now() == Changes(**KEPT, policy=("two",))
        assert await shown("bad") == []
        pinned = {"x": [digest_of({**tool, "description": "bad"})]}
        here.write(servers=both(here, definitions={"changed": "hold", "pinned": pinned}))
        here.reload.now()
        assert len(await shown("bad")) == 1
        assert (await client.call()).json.get("result") is not None
        assert await shown("good") == []
        assert here.two.count("initialize") == 1


async def test_rules_for_all_change_without_a_restart_and_the_same_rules_change_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        client = here.client("one")
        await client.open()
        here.write(policy=NO_X)
        assert here.reload.now() == Changes(**KEPT, policy=("one", "two"))
        assert (await client.call()).json["error"]["message"] == "Unknown tool"
        before = policy_of(here)
        assert here.reload.now() == Changes(**KEPT)
        assert policy_of(here) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": section("deny name = 'x'")},
        {"policy": section("deny nme == 'x'")},
        {"policy": section("allow true", default="never")},  # type: ignore[arg-type]
        {"hooks": [{"use": "nowhere.at_all:Hook"}]},
        {"hooks": [{"use": "no-such-entry-point"}]},
    ],
)
async def test_a_policy_that_cannot_be_used_changes_nothing(
    tmp_path: Path, wrong: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    """C157."""
    async with serving(tmp_path, policy=NO_X) as here:
        client = here.client("two")
        await client.open()
        before = policy_of(here)
        telemetry.configure("json")
        here.write(**wrong)
        assert here.reload.now() is None
        assert policy_of(here) == before
        assert (await client.call()).json["error"]["message"] == "Unknown tool"
        assert "configuration not applied" in capsys.readouterr().err


@pytest.mark.parametrize("stateless", [False, True])
async def test_a_head_that_was_known_is_judged_by_the_new_rules(tmp_path: Path, stateless: bool) -> None:
    async with serving(tmp_path) as here, kept(here, stateless=stateless) as connection:
        here.write(servers=both(here, policy=NO_X))
        assert here.reload.now() is not None
        assert await connection.ask() == b"200"
        assert b"Unknown tool" in connection.answer
        here.write(servers=both(here))
        assert here.reload.now() is not None
        await connection.ask()
        assert b"Unknown tool" not in connection.answer


async def test_an_open_call_that_is_still_allowed_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path, policy=section("deny name == 'other'")) as here:
        held: list[Asked] = []

        async def hold(one: Asked) -> None:
            held.append(one)

        here.two.on("tools/call", hold)
        client = here.client("two")
        await client.open()
        call = asyncio.ensure_future(client.call(name="y"))
        await here.two.next("tools/call")
        here.write(policy=NO_X)
        assert here.reload.now() is not None
        await held[0].result()
        assert (await within(call)).json["result"]["content"][0]["text"] == "done"


async def test_requests_that_stand_alone_are_judged_by_the_rules_of_their_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        client = here.client("two")
        assert "result" in (await ask(client)).json
        here.write(servers=both(here, policy=NO_X))
        assert here.reload.now() is not None
        assert (await ask(client)).json["error"]["message"] == "Unknown tool"


async def test_calls_under_a_reload_are_answered_and_later_ones_are_judged_by_the_new_rules(tmp_path: Path) -> None:
    """C157."""
    async with serving(tmp_path, policy=section("deny name == 'a'")) as here:
        client = here.client("two")
        await client.open()
        for number in range(20):
            here.write(policy=section(f"deny name == '{'ba'[number % 2]}'"))
            calls = [asyncio.ensure_future(client.call(2 * number + n, name=name)) for n, name in enumerate("ab")]
            for _ in range(number):
                await turn()
            assert here.reload.now() is not None
            for call in calls:
                answer = (await within(call)).json
                assert "result" in answer or answer["error"]["data"]["reason"] == "denied"
            later = ["result" in (await client.call(name=name)).json for name in "ab"]
            assert later == [number % 2 == 0, number % 2 == 1]
