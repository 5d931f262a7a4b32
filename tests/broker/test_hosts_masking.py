"""A difference that is shown tells what changed, and no secret."""

from __future__ import annotations

import pytest

from broker.hosts.document import Document, Format, parse
from broker.hosts.masking import Masks, Shown, difference

CANARY = "canary-91cd-secret"


def masked(text: str, kind: Format = "json") -> str:
    return Masks().masked(parse(text.encode(), kind))


@pytest.mark.parametrize(
    "entry",
    [
        '{"env": {"A": "CANARY"}}',
        '{"environment": {"A": "CANARY"}}',
        '{"headers": {"X": "CANARY"}}',
        '{"requestOptions": {"headers": {"X": "CANARY"}}}',
        '{"args": ["--api-key", "CANARY"]}',
        '{"args": ["--api-key=CANARY"]}',
        '{"args": ["-H", "X: CANARY"]}',
        '{"args": ["--header", "Authorization: CANARY"]}',
        '{"args": ["-e", "API_KEY=CANARY"]}',
        '{"args": ["Bearer CANARY"]}',
        '{"args": ["https://a.example/mcp?k=CANARY"]}',
        '{"command": ["npx", "x", "--token", "CANARY"]}',
        '{"url": "https://a.example/mcp?k=CANARY"}',
        '{"url": "https://ada:CANARY@a.example/mcp"}',
        '{"apiKey": "CANARY"}',
        '{"nested": [{"password": "CANARY"}]}',
        '{"http_headers": {"X": ["CANARY"]}}',
    ],
)
def test_what_may_be_secret_is_hidden(entry: str) -> None:
    text = masked('{"mcpServers": {"a": ' + entry.replace("CANARY", CANARY) + "}}")
    assert CANARY not in text
    assert "(hidden 1)" in text


@pytest.mark.parametrize(
    "text",
    [
        '{"command": "npx", "args": ["-y", "@example/server", "/tmp"], "disabled": false}',
        '{"args": ["--header", "X-Key=env:VARIABLE", "https://a.example/mcp"]}',
        '{"args": ["--token", "${input:token}"]}',
        '{"env_http_headers": {"X": "VARIABLE"}, "bearer_token_env_var": "VARIABLE"}',
        '{"url": "https://a.example/mcp", "token": ""}',
    ],
)
def test_what_tells_nothing_is_shown(text: str) -> None:
    assert masked(text) == text


def test_yaml_and_toml_are_hidden_as_well() -> None:
    yaml = f"mcpServers:\n  - env:\n      A: {CANARY}\n    requestOptions: {{headers: {{X: {CANARY}}}}}\n"
    toml = f"[mcp_servers.a.env]\nA = \"{CANARY}\"\n[mcp_servers.b]\nhttp_headers = {{ X = '{CANARY}' }}\n"
    for text in (masked(yaml, "yaml"), masked(toml, "toml")):
        assert CANARY not in text
        assert text.count("(hidden 1)") == 2


def document(text: str) -> Document:
    return parse(text.encode(), "json")


def test_a_secret_that_changed_is_seen_to_have_changed() -> None:
    old, new = document('{"env": {"A": "one", "B": "two"}}'), document('{"env": {"A": "one", "B": "three"}}')
    assert difference(Shown("old", old), Shown("new", new)) == [
        "--- old",
        "+++ new",
        "@@ -1 +1 @@",
        '-{"env": {"A": "(hidden 1)", "B": "(hidden 2)"}}',
        '+{"env": {"A": "(hidden 1)", "B": "(hidden 3)"}}',
    ]
    assert difference(Shown("old", old), Shown("new", old)) == []
