"""Hooks of the operator's own: found, ordered, and held to their word (C156, D35)."""

from __future__ import annotations

import importlib
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from broker.cli import cli
from broker.hooks.base import Deny, Drop, Pass, Replace, Verdict
from broker.hooks.own import GROUP, MAX_REASONS, Guarded, own_hook
from broker.hooks.runner import Runner
from broker.settings_policy import OwnHook
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker import own_hooks_world
from tests.broker.http1_world import within
from tests.broker.rules_world import info
from tests.broker.scripted_backend import DONE, Json, World, world

HOME = "tests.broker.own_hooks_world"


def made(name: str, timeout_s: float = 5.0, **options: Any) -> Guarded:
    entry = OwnHook.model_validate({"use": f"{HOME}:{name}", "options": options, "timeout_s": timeout_s})
    return own_hook(entry, DEFAULT_LIMITS)


async def verdict_of(*hooks: Guarded, name: str = "x") -> Verdict:
    runner = Runner(hooks, DEFAULT_LIMITS)
    found = runner.judge("params", "tools/call", "server", {"name": name}, info("tools/call"))
    return await within(found) if isinstance(found, Awaitable) else found


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("answer", [name for name in own_hooks_world.ANSWERS if name not in ("pass", "deny", "drop")])
async def test_what_fails_or_answers_nonsense_refuses_without_a_word_of_it(answer: str, later: bool) -> None:
    verdict = await verdict_of(made("Says", answer=answer, later=later))
    assert isinstance(verdict, Deny)
    assert (verdict.code, verdict.message) == (-32603, "The request was refused by policy")
    assert verdict.reason.startswith(f"hook-failed:{HOME}:Says:")
    assert "secret" not in verdict.reason


@pytest.mark.parametrize("later", [False, True])
async def test_a_verdict_is_given_on_and_names_its_hook_to_the_operator(later: bool) -> None:
    assert isinstance(await verdict_of(made("Says", answer="pass", later=later)), Pass)
    denied = await verdict_of(made("Says", answer="deny", later=later))
    assert denied == Deny(-5, "Not today", f"hook:{HOME}:Says:budget")
    assert await verdict_of(made("Says", answer="drop", later=later)) == Drop(f"hook:{HOME}:Says:why")


async def test_reasons_are_slugs_and_there_are_not_ever_more_of_them() -> None:
    hook = made("Reasons")
    said = []
    for _ in range(MAX_REASONS + 3):
        verdict = await verdict_of(hook)
        assert isinstance(verdict, Deny)
        said.append(verdict.reason)
    assert said[0] == f"hook:{HOME}:Reasons:not-today-0"
    assert len(set(said)) == MAX_REASONS + 1
    assert said[-1] == f"hook:{HOME}:Reasons:other"


async def test_a_hook_that_hangs_refuses_when_its_time_is_over() -> None:
    hook = made("Hangs", timeout_s=0.05)
    verdict = await verdict_of(hook)
    assert isinstance(verdict, Deny)
    assert verdict.reason == f"hook-failed:{HOME}:Hangs:timeout"
    await hook.close()


async def test_hooks_are_asked_in_their_order_and_the_next_sees_what_the_last_made() -> None:
    own_hooks_world.SEEN.clear()
    verdict = await verdict_of(made("Tagged", tag="a"), made("make", tag="b"), made("Tagged", tag="c"))
    assert verdict == Replace({"name": "xabc"})
    assert [tag for tag, _ in own_hooks_world.SEEN] == ["a", "b", "c"]
    assert own_hooks_world.SEEN[0][1].caller.principal == "ann"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("nothing", None), ("deny", "budget"), ("true", "no-verdict"), ("raises", "ValueError"), ("pass", "no-verdict")],
)
def test_a_review_is_held_to_its_word_too(answer: str, reason: str | None) -> None:
    verdict = made("Reviews", answer=answer).review(info("tools/call"))
    assert verdict is None if reason is None else isinstance(verdict, Deny)
    assert verdict is None or verdict.reason.endswith(str(reason))


