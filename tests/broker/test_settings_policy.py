"""The sections `policy` and `hooks`: what is refused when they are read, and what one says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broker import telemetry
from broker.hooks.base import Hook
from broker.policy import hooks_of
from broker.settings import Settings, SettingsError
from broker.watch import Watch
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.rules_world import section

Json = dict[str, Any]
URL = "http://127.0.0.1:1/mcp"


def problems(tree: Json) -> str:
    with pytest.raises(SettingsError) as refused:
        Settings.build({"servers": {"files": {"url": URL}}, **tree})
    return "\n".join(refused.value.problems)


def of_server(**members: Any) -> Json:
    return {"servers": {"files": {"url": URL, **members}}}


def test_a_wrong_rule_is_refused_with_file_rule_place_and_fix(tmp_path: Path) -> None:
    file = tmp_path / "dragoman.yaml"
    rule = "{name: no-deletes, deny: \"name = 'x'\"}"
    file.write_text(f"servers: {{files: {{url: '{URL}'}}}}\npolicy:\n  rules:\n  - {rule}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        Settings.load(file)
    (line,) = refused.value.problems
    assert line.startswith(f"{file}: policy.rules.0: rule no-deletes: deny: line 1, column 6")
    assert "write `==` to compare" in line


BOTH: Json = {"policy": {"rules": [{"name": "a", "allow": "true", "deny": "true"}]}}
NEITHER: Json = {"policy": {"rules": [{"name": "a"}]}}
HOOK = "https://policy.example.com/"
KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (of_server(policy=section("deny nme == 'a'")), "servers.files.policy.rules.0: rule r1: deny: line 1, column 1"),
        (BOTH, "policy.rules.0: rule a: expected either `allow` or `deny`"),
        (NEITHER, "policy.rules.0: rule a: expected either `allow` or `deny`"),
        ({"policy": {"rules": [{"name": "a", "deny": ""}]}}, "policy.rules.0.deny"),
        ({"policy": {"rules": [{"name": "two words", "deny": "true"}]}}, "policy.rules.0.name"),
        ({"policy": {"default": "maybe"}}, "policy.default: expected"),
        ({"policy": {"rulez": []}}, "policy.rulez: unknown key"),
        ({"policy": section("deny true"), **of_server(policy=section("deny true"))}, "two rules are named r1"),
        ({"policy": section(*["deny true"] * 257)}, "policy: more than 256 rules"),
        ({"hooks": [{}]}, "hooks.0: expected either `use` or `webhook`"),
        ({"hooks": [{"use": "a:B", "webhook": HOOK, "secret": KEY}]}, "expected either `use` or `webhook`"),
        ({"hooks": [{"use": "a b"}]}, "hooks.0.use: expected package.module:Name"),
        ({"hooks": [{"use": "a:B", "secret": KEY}]}, "only a webhook has secret and slots"),
        ({"hooks": [{"webhook": HOOK}]}, "a webhook needs a secret"),
        ({"hooks": [{"webhook": HOOK, "secret": "short"}]}, "16 bytes or more"),
        ({"hooks": [{"webhook": "http://policy.example.com/", "secret": KEY}]}, "expected an https:// URL"),
        ({"hooks": [{"webhook": "http://localhost/", "secret": KEY}]}, "of this machine by its address"),
        ({"hooks": [{"webhook": "https://me@h/", "secret": KEY}]}, "without user"),
        ({"hooks": [{"webhook": "file:///etc/passwd", "secret": KEY}]}, "expected an https:// URL"),
        ({"hooks": [{"webhook": HOOK, "secret": KEY, "timeout_s": 0}]}, "hooks.0.timeout_s"),
        ({"hooks": [{"webhook": HOOK, "secret": KEY, "slots": [{"part": "x"}]}]}, "hooks.0.slots.0.part: expected"),
        (of_server(hooks=[{"use": ""}]), "servers.files.hooks.0: expected either"),
    ],
)
def test_what_cannot_be_used_is_refused_in_its_place(tree: Json, said: str) -> None:
    assert said in problems(tree)


def test_no_secret_is_shown() -> None:
    settings = Settings.build({**of_server(), "hooks": [{"webhook": HOOK, "secret": KEY}]})
    assert KEY not in repr(settings)
    assert KEY in settings.secrets()


def made(settings: Settings) -> list[Hook]:
    return hooks_of("files", settings.servers["files"], settings, DEFAULT_LIMITS, Watch(telemetry, None, 1))


def names(tree: Json) -> list[str]:
    settings = Settings.build(tree)
    return [type(hook).__name__ for hook in made(settings)]


def test_hooks_are_in_one_order_whatever_the_file_says_first() -> None:
    hook = {"webhook": HOOK, "secret": KEY}
    backend = {
        "hooks": [hook],
        "inject": [{"argument": "tenant", "value": "a"}],
        "filter": {"tools": {"deny": ["x"]}},
        "policy": section("deny name == 'x'"),
    }
    sanitise = {"rules": [{"find": ["secrets"], "action": "redact"}]}
    found = names({"sanitise": sanitise, "hooks": [hook, hook], **of_server(**backend)})
    assert found == ["Policy", "Guarded", "Guarded", "Guarded", "FilterNames", "InjectContext", "Sanitise"]
    assert names(of_server()) == []


def test_a_server_has_the_default_of_all_or_its_own() -> None:
    assert names({"policy": {"default": "deny"}, **of_server()}) == ["Policy"]
    assert names({"policy": {"default": "deny"}, **of_server(policy={"default": "allow"})}) == []


def test_a_hook_that_does_not_exist_stops_the_start() -> None:
    settings = Settings.build(of_server(hooks=[{"use": "nowhere.at_all:Hook"}]))
    with pytest.raises(ValueError, match=r"hook nowhere.at_all:Hook: cannot be imported"):
        made(settings)
