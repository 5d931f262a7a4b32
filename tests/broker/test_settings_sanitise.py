"""The `clearance` and `sanitise` sections: what is accepted, and what is refused when the file is read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from broker import telemetry
from broker.hooks.base import Caller, CallInfo, Hook
from broker.hooks.sanitise import Sanitise
from broker.policy import hooks_of
from broker.settings import Settings, SettingsError
from broker.watch import Watch
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.sanitise_world import CARD, Json, shown, text, texts
from tests.broker.test_readme import blocks

SERVERS = {"files": {"url": "http://127.0.0.1:3000/mcp"}, "crm": {"url": "http://127.0.0.1:3001/mcp"}}
LEVELS: Json = {"levels": ["public", "secret"], "grants": [{"level": "secret", "claims": {"groups": ["a", "b"]}}]}


def hooks(server: str, **sections: Any) -> list[Hook]:
    settings = Settings.build({"servers": SERVERS, **sections})
    watch = Watch(telemetry, None, 1)
    return hooks_of(server, settings.servers[server], settings, DEFAULT_LIMITS, watch)


def test_a_rule_becomes_a_hook_of_the_servers_it_names_alone() -> None:
    rules = {"rules": [{"find": ["card"], "servers": ["cr*"], "action": {"public": "redact", "secret": "allow"}}]}
    assert hooks("files", sanitise=rules, clearance=LEVELS) == []
    (hook,) = hooks("crm", sanitise=rules, clearance=LEVELS)
    assert isinstance(hook, Sanitise)
    for claims, seen in (({}, "[redacted:card]"), ({"groups": ["b"]}, CARD)):
        told = CallInfo("tools/call", "x", "p", "crm", caller=Caller("p", "token", claims))
        assert texts(shown(hook, text(CARD), None, told)) == [seen]
    assert telemetry.counts["sanitised", "crm", "tools/call", "redact:card"] > 0


def test_a_level_that_is_not_named_takes_the_action_of_the_next_lower_one() -> None:
    levels = {"levels": ["a", "b", "c"], "default": "b"}
    rules = {"rules": [{"find": ["card"], "action": {"a": "drop", "c": "allow"}}]}
    (hook,) = hooks("crm", sanitise=rules, clearance=levels)
    assert texts(shown(hook, text(CARD, "x"))) == ["x"]


WRONG: list[tuple[Json, str]] = [
    ({"sanitise": {"rules": [{"find": ["cards"]}]}}, "cards is none of"),
    ({"sanitise": {"rules": [{}]}}, "needs `find` or `paths`"),
    ({"sanitise": {"rules": [{"find": ["card"], "action": {}}]}}, "lowest level"),
    ({"sanitise": {"rules": [{"find": ["card"], "action": {"root": "allow"}}]}}, "levels of public"),
    ({"sanitise": {"rules": [{"find": ["card"], "action": {"secret": "allow"}}]}, "clearance": LEVELS}, "public among"),
    ({"sanitise": {"rules": [{"find": ["card"], "action": "delete"}]}}, "rules"),
    ({"sanitise": {"rules": [{"paths": ["$.a[?(@.b)]"]}]}}, "expected a path"),
    ({"sanitise": {"detectors": {"x": r"(?=a)b"}}}, "not an expression of RE2"),
    ({"sanitise": {"detectors": {"x": r"(a)\1"}}}, "not an expression of RE2"),
    ({"sanitise": {"detectors": {"x": "a*"}}}, "empty text"),
    ({"sanitise": {"detectors": {"x": "a" * 1001}}}, "1 to 1000"),
    ({"sanitise": {"detectors": {"card": "a"}}}, "built in"),
    ({"sanitise": {"hash_key": "short"}}, "at least 16"),
    ({"sanitise": {"bounds": {"time_s": 0}}}, "time_s"),
    ({"clearance": {"levels": []}}, "levels"),
    ({"clearance": {"levels": ["a", "a"]}}, "twice"),
    ({"clearance": {"levels": ["a"], "default": "b"}}, "none of the levels"),
    ({"clearance": {"levels": ["a"], "grants": [{"level": "b", "scopes": ["x"]}]}}, "none of the levels"),
    ({"clearance": {"levels": ["a"], "grants": [{"level": "a"}]}}, "without conditions"),
]


@pytest.mark.parametrize(("sections", "why"), WRONG)
def test_what_cannot_hold_is_refused_when_the_file_is_read(sections: Json, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.build({"servers": SERVERS, **sections})
    assert why in str(caught.value)


def test_the_readmes_example_is_accepted() -> None:
    (example,) = [block for block in blocks("yaml") if block.startswith("clearance:")]
    settings = Settings.build({"servers": SERVERS, **yaml.safe_load(example)})
    assert len(settings.sanitise.rules) == 5


def test_the_key_of_hashes_is_a_secret() -> None:
    canary = "canary-key-0123456789"
    settings = Settings.build({"servers": SERVERS, "sanitise": {"hash_key": canary}})
    assert canary not in repr(settings)
    assert canary in settings.secrets()
