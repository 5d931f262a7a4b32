"""Calls that are let through without another look: whose, which, and until when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from broker.hooks.absence import absent_result, tool_may_be_absent
from broker.hooks.base import PASS, Caller, CallInfo, Hook, Pattern, Verdict
from broker.hooks.filter_names import FilterNames, Rule
from broker.hooks.passed import MAX_PASSED, MAX_TARGET, Passed
from broker.hooks.runner import Runner
from protocol_versions.base import Slot
from protocol_versions.jsonrpc import DEFAULT_LIMITS, Frame
from tests.broker.rules_world import ANN, BOB, info, judging
from tests.broker.scripted_backend import DONE, World, world
from tests.broker.test_absence import DOES_NOT, SAYS


def asked(name: Any, method: str = "tools/call", **more: Any) -> Frame:
    return Frame(id=1, method=method, params={"name": Raw(msgspec.json.encode(name)), **more})


def learned(hooks: Runner, name: str, caller: Caller = ANN) -> Passed:
    passed = Passed()
    assert passed.like(asked(name), caller) is None
    passed.learn(hooks, info("tools/call", caller, name))
    return passed


def test_a_call_like_one_that_passed_passes() -> None:
    passed = learned(judging("deny name == 'rm'"), "ls")
    found = passed.like(asked("ls"), ANN)
    assert found is not None
    assert (found.method, found.target, found.caller) == ("tools/call", "ls", ANN)


@pytest.mark.parametrize(
    ("frame", "caller"),
    [
        (asked("rm"), ANN),
        (asked("LS"), ANN),
        (asked("ls", "prompts/get"), ANN),
        (asked("ls"), BOB),
        (asked("ls"), msgspec.structs.replace(ANN)),  # an equal one may have other claims tomorrow
        (asked("ls", inputResponses=Raw(b"{}")), ANN),
        (asked({"ls": 1}), ANN),
        (Frame(id=1, method="tools/call"), ANN),
        (Frame(id=1, method="tools/call", params={"name": 5}), ANN),  # type: ignore[dict-item]
        (Frame(id=1, method="tools/list", params={}), ANN),
    ],
)
def test_a_call_that_differs_in_target_method_or_caller_is_judged(frame: Frame, caller: Caller) -> None:
    assert learned(judging("deny name == 'rm'"), "ls").like(frame, caller) is None


@pytest.mark.parametrize(
    "rule", ["deny name == 'ls' && arguments.path == '/etc'", "deny annotations.destructiveHint == true"]
)
def test_where_rules_look_at_more_than_the_name_every_call_is_judged(rule: str) -> None:
    assert learned(judging(rule), "ls").like(asked("ls"), ANN) is None


def test_a_rule_about_the_arguments_of_another_tool_has_no_say() -> None:
    assert learned(judging("deny name == 'rm' && arguments.path == '/'"), "ls").like(asked("ls"), ANN) is not None


def test_a_hook_that_does_not_say_so_is_asked_every_time() -> None:
    class Own(Hook):
        slots = (Pattern("params", "tools/call", "server", ()),)

        def judge(self, slot: Slot, body: dict[str, Any], info: CallInfo) -> Verdict:
            return PASS

    hidden = FilterNames({"tools": Rule(deny=("rm",))})
    assert learned(Runner([hidden], DEFAULT_LIMITS), "ls").like(asked("ls"), ANN) is not None
    assert learned(Runner([hidden, Own()], DEFAULT_LIMITS), "ls").like(asked("ls"), ANN) is None


def test_what_is_kept_is_bounded() -> None:
    hooks, passed = judging("deny name == 'rm'"), Passed()
    for number in range(MAX_PASSED + 1):
        assert passed.like(asked(str(number)), ANN) is None
        passed.learn(hooks, info("tools/call", ANN, str(number)))
    assert passed.like(asked("0"), ANN) is None
    assert passed.like(asked("1"), ANN) is not None
    assert learned(hooks, "x" * MAX_TARGET).like(asked("x" * MAX_TARGET), ANN) is None


def count(here: World) -> int:
    return here.backend.count("tools/call")


async def test_after_a_change_of_policy_a_call_that_has_passed_before_is_judged() -> None:
    async with world() as here:
        here.context.hooks = judging("deny name == 'rm'")
        await here.client.open()
        for number in (1, 2, 3):
            assert (await here.client.call(number, name="ls")).json["result"] == DONE
        here.context.hooks.replace(judging("deny name == 'ls'").hooks)
        assert (await here.client.call(4, name="ls")).json["error"]["message"] == "Unknown tool"
        assert count(here) == 3
        here.context.hooks.replace(judging("deny name == 'rm'").hooks)
        assert (await here.client.call(5, name="ls")).json["result"] == DONE


async def test_a_refused_call_stays_refused() -> None:
    async with world() as here:
        here.context.hooks = judging("deny name == 'rm'")
        await here.client.open()
        for number, name in enumerate(("ls", "rm", "ls", "rm", "rm"), 1):
            reply = await here.client.call(number, name=name)
            assert ("error" in reply.json) == (name == "rm")
        assert count(here) == 2


# ---- results ---------------------------------------------------------------------------------------------------------


def content(text: str, ascii_only: bool) -> Raw:
    import json

    return Raw(json.dumps([{"type": "text", "text": text}], ensure_ascii=ascii_only).encode())


@given(
    text=st.sampled_from([text for _, _, text in (*SAYS, *DOES_NOT)]) | st.text(max_size=40),
    around=st.text(max_size=5),
    upper=st.booleans(),
    failed=st.sampled_from([None, Raw(b"true"), Raw(b"false"), True, False]),
    escaped=st.booleans(),
)
def test_a_glance_never_lets_through_what_says_that_a_tool_does_not_exist(
    text: str, around: str, upper: bool, failed: Any, escaped: bool
) -> None:
    body: dict[str, Any] = {"content": content(f"{text.upper() if upper else text}{around}", escaped)}
    if failed is not None:
        body["isError"] = failed
    glanced = tool_may_be_absent(info("tools/call", ANN, "x"), body)
    read = {**body, "isError": failed is True or (type(failed) is Raw and bytes(failed) == b"true")}
    assert glanced or not absent_result("tools", "x", read)


def test_looks_that_hooks_share_are_taken_once_and_one_hook_that_has_none_judges_all() -> None:
    alone = judging("deny name == 'rm'")
    both = Runner([*alone.hooks, FilterNames({"tools": Rule(deny=("rm",))})], DEFAULT_LIMITS)
    looks = both.glances("result", "tools/call")
    assert looks
    assert looks == alone.glances("result", "tools/call")
    assert both.glances("result", "tools/list") is None


def test_most_results_take_no_more_than_a_glance() -> None:
    hooks = judging("deny name == 'rm'", default="allow")
    looks = hooks.glances("result", "tools/call")
    assert looks is not None

    def passes(body: dict[str, Any]) -> bool:
        return not any(look(info("tools/call", ANN, "x"), body) for look in looks)

    said = {"content": content("it rains", True)}
    assert passes(said)
    assert passes({**said, "isError": Raw(b"false")})
    assert not passes({**said, "task": Raw(b"{}")})
    assert not passes({**said, "isError": Raw(b"true")})
    assert not passes({"content": content("Unknown tool: x", True)})
    assert not passes({"content": Raw(b'[{"text": "Unknown \\u0074ool"}]')})
