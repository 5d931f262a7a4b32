"""What becomes of a finding, by action, by place and by the caller's clearance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.hooks.base import PASS, Caller, CallInfo
from broker.hooks.clearance import Clearance, Grant
from broker.hooks.sanitise import Sanitise
from broker.hooks.sanitise_paths import path_of
from protocol_versions.base import Slot, notification, result
from tests.broker.sanitise_world import (
    AWS,
    CARD,
    IBAN,
    LEVELS,
    Json,
    finds,
    hook,
    info,
    judged,
    rule,
    shown,
    text,
    texts,
)

MAIL = "ada.lovelace@example.com"
SAID = f"card {CARD}, mail {MAIL}, key {AWS}, iban {IBAN}, pin 1234567890"

GOLDEN = {
    "allow": SAID,
    "mask": (
        "card ***************1111, mail a***@example.com, key ****************MPLE, iban ****************3000, "
        "pin 1234567890"
    ),
    "redact": (
        "card [redacted:card], mail [redacted:email], key [redacted:secret], iban [redacted:iban], pin 1234567890"
    ),
}
SETS = ("card", "email", "secrets", "iban")


@pytest.mark.parametrize("action", GOLDEN)
def test_each_action_writes_its_golden_text(action: str) -> None:
    seen = texts(shown(hook(rule(*SETS, action=action)), text(SAID)))
    assert seen == [GOLDEN[action]]


def test_a_hash_is_of_the_value_and_not_of_its_spelling_and_needs_the_key() -> None:
    hashes = hook(rule("card", action="hash"))
    spellings = (CARD, CARD.replace(" ", "-"), CARD.replace(" ", ""), CARD.replace("4", "\uff14"))
    seen = {each for said in spellings for each in texts(shown(hashes, text(said)))}
    assert len(seen) == 1
    (mark,) = seen
    assert mark.startswith("[card:")
    assert len(mark) == len("[card:]") + 16
    other = Sanitise([rule("card", action="hash")], Clearance(LEVELS), key=b"o" * 32)
    assert texts(shown(other, text(CARD))) != [mark]


def test_a_dropped_finding_takes_the_least_that_holds_it() -> None:
    drops = hook(rule("card", action="drop"))
    assert texts(shown(drops, text("a", CARD, "b"))) == ["a", "b"]
    structured = {"users": [{"n": "ada", "card": CARD}, {"n": "bob"}], "list": [CARD, "x"]}
    seen = shown(drops, {"content": [], "structuredContent": structured})
    assert seen["structuredContent"] == {"users": [{"n": "ada"}, {"n": "bob"}], "list": ["x"]}
    tools = {"tools": [{"name": "a", "description": CARD, "inputSchema": {}}]}
    assert shown(drops, tools, result("tools/list")) == {"tools": [{"name": "a", "inputSchema": {}}]}
    progress = {"progressToken": 1, "progress": 1, "message": CARD}
    told = shown(drops, progress, notification("notifications/progress"))
    assert told == {"progressToken": 1, "progress": 1}
    failed: Json = {"code": -1, "message": f"no {CARD}"}
    assert shown(drops, failed, Slot("error", "tools/call", "client"))["message"] == "no [redacted:card]"


def test_a_denied_finding_withholds_the_message() -> None:
    denies = hook(rule("card", action="deny"), rule("email"))
    assert shown(denies, text(f"{MAIL} {CARD}")) == {"denied": "sanitised:card"}
    assert texts(shown(denies, text(MAIL))) == ["[redacted:email]"]


def test_of_two_rules_the_stricter_holds_where_their_findings_meet() -> None:
    both = hook(rule("email", action="mask"), rule("email", action="hash"), rule("example", action="drop"))
    assert texts(shown(both, text("a@b.cc"))) == texts(shown(hook(rule("email", action="hash")), text("a@b.cc")))
    assert texts(shown(both, text(f"x {MAIL}", "y"))) == ["y"]


def test_a_rule_holds_for_its_methods_and_targets_alone() -> None:
    one = hook(rule("email", methods=("tools/call",), targets=("get_*",)))
    assert texts(shown(one, text(MAIL), None, info(target="get_user"))) == ["[redacted:email]"]
    assert texts(shown(one, text(MAIL), None, info(target="put_user"))) == [MAIL]
    # Lists say what results have to be like.
    assert {(pattern.methods, pattern.members) for pattern in one.slots} == {("tools/call", ()), ("tools/list", ())}
    other = hook(rule("email", methods=("prompts/get",)))
    assert {(pattern.methods, pattern.members) for pattern in other.slots} == {("prompts/get", ())}


def test_what_no_rule_covers_is_not_opened() -> None:
    opens = hook(rule("email"))
    broken = {"_meta": {"a": "x"}}
    told = info(who="key:cleared")
    assert judged(opens, broken, None, told) == PASS


def test_what_was_done_is_told_without_quoting_it() -> None:
    heard: list[tuple[str, str]] = []

    def note(_: CallInfo, method: str, what: str) -> None:
        heard.append((method, what))

    shown(hook(rule("email", "card", action="hash"), note=note), text(MAIL, CARD, MAIL))
    assert heard == [("tools/call", "hash:email"), ("tools/call", "hash:card")]


PATHS: list[tuple[str, Any, Any]] = [
    ("$.structuredContent.user.ssn", {"user": {"ssn": 5, "n": 1}}, {"user": {"ssn": "[redacted:field]", "n": 1}}),
    ("$..ssn", {"a": [{"ssn": {"x": 1}}]}, {"a": [{"ssn": "[redacted:field]"}]}),
    ("$.structuredContent.list[1]", {"list": ["a", "b"]}, {"list": ["a", "[redacted:field]"]}),
    ("$.structuredContent.list[*].k", {"list": [{"k": None}, 3]}, {"list": [{"k": "[redacted:field]"}, 3]}),
    ("$.structuredContent['a b'].*", {"a b": {"c": True}}, {"a b": {"c": "[redacted:field]"}}),
    ('$..["k"]..x', {"k": {"y": {"x": 1}}, "x": 2}, {"k": {"y": {"x": "[redacted:field]"}}, "x": 2}),
    ("$.structuredContent.none", {"k": 1}, {"k": 1}),
]


@pytest.mark.parametrize(("path", "before", "after"), PATHS)
def test_a_path_names_values_of_any_kind_and_their_text_twin_follows(path: str, before: Any, after: Any) -> None:
    seen = shown(hook(rule(paths=(path,))), {**text(json.dumps(before)), "structuredContent": before})
    assert seen["structuredContent"] == after
    assert json.loads(texts(seen)[0]) == after


def test_a_path_holds_in_json_within_texts() -> None:
    seen = shown(hook(rule(paths=("$..password",), action="drop")), text('{"user": {"password": "p", "n": 1}}', "x"))
    assert [json.loads(texts(seen)[0]), texts(seen)[1]] == [{"user": {"n": 1}}, "x"]


def test_a_path_to_what_may_not_change_takes_what_holds_it() -> None:
    tools = {"tools": [{"name": "a", "inputSchema": {}}]}
    assert shown(hook(rule(paths=("$.tools[*].name",))), tools, result("tools/list")) == {"tools": []}
    assert shown(hook(rule(paths=("$.content",))), text("a")) == {"denied": "sanitised:fixed"}
    assert shown(hook(rule(paths=("$.structuredContent",))), {**text("a"), "structuredContent": {"a": 1}}) == text("a")


@pytest.mark.parametrize(
    "path", ["", "a", "$", "$.", "$[-1]", "$[1:2]", "$[?(@.a)]", "$.a[", "$['a','b']", "$" + ".a" * 33]
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        path_of(path)


GRANTS = Clearance(
    LEVELS,
    0,
    (
        Grant(1, principals=("key:ops-*",)),
        Grant(1, kinds=("certificate",)),
        Grant(2, claims=(("groups", ("security",)),), scopes=("read:all",)),
        Grant(2, claims=(("realm.role", ("root", 7)),)),
    ),
)


@pytest.mark.parametrize(
    ("caller", "level"),
    [
        (Caller(), 0),
        (Caller("key:ops-1", "key"), 1),
        (Caller("KEY:ops-1", "key"), 0),
        (Caller("x", "certificate"), 1),
        (Caller("t", "token", {"groups": ["dev", "security"]}, frozenset(("read:all", "x"))), 2),
        (Caller("t", "token", {"groups": ["dev", "security"]}), 0),
        (Caller("t", "token", {"groups": "security"}, frozenset(("read:all",))), 2),
        (Caller("t", "token", {"groups": {"security": 1}}, frozenset(("read:all",))), 0),
        (Caller("t", "token", {"realm": {"role": "root"}}), 2),
        (Caller("t", "token", {"realm": {"role": 7}}), 2),
        (Caller("t", "token", {"realm": {"role": "7"}}), 0),
        (Caller("t", "token", {"realm": {"role": True}}), 0),
        (Caller("t", "token", client_name="security"), 0),
    ],
)
def test_clearance_is_the_highest_level_whose_conditions_are_all_proven(caller: Caller, level: int) -> None:
    assert GRANTS.level_of(caller) == level


def test_the_caller_of_each_message_decides_what_it_sees() -> None:
    levels = Sanitise([rule("email", action=("drop", "mask", "allow"))], GRANTS)
    for caller, seen in (
        (Caller(), []),
        (Caller("key:ops-1", "key"), ["a***@example.com"]),
        (Caller("t", "token", {"realm": {"role": 7}}), [MAIL]),
    ):
        assert texts(shown(levels, text(MAIL), None, CallInfo("tools/call", "x", "p", "b", caller=caller))) == seen


def test_built_in_sets_and_own_expressions_are_found_by_name() -> None:
    assert [detector.name for detector in finds("card", "own-thing")] == ["card", "own"]
    assert texts(shown(hook(rule(r"pin (\d{4})")), text("pin 1234 ok"))) == ["pin [redacted:own] ok"]
    assert shown(hook(rule(r"pin=(\d{4})")), {"content": [], "structuredContent": {"pin": "1234"}})[
        "structuredContent"
    ] == {"pin": "[redacted:own]"}