def test_messages_that_a_hook_does_not_name_are_not_judged() -> None:
    runner = Runner([made("Tagged")], DEFAULT_LIMITS)
    assert runner.wants("params", "tools/call", "server")
    assert not runner.wants("params", "tools/list", "server")
    assert not runner.wants("result", "tools/call", "client")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("Nothing", {}, "cannot be imported"),
        ("Tagged", {"tug": 1}, "cannot be made with its options: TypeError"),
        ("NoSlots", {}, "`slots` must be a tuple of Pattern"),
        ("WrongSlots", {}, "`slots` must be a tuple of Pattern"),
        ("NotOne", {}, "is no broker.hooks.base.Hook"),
        ("NOT_CALLABLE", {}, "cannot be made"),
    ],
)
def test_what_is_no_hook_is_refused_when_it_is_made(name: str, options: Json, said: str) -> None:
    with pytest.raises(ValueError, match="hook") as refused:
        made(name, **options)
    assert said in str(refused.value)
    assert f"{HOME}:{name}" in str(refused.value)


def test_a_package_offers_a_hook_by_an_entry_point(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "offers-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: offers\nVersion: 1.0\n", encoding="utf-8")
    text = f"[{GROUP}]\ntagged = {HOME}:Tagged\n"
    (folder / "entry_points.txt").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    hook = own_hook(OwnHook.model_validate({"use": "tagged", "options": {"tag": "z"}}), DEFAULT_LIMITS)
    assert isinstance(hook.hook, own_hooks_world.Tagged)
    with pytest.raises(ValueError, match=r"no package offers it under `dragoman.hooks`; known: .*tagged"):
        own_hook(OwnHook.model_validate({"use": "toggled"}), DEFAULT_LIMITS)


@pytest.mark.parametrize(("use", "code"), [(f"{HOME}:Tagged", 0), (f"{HOME}:Nothing", 3)])
def test_a_check_of_the_configuration_makes_its_hooks(tmp_path: Path, use: str, code: int) -> None:
    file = tmp_path / "c.json"
    tree = {"servers": {"a": {"url": "http://127.0.0.1:1/mcp", "hooks": [{"use": use}]}}}
    file.write_text(json.dumps(tree), encoding="utf-8")
    result = CliRunner().invoke(cli, ["serve", str(file), "--check"])
    assert (result.exit_code == 0) == (code == 0)
    assert code == 0 or f"{file}: hook {use}: cannot be imported" in str(result.exception)


# ---- in the broker --------------------------------------------------------------------------------------------------


async def test_configured_hooks_judge_calls_those_for_all_first() -> None:
    own = {"use": f"{HOME}:Tagged", "options": {"tag": "-own"}}
    everywhere = [{"use": f"{HOME}:Tagged", "options": {"tag": "-all"}}]
    async with world(backend={"hooks": [own]}, hooks=everywhere) as here:
        await here.client.open()
        assert (await here.client.call()).json["result"] == DONE
        assert (await here.backend.next("tools/call")).message["params"]["name"] == "x-all-own"


async def test_what_a_hook_makes_of_a_call_is_judged_by_the_rules_and_the_filter() -> None:
    own = {"use": f"{HOME}:Tagged", "options": {"tag": "-y"}}
    rule = {"rules": [{"name": "r", "deny": "name == 'x-y'"}]}
    for members in ({"policy": rule}, {"filter": {"tools": {"deny": ["x-y"]}}}):
        async with world(backend={"hooks": [own], **members}) as here:
            await here.client.open()
            assert (await here.client.call()).json["error"]["message"] == "Unknown tool"
            assert here.backend.count("tools/call") == 0
            assert (await here.client.call(name="z")).json["result"] == DONE


async def test_a_hook_that_fails_for_one_call_leaves_others_alone() -> None:
    async with world(backend={"hooks": [{"use": f"{HOME}:Says", "options": {"answer": "raises"}}]}) as here:
        await here.client.open()
        assert await reason(here) == "denied"
        assert (await here.client.call(2, "tools/list")).status == 200
        assert await reason(here) == "denied"
        assert here.backend.count("tools/call") == 0


async def reason(here: World) -> Any:
    return (await here.client.call()).json["error"]["data"]["reason"]


async def test_hooks_are_closed_with_their_server() -> None:
    async with world(backend={"hooks": [{"use": f"{HOME}:Tagged"}]}) as here:
        (hook,) = here.context.hooks.hooks
    assert isinstance(hook, Guarded)
    assert isinstance(hook.hook, own_hooks_world.Tagged)
    assert hook.hook.closed == 1
