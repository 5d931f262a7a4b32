"""Context injection as a hook: what requests are given, what lists hide, what is refused (C006, C065, C154)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from broker.hooks.base import PASS, Body, Caller, CallInfo, Deny, Hook, Pattern, Replace, Verdict
from broker.hooks.inject_context import InjectContext, Injection, Source
from broker.hooks.runner import Runner
from broker.settings import Settings, SettingsError
from protocol_versions.base import Slot
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.scripted_backend import Json
from tests.broker.test_readme import blocks

CALLER = Caller("key:ada", "token", {"tenant": "acme", "org": {"id": 7}, "odd": "a\r\nX: b"}, frozenset(("b", "a")))
TENANT = Injection("argument", "tenant_id", Source("claim", "tenant"))


def judged(hooks: list[Hook], body: Json, method: str = "tools/call", part: str = "params", **more: Any) -> Verdict:
    info = CallInfo(more.get("root", method), more.get("target", "x"), "key:ada", "crm", caller=more.get("by", CALLER))
    raw: Body = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}
    toward: Any = "server" if part == "params" else "client"
    verdict = Runner(hooks, DEFAULT_LIMITS).judge(part, method, toward, raw, info)
    assert isinstance(verdict, Verdict)
    return verdict


def sent(injections: list[Injection], body: Json, method: str = "tools/call", **more: Any) -> tuple[Json, Any]:
    """What a backend is sent, and the headers; or the code and the reason of a refusal."""
    verdict = judged([InjectContext(injections)], body, method, **more)
    if isinstance(verdict, Deny):
        return {"refused": verdict.code}, verdict.reason
    if verdict == PASS:
        return body, ()
    assert isinstance(verdict, Replace)
    return msgspec.json.decode(msgspec.json.encode(verdict.body)), verdict.headers


SOURCES: list[tuple[Source, Any]] = [
    (Source("value", {"deep": [1]}), {"deep": [1]}),
    (Source("claim", "tenant"), "acme"),
    (Source("claim", "org.id"), 7),
    (Source("caller", "principal"), "key:ada"),
    (Source("caller", "scopes"), "a b"),
    (Source("request", "method"), "tools/call"),
    (Source("request", "target"), "x"),
    (Source("request", "backend"), "crm"),
    (Source("request", "round"), 1),
]


@pytest.mark.parametrize(("source", "value"), SOURCES)
def test_a_value_comes_from_a_constant_the_credential_or_the_request(source: Source, value: Any) -> None:
    body, _ = sent([Injection("argument", "given", source)], {"name": "x", "arguments": {"a": 1}})
    assert body == {"name": "x", "arguments": {"a": 1, "given": value}}
    body, _ = sent([Injection("meta", "com.example/given", source)], {"name": "x", "_meta": {"progressToken": 1}})
    assert body == {"name": "x", "_meta": {"progressToken": 1, "com.example/given": value}}


def test_a_call_without_arguments_is_given_them() -> None:
    assert sent([TENANT], {"name": "x"}) == ({"name": "x", "arguments": {"tenant_id": "acme"}}, ())


SPELLINGS = ["tenant_id", "TENANT_ID", "Tenant_Id", "tenant\uff3fid", "\uff54enant_id"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_c154_a_client_that_sends_an_injected_argument_is_refused_or_overruled(name: str) -> None:
    body = {"name": "x", "arguments": {name: "evil", "a": 1}}
    assert sent([TENANT], body) == ({"refused": -32602}, "injected-argument")
    overruled = Injection("argument", "tenant_id", Source("claim", "tenant"), given="overwrite")
    assert sent([overruled], body)[0]["arguments"] == {"a": 1, "tenant_id": "acme"}


def test_c154_and_c006_other_names_are_data() -> None:
    for arguments in ({"filter": {"tenant_id": "evil"}}, {"__proto__": {"tenant_id": "evil"}}, {"tenant_id2": 1}):
        assert sent([TENANT], {"name": "x", "arguments": arguments})[0]["arguments"] == {
            **arguments,
            "tenant_id": "acme",
        }
    assert isinstance(judged([InjectContext([TENANT])], {"name": "x", "arguments": ["tenant_id"]}), Deny)


def test_c002_an_argument_that_is_there_twice_is_refused() -> None:
    raw: Body = {"name": msgspec.Raw(b'"x"'), "arguments": msgspec.Raw(b'{"tenant_id":1,"tenant_id":2}')}
    info = CallInfo("tools/call", "x", "p", "b", caller=CALLER)
    verdict = Runner([InjectContext([TENANT])], DEFAULT_LIMITS).judge("params", "tools/call", "server", raw, info)
    assert isinstance(verdict, Deny)


def test_a_request_that_was_given_the_value_already_has_it_once() -> None:
    once, _ = sent([TENANT], {"name": "x", "arguments": {"a": 1}})
    assert sent([TENANT], once)[0] == once


def test_what_is_missing_refuses_or_is_left_out_and_a_clients_own_never_passes_for_it() -> None:
    nobody = Caller("anonymous", "anonymous")
    assert sent([TENANT], {"name": "x"}, by=nobody) == ({"refused": -32603}, "inject-missing:tenant_id")
    for given in ("refuse", "overwrite"):
        omits = Injection("argument", "tenant_id", Source("claim", "tenant"), missing="omit", given=given)
        assert sent([omits], {"name": "x", "arguments": {"a": 1}}, by=nobody)[0]["arguments"] == {"a": 1}
        body, reason = sent([omits], {"name": "x", "arguments": {"tenant_id": "evil"}}, by=nobody)
        assert (body, reason) == (
            ({"refused": -32602}, "injected-argument") if given == "refuse" else ({"name": "x", "arguments": {}}, ())
        )
    meta = Injection("meta", "com.example/tenant", Source("claim", "tenant"), missing="omit")
    assert sent([meta], {"name": "x", "_meta": {"com.example/tenant": "evil"}}, by=nobody)[0]["_meta"] == {}


def test_a_clients_own_member_of_meta_is_replaced() -> None:
    meta = Injection("meta", "com.example/tenant", Source("claim", "tenant"))
    body = {"uri": "a", "_meta": {"com.example/tenant": "evil", "x": 1}}
    assert sent([meta], body, "resources/read")[0]["_meta"] == {"x": 1, "com.example/tenant": "acme"}


def test_c065_a_header_is_one_line_of_visible_ascii_or_the_request_is_not_sent() -> None:
    headers = [
        Injection("header", "X-Tenant", Source("claim", "tenant")),
        Injection("header", "X-Org", Source("claim", "org.id"), methods=("tools/*",)),
        Injection("header", "X-Flag", Source("value", True), targets=("y",)),
    ]
    assert sent(headers, {"name": "x"}) == ({"name": "x"}, (("X-Tenant", "acme"), ("X-Org", "7")))
    assert sent(headers, {"name": "y"}, target="y")[1][-1] == ("X-Flag", "true")
    assert sent(headers, {"uri": "a"}, "resources/read") == ({"uri": "a"}, (("X-Tenant", "acme"),))
    for value in ("a\r\nX: b", "a\nb", "größe", "", " a", "a ", "a\x00", "a\tb", "a" * 8193, ["a"], {"a": 1}, "\x7f"):
        wrong = [Injection("header", "X-Tenant", Source("value", value))]
        body, reason = sent(wrong, {"name": "x"})
        assert "refused" in body, value
        assert str(value) not in reason or value == ""


SCHEMA: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "tenant_id": {"type": "string", "x-mcp-header": "Tenant"}},
    "required": ["a", "tenant_id"],
    "dependentRequired": {"tenant_id": ["a"], "a": ["tenant_id"]},
    "allOf": [{"required": ["tenant_id"]}, {"$ref": "#/$defs/More"}],
    "if": {"properties": {"tenant_id": {"const": "x"}}},
    "$defs": {
        "More": {"properties": {"Tenant_ID": {}, "b": {}}},
        "Part": {"properties": {"tenant_id": {}}},
    },
}
HIDDEN: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "dependentRequired": {"a": []},
    "allOf": [{"required": []}, {"$ref": "#/$defs/More"}],
    "if": {"properties": {}},
    "$defs": {"More": {"properties": {"b": {}}}, "Part": {"properties": {"tenant_id": {}}}},
}


def test_an_injected_argument_vanishes_from_the_schemas_of_its_tools_alone() -> None:
    one = Injection("argument", "tenant_id", Source("claim", "tenant"), targets=("get_*",))
    tools = [{"name": name, "inputSchema": SCHEMA, "outputSchema": SCHEMA} for name in ("get_a", "put_a")]
    verdict = judged([InjectContext([one])], {"tools": tools, "nextCursor": "c"}, "tools/list", "result", target=None)
    assert isinstance(verdict, Replace)
    assert verdict.body["tools"] == [{**tools[0], "inputSchema": HIDDEN}, tools[1]]
    plain = {"tools": [{"name": "get_b", "inputSchema": HIDDEN}, "odd", {"name": 1}]}
    assert judged([InjectContext([one])], plain, "tools/list", "result") == PASS
    assert sent([one], {"name": "put_a", "arguments": {"tenant_id": "mine"}}, target="put_a")[1] == ()


def test_prompts_have_injected_arguments_too() -> None:
    one = Injection("argument", "tenant", Source("claim", "tenant"), of="prompts")
    told = {"prompts": [{"name": "x", "arguments": [{"name": "tenant", "required": True}, {"name": "b"}]}]}
    verdict = judged([InjectContext([one])], told, "prompts/list", "result")
    assert isinstance(verdict, Replace)
    assert verdict.body["prompts"] == [{"name": "x", "arguments": [{"name": "b"}]}]
    assert sent([one], {"name": "x"}, "prompts/get")[0] == {"name": "x", "arguments": {"tenant": "acme"}}
    assert judged([InjectContext([one])], {"name": "x"}, "tools/call") == PASS


def test_headers_of_several_hooks_are_all_sent() -> None:
    class Later(Hook):
        slots = (Pattern("params", "*", "server"),)

        def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
            return Replace({**body, "x": 1})

    first = InjectContext([Injection("header", "X-A", Source("value", "a"))])
    second = InjectContext([Injection("header", "X-B", Source("value", "b"))])
    verdict = judged([first, Later(), second], {"name": "x"})
    assert isinstance(verdict, Replace)
    assert (verdict.headers, verdict.body["x"]) == ((("X-A", "a"), ("X-B", "b")), 1)


WRONG: list[tuple[Json, str]] = [
    ({}, "one of `argument`"),
    ({"argument": "a", "header": "X-A", "value": "b"}, "one of `argument`"),
    ({"argument": "a"}, "one of `value`"),
    ({"argument": "a", "value": 1, "claim": "b"}, "one of `value`"),
    ({"argument": "a", "value": 1, "tools": ["a"], "prompts": ["b"]}, "`tools` or `prompts`"),
    ({"argument": "a", "value": 1, "methods": ["tools/call"]}, "`methods` belongs"),
    ({"meta": "x", "value": 1, "given": "overwrite"}, "belong to an `argument`"),
    ({"meta": "io.modelcontextprotocol/clientInfo", "value": 1}, "protocol's own"),
    ({"meta": "dev.mcp/x", "value": 1}, "protocol's own"),
    ({"meta": "progressToken", "value": 1}, "protocol's own"),
    ({"meta": "a b", "value": 1}, "protocol's own"),
    ({"header": "Authorization", "value": "x"}, "no header"),
    ({"header": "mcp-session-id", "value": "x"}, "no header"),
    ({"header": "Mcp-Param-X", "value": "x"}, "no header"),
    ({"header": "X-Forwarded-For", "value": "x"}, "no header"),
    ({"header": "X A", "value": "x"}, "no header"),
    ({"header": "X-A\r\n", "value": "x"}, "no header"),
    ({"header": "X-A", "value": "a\r\nb"}, "visible ASCII"),
    ({"header": "X-A", "value": "ü"}, "visible ASCII"),
    ({"header": "X-Here", "value": "x"}, "there already"),
    ({"argument": "a", "caller": "password"}, "inject"),
]


@pytest.mark.parametrize(("section", "why"), WRONG)
def test_what_cannot_be_injected_is_refused_when_the_file_is_read(section: Json, why: str) -> None:
    server = {"url": "http://127.0.0.1:1/mcp", "headers": {"x-here": "a"}, "inject": [section]}
    with pytest.raises(SettingsError) as caught:
        Settings.build({"servers": {"crm": server}})
    assert why in str(caught.value)


def test_the_readmes_example_is_accepted() -> None:
    example = next(block for block in blocks("yaml") if "inject:" in block and block.startswith("servers:"))
    assert len(Settings.build(yaml.safe_load(example)).servers["crm"].inject) == 4


def test_a_command_is_injected_no_headers() -> None:
    for section, fits in (({"header": "X-A", "value": "a"}, False), ({"argument": "a", "value": 1}, True)):
        tree = {"servers": {"crm": {"command": ["sh"], "inject": [section]}}}
        if fits:
            Settings.build(tree)
        else:
            with pytest.raises(SettingsError, match="a command is sent no headers"):
                Settings.build(tree)
