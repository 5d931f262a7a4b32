"""Rules at every door: the names of what is hidden, by whichever way they are asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broker.hooks.base import PASS, Caller, Deny, Hook, Pass, Pattern, Replace, Verdict
from broker.hooks.memory import MAX_ANNOTATIONS, MAX_TOOLS
from broker.hooks.runner import Runner
from protocol_versions.base import Side
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.rules_world import ANN, BOB, info, judging, policy

Json = dict[str, Any]


def raw(body: Json) -> Json:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}


def said(
    runner: Runner, part: Any, method: str, body: Json, caller: Caller = ANN, *, toward: Side | None = None,
    target: str | None = None,
) -> Verdict:  # fmt: skip
    side: Side = toward or ("server" if part in ("params", "notification") else "client")
    verdict = runner.judge(part, method, side, raw(body), info(method, caller, target))
    assert isinstance(verdict, Verdict)
    return verdict


RULES = (
    "deny kind == 'tool' && name.startsWith('delete_') && principal != 'ann'",
    "deny kind == 'prompt' && name == 'secret' && !('write' in scopes)",
    "deny kind == 'resource' && name.startsWith('file:///etc/') && principal != 'ann'",
    "deny kind == 'template' && name.startsWith('db://') && principal != 'ann'",
)
HIDDEN = {
    "tools": "delete_file",
    "prompts": "secret",
    "resources": "file:///etc/passwd",
    "templates": "db://{table}",
}
SHOWN = {"tools": "read_file", "prompts": "open", "resources": "file:///srv/a", "templates": "file:///{path}"}
DOORS: list[tuple[str, str, str, Any]] = [
    ("tools", "params", "tools/call", lambda name: {"name": name}),
    ("prompts", "params", "prompts/get", lambda name: {"name": name}),
    ("prompts", "params", "completion/complete", lambda name: {"ref": {"type": "ref/prompt", "name": name}}),
    ("resources", "params", "resources/read", lambda name: {"uri": name}),
    ("resources", "params", "resources/subscribe", lambda name: {"uri": name}),
    ("resources", "params", "resources/unsubscribe", lambda name: {"uri": name}),
    ("resources", "params", "completion/complete", lambda name: {"ref": {"type": "ref/resource", "uri": name}}),
    ("templates", "params", "completion/complete", lambda name: {"ref": {"type": "ref/resource", "uri": name}}),
    ("resources", "notification", "notifications/resources/updated", lambda name: {"uri": name}),
]
LISTS = {
    "tools": ("tools/list", "tools", "name"),
    "prompts": ("prompts/list", "prompts", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "templates": ("resources/templates/list", "resourceTemplates", "uriTemplate"),
}


@pytest.mark.parametrize(("kind", "part", "method", "body"), DOORS, ids=[f"{door[0]} {door[2]}" for door in DOORS])
def test_what_a_caller_may_not_list_no_door_gives_and_another_caller_gets_it(
    kind: str, part: str, method: str, body: Any
) -> None:
    """C138, C142, C143, C148."""
    runner = judging(*RULES)
    toward: Side = "client" if part == "notification" else "server"
    for caller, name, open_ in ((BOB, HIDDEN, False), (BOB, SHOWN, True), (ANN, HIDDEN, True)):
        verdict = said(runner, part, method, body(name[kind]), caller, toward=toward)
        assert isinstance(verdict, Pass) == open_, (caller.principal, name[kind])
        if not open_:
            assert isinstance(verdict, Deny)
            assert verdict.reason.startswith("policy:r")
            assert name[kind] not in verdict.message


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_is_what_its_caller_may_use(kind: str) -> None:
    """C147: each page is judged by itself."""
    method, member, key = LISTS[kind]
    runner = judging(*RULES)
    page = {member: [{key: HIDDEN[kind]}, {key: SHOWN[kind]}, {key: 7}, "x", {}], "nextCursor": "c"}
    verdict = said(runner, "result", method, page, BOB)
    assert isinstance(verdict, Replace)
    assert verdict.body[member] == [{key: SHOWN[kind]}]
    verdict = said(runner, "result", method, {member: [{key: HIDDEN[kind]}]}, ANN)
    assert verdict == PASS


def test_only_the_uris_a_caller_may_read_are_listened_to() -> None:
    runner = judging(*RULES)
    wanted = {"resourceSubscriptions": [HIDDEN["resources"], SHOWN["resources"], 7], "toolsListChanged": True}
    verdict = said(runner, "params", "subscriptions/listen", {"notifications": wanted}, BOB)
    assert isinstance(verdict, Replace)
    kept = {"resourceSubscriptions": [SHOWN["resources"]], "toolsListChanged": True}
    assert verdict.body["notifications"] == kept


@pytest.mark.parametrize(
    "name",
    [
        "delete_file\0", "delete\u200d_file", "de\u200blete_file", "\ufeffdelete_file", "delete_\nx",
        "delete_" + "x" * 10_000, None, 7, ["delete_file"], {"name": "delete_file"}, True,
    ],
)  # fmt: skip
def test_what_has_no_plain_name_does_not_exist(name: Any) -> None:
    """C138, C140."""
    verdict = said(judging(*RULES), "params", "tools/call", {"name": name}, BOB)
    assert isinstance(verdict, Deny)
    assert (verdict.code, verdict.message) == (-32602, "Unknown tool")


SPELLINGS = [
    "FILE:///etc/passwd", "file:///srv/../etc/passwd", "file:///srv/%2e%2e/etc/passwd", "file:///%65tc/passwd",
    "file:////etc/passwd", "file:///etc/passwd#x", "file:///srv/%252e%252e/etc/passwd", "file:///./etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("uri", SPELLINGS)
@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe", "resources/unsubscribe"])
def test_a_hidden_resource_is_hidden_in_every_spelling(uri: str, method: str) -> None:
    """C142."""
    assert isinstance(said(judging(*RULES), "params", method, {"uri": uri}, BOB), Deny)
    allowed = judging("allow kind == 'resource' && name.startsWith('file:///srv/')", default="deny")
    assert isinstance(said(allowed, "params", method, {"uri": uri}, ANN), Deny)


@pytest.mark.parametrize("uri", ["file:///srv/a", "file:///srv/a%20b", "file:///srv/a#x"])
def test_a_rule_that_allows_may_name_a_uri_as_it_is_written(uri: str) -> None:
    runner = judging(f"allow kind == 'resource' && name == '{uri}'", default="deny")
    assert said(runner, "params", "resources/read", {"uri": uri}) == PASS


def test_a_method_may_be_refused_while_the_thing_stays_visible() -> None:
    runner = judging("deny method == 'resources/subscribe' || method == 'logging/setLevel'")
    assert said(runner, "params", "resources/read", {"uri": "a:b"}) == PASS
    assert isinstance(said(runner, "params", "resources/subscribe", {"uri": "a:b"}), Deny)
    assert isinstance(said(runner, "params", "logging/setLevel", {"level": "info"}), Deny)
    assert said(runner, "params", "tools/list", {}) == PASS
    wanted = {"notifications": {"resourceSubscriptions": ["a:b"]}}
    verdict = said(runner, "params", "subscriptions/listen", wanted)
    assert isinstance(verdict, Replace)
    assert verdict.body["notifications"] == {"resourceSubscriptions": []}


@pytest.mark.parametrize("method", ["completion/complete", "logging/setLevel", "x/y", "tasks/get", "tools/call"])
def test_without_a_rule_for_it_nothing_passes_a_default_that_denies(method: str) -> None:
    """C164."""
    runner = judging("allow kind == 'prompt' && name == 'a'", default="deny")
    assert isinstance(said(runner, "params", method, {"name": "a", "taskId": "t"}), Deny)
    assert isinstance(said(runner, "notification", "notifications/x", {}), Deny)
    assert said(runner, "params", "tools/list", {}) == PASS
    assert said(runner, "params", "initialize", {}) == PASS
    assert said(runner, "notification", "notifications/initialized", {}) == PASS


def test_a_caller_who_is_denied_everything_gets_nothing_at_all() -> None:
    runner = judging("deny principal == 'bob'")
    for method in ("initialize", "ping", "tools/list", "tools/call", "x/y", "server/discover", "subscriptions/listen"):
        assert isinstance(said(runner, "params", method, {"name": "a"}, BOB), Deny)
        assert said(runner, "params", method, {"name": "a"}, ANN) == PASS


# ---- arguments ------------------------------------------------------------------------------------------------------

OUTSIDE = "deny kind == 'tool' && name == 'read' && !arguments.path.startsWith('/srv/')"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (b'{"path":"/srv/a"}', True),
        (b'{"path":"\\u002fsrv/a"}', True),
        (b'{"path":"/etc"}', False),
        (b'{"path":"\\u002fetc"}', False),
        (b'{"path":"/etc","path":"/srv/a"}', False),
        (b'{"path":["/srv/a"]}', False),
        (b'{"path":7}', False),
        (b'{"Path":"/srv/a"}', False),
        (b'["/srv/a"]', False),
        (b'"/srv/a"', False),
        (b"{}", False),
        (b"null", False),
    ],
)
def test_arguments_are_judged_as_they_are_sent(text: bytes, allowed: bool) -> None:
    """C159."""
    body = {"name": msgspec.Raw(b'"read"'), "arguments": msgspec.Raw(text)}
    verdict = judging(OUTSIDE).judge("params", "tools/call", "server", body, info("tools/call"))
    assert isinstance(verdict, Pass) == allowed
    if not isinstance(verdict, Pass):
        assert isinstance(verdict, Deny)
        assert "Unknown" not in verdict.message  # the tool is there to be seen
    if allowed:
        assert isinstance(body["arguments"], dict)


def test_arguments_stay_closed_where_no_rule_looks_at_them() -> None:
    body = raw({"name": "read", "arguments": {"path": "/etc"}})
    assert judging(RULES[0]).judge("params", "tools/call", "server", body, info("tools/call")) == PASS
    assert isinstance(body["arguments"], msgspec.Raw)


class Rewrites(Hook):
    """Changes what is asked for."""

    slots = (Pattern("params", "tools/call", "server"),)

    def __init__(self, **members: Any) -> None:
        self.members = members

    def judge(self, slot: Any, body: Json, info: Any) -> Verdict:
        return Replace({**body, **self.members})


@pytest.mark.parametrize(
    ("members", "allowed"),
    [
        ({"name": "delete_all"}, False),
        ({"arguments": {"path": "/etc"}}, False),
        ({"arguments": {"path": "/srv/b"}}, True),
    ],
)
def test_what_a_later_hook_makes_of_a_request_is_judged_again(members: Json, allowed: bool) -> None:
    runner = Runner([policy(OUTSIDE, "deny name == 'delete_all'"), Rewrites(**members)], DEFAULT_LIMITS)
    verdict = said(runner, "params", "tools/call", {"name": "read", "arguments": {"path": "/srv/a"}})
    assert isinstance(verdict, Replace) == allowed


# ---- tasks, questions, annotations ----------------------------------------------------------------------------------


def test_a_task_of_a_tool_that_is_hidden_now_is_unknown() -> None:
    """C144."""
    first = policy(RULES[0])
    runner = Runner([first], DEFAULT_LIMITS)
    made = {"task": {"taskId": "t1", "status": "working"}}
    assert said(runner, "result", "tools/call", made, BOB, target="read_file") == PASS
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        assert said(runner, "params", method, {"taskId": "t1"}, BOB) == PASS
    runner.replace([policy(RULES[0], "deny name == 'read_file'", memory=first.memory)])
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        verdict = said(runner, "params", method, {"taskId": "t1"}, BOB)
        assert isinstance(verdict, Deny)
        assert verdict.message == "Unknown task"
    listed = said(runner, "result", "tasks/list", {"tasks": [{"taskId": "t1"}, {"taskId": "t2"}]}, BOB)
    assert isinstance(listed, Replace)
    assert listed.body["tasks"] == [{"taskId": "t2"}]


@pytest.mark.parametrize("task_id", [None, 7, ["t1"], {}])
def test_a_task_without_a_plain_id_is_nobodys(task_id: Any) -> None:
    runner = judging(RULES[0])
    assert said(runner, "result", "tools/call", {"task": {"taskId": task_id}}, BOB, target="read_file") == PASS
    assert said(runner, "params", "tasks/get", {"taskId": task_id}, BOB) == PASS


def test_tools_that_are_hidden_are_not_offered_to_a_model_either() -> None:
    """C144."""
    tools = [{"name": "delete_file"}, {"name": "read_file"}, {}]
    verdict = said(judging(*RULES), "params", "sampling/createMessage", {"tools": tools}, BOB, toward="client")
    assert isinstance(verdict, Replace)
    assert verdict.body["tools"] == [{"name": "read_file"}]


def test_a_question_may_be_refused_by_its_method_and_is_not_by_the_default() -> None:
    refused = judging("deny method == 'elicitation/create'", default="deny")
    assert isinstance(said(refused, "params", "elicitation/create", {}, toward="client"), Deny)
    assert said(refused, "params", "roots/list", {}, toward="client") == PASS


def test_annotations_are_those_of_the_last_list() -> None:
    runner = judging("deny kind == 'tool' && has(annotations.destructiveHint) && annotations.destructiveHint == true")
    assert said(runner, "params", "tools/call", {"name": "a"}) == PASS
    tools = [{"name": "a", "annotations": {"destructiveHint": True}}, {"name": "b"}]
    listed = said(runner, "result", "tools/list", {"tools": tools})
    assert isinstance(listed, Replace)
    assert listed.body["tools"] == [{"name": "b"}]
    assert isinstance(said(runner, "params", "tools/call", {"name": "a"}), Deny)
    said(runner, "result", "tools/list", {"tools": [{"name": "a", "annotations": {"destructiveHint": False}}]})
    assert said(runner, "params", "tools/call", {"name": "a"}) == PASS


@pytest.mark.parametrize("odd", [None, 7, ["x"], {"destructiveHint": True, "text": "x" * MAX_ANNOTATIONS}])
def test_annotations_that_are_none_or_too_long_are_not_known(odd: Any) -> None:
    hook = policy("deny has(annotations.destructiveHint) && annotations.destructiveHint == true")
    runner = Runner([hook], DEFAULT_LIMITS)
    said(runner, "result", "tools/list", {"tools": [{"name": "a", "annotations": {"destructiveHint": True}}]})
    assert list(hook.memory.annotations) == ["a"]
    said(runner, "result", "tools/list", {"tools": [{"name": "a", "annotations": odd}, {"name": 7}, "x"]})
    assert hook.memory.annotations == {}
    assert said(runner, "params", "tools/call", {"name": "a"}) == PASS


def test_what_is_remembered_of_tools_is_bounded() -> None:
    hook = policy("deny has(annotations.x) && annotations.x == 1")
    runner = Runner([hook], DEFAULT_LIMITS)
    for page in range(2):
        tools = [{"name": f"{page}-{n}", "annotations": {"x": 2}} for n in range(MAX_TOOLS)]
        said(runner, "result", "tools/list", {"tools": tools})
        assert len(hook.memory.annotations) == MAX_TOOLS
    assert all(name.startswith("1-") for name in hook.memory.annotations)


def test_the_default_does_not_silence_a_server_and_a_rule_does() -> None:
    runner = judging("deny principal == 'bob'", default="deny")
    told = {"level": "info", "data": "x"}
    assert said(runner, "notification", "notifications/message", told, ANN, toward="client") == PASS
    assert isinstance(said(runner, "notification", "notifications/message", told, BOB, toward="client"), Deny)


def test_a_list_of_tasks_that_is_none_stays_as_it_is() -> None:
    assert said(judging(RULES[0]), "result", "tasks/list", {"tasks": "x"}, BOB) == PASS


# ---- cost -----------------------------------------------------------------------------------------------------------


def test_messages_that_no_rule_can_deny_are_not_judged_at_all() -> None:
    runner = judging("deny kind == 'tool' && name == 'a'")
    assert runner.wants("params", "tools/call", "server")
    for method in ("prompts/get", "resources/read", "completion/complete", "initialize", "tools/list", "x/y"):
        assert not runner.wants("params", method, "server")
    assert not runner.wants("result", "prompts/list", "client")
    assert not runner.wants("notification", "notifications/cancelled", "server")


def test_a_review_refuses_what_is_denied_now() -> None:
    runner = judging("deny principal == 'bob' && (kind == 'tool' || method == 'x/y')")
    assert runner.review(info("tools/call", ANN, "a")) is None
    assert isinstance(runner.review(info("tools/call", BOB, "a")), Deny)
    assert isinstance(runner.review(info("x/y", BOB)), Deny)
    assert runner.review(info("prompts/get", BOB, "a")) is None
    assert runner.review(info("completion/complete", BOB, "a")) is None
