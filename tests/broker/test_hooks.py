"""filter_names at every door, and hooks that fail, wait, or answer nonsense."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest

from broker.hooks.base import PASS, CallInfo, Deny, Drop, Hook, Pass, Pattern, Replace, Verdict
from broker.hooks.filter_names import FilterNames, Rule
from broker.hooks.runner import Runner
from protocol_versions.base import Slot
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.http1_world import turn, within

INFO = CallInfo("tools/call", "x", "local", "default")
RULES = {
    "tools": Rule(deny=("secret_*",)),
    "prompts": Rule(allow=("open", "open_*")),
    "resources": Rule(deny=("file:///secret/*",)),
    "templates": Rule(deny=("db://*",)),
}
GATE = FilterNames(RULES)


def raw(body: dict[str, Any]) -> dict[str, Any]:
    """As the runner gets it: members are bytes."""
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}


def judge(part: str, method: str, body: dict[str, Any], gate: Hook = GATE) -> Verdict:
    runner = Runner([gate], DEFAULT_LIMITS)
    toward: Any = "server" if part == "params" else "client"
    assert runner.wants(part, method, toward)
    verdict = runner.judge(part, method, toward, raw(body), INFO)
    assert isinstance(verdict, Verdict)
    return verdict


def shown(method: str, member: str, key: str, names: list[Any], gate: Hook = GATE) -> list[Any]:
    items = [{key: name, "extra": {"kept": True}} for name in names]
    verdict = judge("result", method, {member: items, "nextCursor": "c"}, gate)
    if isinstance(verdict, Pass):
        return names
    assert isinstance(verdict, Replace)
    assert bytes(verdict.body["nextCursor"]) == b'"c"'
    assert all(item["extra"] == {"kept": True} for item in verdict.body[member])
    return [item[key] for item in verdict.body[member]]


LISTS = {
    "tools": ("tools/list", "tools", "name"),
    "prompts": ("prompts/list", "prompts", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "templates": ("resources/templates/list", "resourceTemplates", "uriTemplate"),
}
DOORS = [
    ("tools", "tools/call", lambda name: {"name": name}),
    ("prompts", "prompts/get", lambda name: {"name": name}),
    ("prompts", "completion/complete", lambda name: {"ref": {"type": "ref/prompt", "name": name}}),
    ("resources", "resources/read", lambda name: {"uri": name}),
    ("resources", "resources/subscribe", lambda name: {"uri": name}),
    ("resources", "resources/unsubscribe", lambda name: {"uri": name}),
    ("resources", "completion/complete", lambda name: {"ref": {"type": "ref/resource", "uri": name}}),
    ("templates", "completion/complete", lambda name: {"ref": {"type": "ref/resource", "uri": name}}),
]
NAMES = {
    "tools": ["add", "secret_key", "Secret_key", "secret_", "xsecret_"],
    "prompts": ["open", "open_door", "opened", "closed", "OPEN", ""],
    "resources": ["file:///a", "file:///secret/a", "FILE:///secret/a", "file:///secret"],
    "templates": ["db://{id}", "file:///{path}", "DB://{id}"],
}


@pytest.mark.parametrize(("kind", "method", "params"), DOORS, ids=[f"{door[0]} {door[1]}" for door in DOORS])
def test_what_a_list_hides_no_other_door_opens_and_what_it_shows_every_door_does(
    kind: str, method: str, params: Any
) -> None:
    listed = shown(*LISTS[kind], NAMES[kind])
    assert 0 < len(listed) < len(NAMES[kind])
    for name in NAMES[kind]:
        assert isinstance(judge("params", method, params(name)), Pass) == (name in listed), name


def test_an_update_of_a_hidden_resource_is_not_told() -> None:
    updated = "notifications/resources/updated"
    assert judge("notification", updated, {"uri": "file:///a"}) == PASS
    assert isinstance(judge("notification", updated, {"uri": "file:///secret/a"}), Deny)


@pytest.mark.parametrize(("kind", "method", "params"), DOORS, ids=[f"{door[0]} {door[1]}" for door in DOORS])
def test_hidden_names_get_one_answer_that_does_not_name_them(kind: str, method: str, params: Any) -> None:
    listed = shown(*LISTS[kind], NAMES[kind])
    answers = {judge("params", method, params(name)) for name in NAMES[kind] if name not in listed}
    assert len(answers) == 1
    (answer,) = answers
    assert isinstance(answer, Deny)
    assert not any(name and name in answer.message for name in NAMES[kind])


def test_with_an_allow_list_a_hidden_name_and_one_that_does_not_exist_are_answered_alike() -> None:
    answers = [judge("params", "prompts/get", {"name": name}) for name in ("closed", "never-existed")]
    assert answers[0] == answers[1] == Deny(-32602, "Unknown prompt", "filtered")


@pytest.mark.parametrize("name", [None, 1, True, ["add"], {"name": "add"}])
def test_a_name_that_is_no_text_is_not_visible(name: Any) -> None:
    assert isinstance(judge("params", "tools/call", {"name": name}), Deny)
    assert shown("tools/list", "tools", "name", ["add", name]) == ["add"]


def test_a_call_without_a_name_is_refused_and_a_broken_list_shows_nothing() -> None:
    assert isinstance(judge("params", "tools/call", {}), Deny)
    verdict = judge("result", "tools/list", {"tools": ["secret_key", 7, {"name": "add"}]})
    assert isinstance(verdict, Replace)
    assert verdict.body["tools"] == [{"name": "add"}]


def test_a_name_written_with_escapes_or_twice_is_judged_as_what_is_sent() -> None:
    runner = Runner([GATE], DEFAULT_LIMITS)
    escaped = {"name": msgspec.Raw(b'"\\u0073ecret_key"')}
    assert isinstance(runner.judge("params", "tools/call", "server", escaped, INFO), Deny)
    twice = {"tools": msgspec.Raw(b'[{"name":"secret_key","name":"add"}]')}
    assert isinstance(runner.judge("result", "tools/list", "client", twice, INFO), Deny)


@pytest.mark.parametrize("ref", [None, 7, [], {}, {"type": "ref/prompt"}, {"type": "ref/other", "name": "closed"}])
def test_a_completion_of_nothing_visible_never_passes_for_a_visible_one(ref: Any) -> None:
    verdict = judge("params", "completion/complete", {"ref": ref})
    assert isinstance(verdict, Deny)


def test_kinds_without_rules_cost_nothing() -> None:
    runner = Runner([FilterNames({"tools": Rule(deny=("x",))})], DEFAULT_LIMITS)
    assert runner.wants("params", "tools/call", "server")
    for method in ("prompts/get", "resources/read", "completion/complete", "tools/list"):
        assert not runner.wants("params", method, "server")
    assert not Runner([], DEFAULT_LIMITS).wants("params", "tools/call", "server")


# ---- hooks in general -----------------------------------------------------------------------------------------------

SLOT = Pattern("params", "tools/*", "server", ("name",))


class Says(Hook):
    """Answers what it was given: a verdict, a coroutine's verdict, an exception, or nonsense."""

    slots = (SLOT,)

    def __init__(self, answer: Any, *, later: bool = False) -> None:
        self.answer = answer
        self.later = later
        self.seen: list[Any] = []

    def judge(self, slot: Slot, body: dict[str, Any], info: CallInfo) -> Verdict | Awaitable[Verdict]:
        self.seen.append(body.get("name"))
        return self._later() if self.later else self._now()

    def _now(self) -> Verdict:
        if isinstance(self.answer, Exception):
            raise self.answer
        verdict: Verdict = self.answer
        return verdict

    async def _later(self) -> Verdict:
        await turn()
        return self._now()


