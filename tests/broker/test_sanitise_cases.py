"""The sanitiser against those who mean to get past it; the numbers are those of the catalogue of adversarial cases."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec import Raw

from broker.hooks.base import Deny
from broker.hooks.runner import Runner
from broker.hooks.sanitise_free import Bounds
from protocol_versions.base import Slot, ask, error, notification, result
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.sanitise_world import (
    AWS,
    CARD,
    IBAN,
    JWT,
    KEY,
    Json,
    hook,
    info,
    judged,
    rule,
    shown,
    text,
    texts,
)

ALL = hook(rule("secrets", "private-keys", "jwt", "card", "iban"), rule("email", action="mask"), rule("hidden-text"))
MARK = "[redacted:secret]"


def b64(said: str | bytes) -> str:
    return base64.b64encode(said if isinstance(said, bytes) else said.encode()).decode()


SPELLINGS: dict[str, tuple[str, str]] = {
    "plain": (f"key {AWS}.", f"key {MARK}."),
    "C172 zero width": ("x AKIA\u200bIOSFODNN7EXAMPLE", f"x {MARK}"),
    "C172 soft hyphens": ("A\u00adK\u00adI\u00adAIOSFODNN7EXAMPLE", MARK),
    "C172 tag characters": ("AKIA\U000e0041IOSFODNN7EXAMPLE", MARK),
    "C172 variation selectors": ("AKIA\ufe0fIOSFODNN7EXAMPLE", MARK),
    "C172 terminal codes": ("AKIA\x1b[31mIOSFODNN7EXAMPLE", MARK),
    "C173 full width": ("\uff21\uff2b\uff29\uff21IOSFODNN7EXAMPLE!", f"{MARK}!"),
    "C173 mathematical letters": ("\U0001d400\U0001d40a\U0001d408\U0001d400IOSFODNN7EXAMPLE", MARK),
    "C173 struck through": ("A\u0336KIAIOSFODNN7EXAMPLE", MARK),
    "escaped by backslashes": (r"k=\u0041KIAIOSFODNN7EXAMPLE", f"k={MARK}"),
    "escaped twice": (r"k=\\u0041KIAIOSFODNN7EXAMPLE", f"k={MARK}"),
    "escaped in hex": (r"k=\x41KIAIOSFODNN7EXAMPLE", f"k={MARK}"),
    "escaped for URLs": ("k=%41KIAIOSFODNN7EXAMPLE", f"k={MARK}"),
    "escaped for URLs twice": ("k=%2541KIAIOSFODNN7EXAMPLE", f"k={MARK}"),
    "character references": ("k=&#65;&#x4b;IAIOSFODNN7EXAMPLE", f"k={MARK}"),
    "C178 beside a surrogate pair": (rf"\ud83d\ude00 {AWS} \ud83d", rf"\ud83d\ude00 {MARK} \ud83d"),
    "card in groups": (f"pay {CARD} 12/27", "pay [redacted:card] 12/27"),
    "card in Arabic digits": (
        "\u0664\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661\u0661\u0661\u0661",
        "[redacted:card]",
    ),
    "iban": (f"to {IBAN} BIC COBADEFF", "to [redacted:iban] BIC COBADEFF"),
    "token": (f"Bearer {JWT}.", "Bearer [redacted:jwt]."),
    "private key": (f"a\n{KEY}\nb", "a\n[redacted:private-key]\nb"),
    "private key cut off": (f"a\n{KEY[:50]}", "a\n[redacted:private-key]"),
    "password in a URL": ("db://app:hunter22@host/x", f"db://app:{MARK}@host/x"),
    "data URI": (f"see data:text/plain;base64,{b64(AWS)} now", f"see {MARK} now"),
    "C172 only hidden": ("ab\U000e0041\U000e0042c\u202edef\x1b[0m", "abcdef"),
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_a_finding_is_found_in_every_spelling_and_nothing_else_changes(case: str) -> None:
    said, told = SPELLINGS[case]
    assert texts(shown(ALL, text(said))) == [told]


HARMLESS = [
    "",
    "Grüße, 世界 🌍 👨‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️",
    "4111 1111 1111 1112",
    "order 1234567890123456789012345",
    "DE88 3704 0044 0532 0130 00",
    "100% of \\n and &amp; and %zz",
    "eyJub3RoaW5nIjoxfQ.x.y",
    "AKIA is a prefix",
    '{"a": [1, 2, {"b": null}]}',
]


@pytest.mark.parametrize("said", HARMLESS)
def test_what_only_resembles_a_finding_stays(said: str) -> None:
    body = text(said)
    assert shown(ALL, body) is body


def test_c166_a_text_twin_and_the_structured_content_stay_the_same_value() -> None:
    structured = {"user": {"mail": "ada@example.com", "key": AWS, "n": 1}}
    for twin in (json.dumps(structured), json.dumps(structured, indent=2)):
        seen = shown(ALL, {**text("note", twin), "structuredContent": structured})
        assert seen["structuredContent"] == {"user": {"mail": "a***@example.com", "key": MARK, "n": 1}}
        assert texts(seen)[0] == "note"
        assert json.loads(texts(seen)[1]) == seen["structuredContent"]
        assert ("\n" in texts(seen)[1]) == ("\n" in twin)


def test_c166_a_secret_on_one_side_alone_is_found_there() -> None:
    seen = shown(ALL, {**text("clean"), "structuredContent": {"key": AWS}})
    assert (texts(seen), seen["structuredContent"]) == (["clean"], {"key": MARK})
    seen = shown(ALL, {**text(f"k {AWS}"), "structuredContent": {"key": "clean"}})
    assert (texts(seen), seen["structuredContent"]) == ([f"k {MARK}"], {"key": "clean"})


def test_c167_a_secret_that_begins_in_one_block_and_ends_in_another_is_found_in_both() -> None:
    assert texts(shown(ALL, text("id AKIAIOSF", "ODNN7EXAMPLE.", "x"))) == [f"id {MARK}", f"{MARK}.", "x"]
    begin, end = KEY[:40], KEY[40:]
    assert texts(shown(ALL, text(begin, end + "\nrest"))) == ["[redacted:private-key]", "[redacted:private-key]\nrest"]
    assert texts(shown(ALL, text("ada@example.com", "y"))) == ["a***@example.com", "y"]
    apart = {"content": [text("AKIAIOSF")["content"][0], {"type": "image", "data": "AAEC", "mimeType": "image/png"}]}
    assert shown(ALL, apart) is apart


RESOURCE = Slot("result", "resources/read", "client")


def test_c171_base64_is_decoded_by_its_type_and_encoded_again() -> None:
    def read(blob: str, mime: str | None) -> Any:
        item: Json = {"uri": "file:///a", "blob": blob} | ({} if mime is None else {"mimeType": mime})
        seen = shown(ALL, {"contents": [item]}, RESOURCE, info("resources/read", "file:///a"))
        return [each["blob"] for each in seen["contents"]]

    clean = b64(f"key {MARK}")
    for mime in ("text/plain", "TEXT/HTML; charset=utf-8", "application/json", "application/problem+json", None):
        assert read(b64(f"key {AWS}"), mime) == [clean]
    broken = b64(f"key {AWS}")
    assert read("\r\n".join((broken[:10], broken[10:])), "text/plain") == [clean]
    assert read(broken.rstrip("="), "text/plain") == [clean]
    assert read(b64(f"key {AWS}".encode("utf-16")), "text/plain") == [b64(f"key {MARK}".encode("utf-16"))]
    assert read(b64(b"\xff key " + AWS.encode()), "text/plain") == [b64(b"\xff key " + MARK.encode())]
    assert read(b64("nothing"), "text/plain") == [b64("nothing")]
    assert read(b64(b"\x89PNG"), "image/png") == [b64(b"\x89PNG")]
    assert read(AWS, "image/png") == []
    assert read(f"not base64: {AWS}", "image/png") == []


@pytest.mark.parametrize(
    ("slot", "body", "told"),
    [
        (error("tools/call"), {"code": -1, "message": AWS, "data": {"why": [AWS]}}, None),
        (result("tools/call"), {"isError": True, **text(AWS)}, None),
        (notification("notifications/progress"), {"progressToken": 1, "progress": 1, "message": AWS}, None),
        (notification("notifications/message"), {"level": "info", "data": {"k": AWS}, "logger": AWS}, None),
        (ask("elicitation/create"), {"message": AWS, "requestedSchema": {"type": "object", "properties": {}}}, None),
        (
            ask("sampling/createMessage"),
            {"messages": [{"role": "user", "content": {"type": "text", "text": AWS}}], "systemPrompt": AWS},
            None,
        ),
        (result("prompts/get"), {"messages": [{"role": "user", "content": {"type": "text", "text": AWS}}]}, None),
        (result("completion/complete"), {"completion": {"values": [AWS, "b"]}}, None),
        (
            result("initialize"),
            {"instructions": AWS, "serverInfo": {"name": AWS, "version": AWS}, "protocolVersion": "x"},
            None,
        ),
        (result("tools/list"), {"tools": [{"name": "a", "title": AWS, "description": AWS, "inputSchema": {}}]}, None),
        (result("resources/list"), {"resources": [{"uri": "file:///a", "name": AWS, "_meta": {"k": AWS}}]}, None),
    ],
)
def test_c168_every_text_a_client_reads_is_looked_through(slot: Slot, body: Json, told: Any) -> None:
    seen = json.dumps(shown(ALL, body, slot, told))
    assert AWS not in seen
    assert seen == json.dumps(body).replace(AWS, MARK)


def test_what_calls_depend_on_is_left_out_and_never_rewritten() -> None:
    schema = {"type": "object", "properties": {"mode": {"enum": ["a", AWS]}}}
    tools = [
        {"name": "good", "inputSchema": {"type": "object", "properties": {"a": {"description": AWS}}}},
        {"name": f"by-{AWS}", "inputSchema": {"type": "object"}},
        {"name": "bad-enum", "inputSchema": schema},
        {"name": "bad-name", "inputSchema": {"type": "object", "properties": {AWS: {}}, "required": [AWS]}},
    ]
    seen = shown(ALL, {"tools": tools, "nextCursor": "c"}, result("tools/list"))
    assert [tool["name"] for tool in seen["tools"]] == ["good"]
    assert seen["tools"][0]["inputSchema"]["properties"]["a"] == {"description": MARK}
    resources = [{"uri": f"mem://{AWS}", "name": "a"}, {"uri": "mem://b", "name": "b"}]
    assert shown(ALL, {"resources": resources}, result("resources/list")) == {"resources": resources[1:]}
    links = {"content": [{"type": "resource_link", "uri": f"mem://{AWS}", "name": "a"}, *text("b")["content"]]}
    assert shown(ALL, links) == text("b")
    cursor = {"tools": [], "nextCursor": AWS}
    assert shown(ALL, cursor, result("tools/list")) == {"denied": "sanitised:fixed"}
    url = {"mode": "url", "message": "go", "url": f"https://x/?k={AWS}", "elicitationId": "1"}
    assert shown(ALL, url, ask("elicitation/create")) == {"denied": "sanitised:fixed"}


def test_a_uri_its_caller_asked_for_tells_it_nothing() -> None:
    body = {"contents": [{"uri": f"mem://{AWS}", "text": "a"}]}
    assert shown(ALL, body, RESOURCE, info("resources/read", f"mem://{AWS}")) is body
    assert shown(ALL, body, RESOURCE, info("resources/read", "mem://other")) == {"contents": []}


def test_c174_an_icon_that_holds_a_document_with_a_secret_is_left_out() -> None:
    svg = f"data:image/svg+xml;base64,{b64(f'<svg>{AWS}</svg>')}"
    tools = [{"name": "a", "inputSchema": {}, "icons": [{"src": svg}, {"src": "https://x/i.png"}]}]
    seen = shown(ALL, {"tools": tools}, result("tools/list"))
    assert seen["tools"][0]["icons"] == [{"src": "https://x/i.png"}]


def test_json_in_a_text_stays_json_and_is_looked_through_to_the_bound() -> None:
    inner = json.dumps({"k": AWS, "list": [json.dumps({"deep": AWS})], AWS: 1, "n": 4111111111111111})
    (seen,) = texts(shown(ALL, text(inner)))
    assert json.loads(seen) == {"k": MARK, "list": [json.dumps({"deep": MARK}, separators=(",", ":"))], MARK: 1,
                                "n": "[redacted:card]"}  # fmt: skip
    said = AWS
    for _ in range(6):
        said = json.dumps([said])
    assert shown(ALL, text(said)) == {"denied": "sanitised:nested"}


def test_c176_what_is_too_much_is_withheld() -> None:
    many = hook(rule("email"), bounds=Bounds(leaves=100))
    assert shown(many, {"structuredContent": {"list": ["a"] * 200}, "content": []}) == {"denied": "sanitised:too-large"}
    long = hook(rule("email"), bounds=Bounds(text=1000))
    assert shown(long, text("a" * 600, "b" * 600)) == {"denied": "sanitised:too-large"}
    assert shown(long, text("a" * 400)) == text("a" * 400)
    ticks = iter(range(10**6))
    slow = hook(rule("email"), clock=lambda: float(next(ticks)), bounds=Bounds(time_s=50.0))
    assert shown(slow, text("a")) == text("a")
    assert shown(slow, text(*["a"] * 200)) == {"denied": "sanitised:too-slow"}
    assert shown(hook(rule("email")), text("a@b.cc " * 20_000)) == {"denied": "sanitised:too-many"}


def test_c176_a_large_message_is_looked_through_aside_with_the_same_outcome() -> None:
    large = "word " * 40_000
    assert texts(shown(ALL, text(large + AWS))) == [large + MARK]


def test_c177_a_value_that_cannot_be_read_strictly_is_withheld() -> None:

    for broken in (b'{"a":1,"a":"secret"}', b"[" * 100 + b"]" * 100):
        verdict = Runner([ALL], DEFAULT_LIMITS).judge("result", "tools/call", "client", {"_meta": Raw(broken)}, info())
        assert isinstance(verdict, Deny)
        assert verdict.message == "The request was refused by policy"


def test_c178_and_c179_marks_are_constant_and_the_message_stays_json() -> None:
    for said in (f'"{AWS}"', f"\\{AWS}\\", f"\U0001f600{AWS}\U0001f600", f'{{"a":"{AWS}"'):
        (seen,) = texts(shown(ALL, text(said)))
        assert seen == said.replace(AWS, MARK)


def test_c208_an_expression_that_would_backtrack_for_ever_is_answered_in_linear_time() -> None:
    slow = hook(rule("(a+)+$"))
    verdict = judged(slow, text("a" * 200_000 + "!"))
    assert type(verdict).__name__ == "Pass"