async def verdict_of(*hooks: Hook, body: dict[str, Any] | None = None) -> Verdict:
    runner = Runner(hooks, DEFAULT_LIMITS)
    found = runner.judge("params", "tools/call", "server", body or raw({"name": "x"}), INFO)
    return await within(found) if isinstance(found, Awaitable) else found


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("answer", [ValueError("secret"), None, True, "Pass", Pass, {"pass": 1}, RecursionError()])
async def test_a_hook_that_fails_or_answers_nonsense_denies_without_a_word_of_it(answer: Any, later: bool) -> None:
    after = Says(PASS)
    verdict = await verdict_of(Says(answer, later=later), after)
    assert isinstance(verdict, Deny)
    assert (verdict.code, verdict.message) == (-32603, "The request was refused by policy")
    assert after.seen == []


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("answer", [Deny(-1, "no", "why"), Drop("why")])
async def test_the_first_refusal_ends_the_chain(answer: Verdict, later: bool) -> None:
    after = Says(PASS)
    assert await verdict_of(Says(PASS, later=later), Says(answer, later=later), after) == answer
    assert after.seen == []


@pytest.mark.parametrize("later", [False, True])
async def test_a_replaced_body_is_what_later_hooks_see_and_what_is_sent(later: bool) -> None:
    after = Says(PASS)
    verdict = await verdict_of(Says(Replace({"name": "y"}), later=later), after)
    assert after.seen == ["y"]
    assert verdict == Replace({"name": "y"})


async def test_a_body_the_decoder_would_not_open_is_denied_before_any_hook_sees_it() -> None:
    for text in (b'{"a":1,"a":2}', b"[" * 100 + b"]" * 100):
        hook = Says(PASS)
        verdict = await verdict_of(hook, body={"name": msgspec.Raw(text)})
        assert isinstance(verdict, Deny)
        assert hook.seen == []


async def test_members_no_hook_declared_stay_bytes() -> None:
    body = raw({"name": "x", "arguments": {"a": 1}})
    await verdict_of(Says(PASS), body=body)
    assert body["name"] == "x"
    assert bytes(body["arguments"]) == b'{"a":1}'
