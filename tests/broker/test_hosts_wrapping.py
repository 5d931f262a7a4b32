"""An entry with the broker in it, and the entry it was: what is written, and what can be told from that alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.hosts.document import Format, parse
from broker.hosts.edits import changes, checked
from broker.hosts.servers import server
from broker.hosts.shapes import CODEX, GOOSE, OPENCODE, PLAIN, Entry, Shape
from broker.hosts.spans import CannotRead, Edit, apply
from broker.hosts.wrapping import broker_word, unwrapped, why_not, words_of, wrapped

BROKER = ["/opt/bin/dragoman"]


def wrap(value: dict[str, Any], shape: Shape = PLAIN) -> dict[str, Any]:
    known, problems = server(Entry(("x",), "x", parse(json.dumps(value).encode(), "json").root, shape))
    assert known is not None, problems
    return wrapped(value, known, shape, BROKER)


def unwrap(value: dict[str, Any], shape: Shape = PLAIN) -> dict[str, Any] | None:
    return unwrapped(value, shape, broker_word(words_of(value)), None)


@pytest.mark.parametrize(
    ("words", "at"),
    [
        (["/opt/bin/dragoman", "stdio", "--", "npx"], 1),
        ([r"C:\x\Dragoman.exe", "stdio", "https://a.example"], 1),
        (["uvx", "dragoman", "stdio", "--", "npx"], 2),
        (["/usr/bin/python3", "-m", "broker", "stdio", "--", "npx"], 3),
        (["docker", "run", "-i", "image", "stdio", "--", "npx"], 4),
        (["npx", "stdio"], -1),
        (["env", "--", "dragoman", "stdio"], -1),
        (["dragoman", "proxy"], -1),
        (["dragoman"], -1),
        ([], -1),
    ],
)
def test_a_command_that_starts_the_broker_is_told_from_others(words: list[str], at: int) -> None:
    assert broker_word(words, ["docker", "run", "-i", "image"]) == at


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (PLAIN, {"command": "npx", "args": ["-y", "x", "--", "y"], "env": {"A": "1"}}),
        (PLAIN, {"command": "npx"}),
        (PLAIN, {"type": "http", "url": "https://a.example/mcp", "headers": {"X-A": "1", "x_a": "2"}}),
        (PLAIN, {"url": "https://a.example/mcp", "env": {"DRAGOMAN_HEADER_X": "mine"}, "headers": {"X": "1"}}),
        (PLAIN, {"url": "https://a.example/mcp?k=1", "env": {"DRAGOMAN_URL": "mine"}}),
        (PLAIN, {"url": "https://ada:secret@a.example/mcp"}),
        (PLAIN, {"url": "https://[broken"}),
        (OPENCODE, {"type": "local", "command": ["bun", "x"], "environment": {"A": "1"}}),
        (OPENCODE, {"type": "remote", "url": "https://a.example/mcp", "headers": {"X": "1"}}),
        (GOOSE, {"type": "stdio", "cmd": "npx", "args": ["x"], "envs": {}}),
        (
            CODEX,
            {
                "url": "https://a.example/mcp",
                "bearer_token_env_var": "TOKEN",
                "env_http_headers": {"X": "OTHER"},
                "http_headers": {"Y": "1"},
            },
        ),
        (CODEX, {"url": "https://a.example/mcp", "env_vars": ["PATH"], "bearer_token_env_var": "TOKEN"}),
        (GOOSE, {"type": "streamable_http", "uri": "https://a.example/mcp", "headers": {"X": "1"}}),
    ],
)
def test_an_entry_tells_by_itself_what_it_was(shape: Shape, value: dict[str, Any]) -> None:
    new = wrap(value, shape)
    assert words_of(new)[: len(BROKER) + 1] == [*BROKER, "stdio"]
    assert unwrap(new, shape) == value


@pytest.mark.parametrize(
    "words",
    [
        ["stdio"],
        ["stdio", "--"],
        ["stdio", "--tool-deny", "x", "https://a.example/mcp"],
        ["stdio", "--header", "X=literal", "https://a.example/mcp"],
        ["stdio", "--help"],
    ],
)
def test_a_command_nobody_but_a_person_wrote_is_not_guessed_at(words: list[str]) -> None:
    assert unwrap({"command": "dragoman", "args": words}) is None


def test_headers_whose_variables_are_alike_are_kept_apart() -> None:
    new = wrap({"url": "https://a.example/mcp", "headers": {"X-A": "one", "X_A": "two"}})
    assert new["env"] == {"DRAGOMAN_HEADER_X_A": "one", "DRAGOMAN_HEADER_X_A_": "two"}
    assert new["args"][1:5] == ["--header", "X-A=env:DRAGOMAN_HEADER_X_A", "--header", "X_A=env:DRAGOMAN_HEADER_X_A_"]


def test_a_server_the_host_signs_in_at_stays_and_a_command_does_not() -> None:
    for value, stays in (
        ({"url": "https://a.example/mcp", "oauth": {"clientId": "x"}}, True),
        ({"url": "https://a.example/mcp", "headersHelper": "/x"}, True),
        ({"url": "https://a.example/mcp", "oauth": {}}, False),
        ({"command": "npx", "scopes": ["x"]}, False),
    ):
        known, _ = server(Entry(("x",), "x", parse(json.dumps(value).encode(), "json").root, PLAIN))
        assert known is not None
        assert (why_not(known) is not None) is stays


@pytest.mark.parametrize(
    ("kind", "text", "new", "expected"),
    [
        # One member goes: with its comma, and with the line it had for itself.
        ("json", '{"a": 1, "b": 2, "c": 3}', {"a": 1, "c": 3}, '{"a": 1, "c": 3}'),
        ("json", '{"a": 1, "b": 2}', {"a": 1}, '{"a": 1}'),
        ("json", '{"a": 1, "b": 2,}', {"a": 1}, '{"a": 1,}'),
        ("json", '{"a": 1, "b": 2}', {"b": 2}, '{"b": 2}'),
        ("json", '{"a": 1}', {}, "{}"),
        ("json", '{"a": 1,}', {}, "{}"),
        ("json", '{\n  "a": 1, // one\n  "b": 2 // two\n}', {"a": 1}, '{\n  "a": 1 // one\n   // two\n}'),
        ("json", '{\n  "a": 1, // one\n  "b": 2,\n  "c": 3\n}', {"a": 1, "c": 3}, '{\n  "a": 1, // one\n  "c": 3\n}'),
        # One comes: behind the command, else at the end; on a line of its own, if the others have one.
        ("json", "{}", {"a": 1}, '{"a": 1}'),
        ("json", '{"command": 1, "b": 2}', {"command": 1, "b": 2, "c": 3}, '{"command": 1, "c": 3, "b": 2}'),
        ("json", '{\n\t"a": 1\n}', {"a": 1, "b": []}, '{\n\t"a": 1,\n\t"b": []\n}'),
        ("json", '{"a": {"b": 1}}', {"a": {"b": 1, "c": "é"}}, '{"a": {"b": 1, "c": "é"}}'),
        ("json", '{"a": "x"}', {"a": "\ud800"}, '{"a": "\\ud800"}'),
        ("yaml", "a: 1\nb: 2\n", {"a": 1, "c": "x"}, 'a: 1\nc: "x"\n'),
        ("yaml", "a: 1 # one\nb: 2\n", {"a": 1}, "a: 1 # one\n"),
        ("yaml", "a: [1]\n", {"a": [1], "yes": "\u2028"}, 'a: [1]\n"yes": "\\u2028"\n'),
        ("toml", "a = 1\nb = 2\n", {"b": 2}, "b = 2\n"),
        ("toml", "a = 1\nb = 2", {"a": 1}, "a = 1"),
        ("toml", "a = 1 # one\n[t]\n", {"a": 1, "t": {}, "b c": "\x7f"}, 'a = 1 # one\n"b c" = "\\u007f"\n[t]\n'),
    ],
)
def test_an_object_is_changed_with_the_least_that_must_be(
    kind: Format, text: str, new: dict[str, Any], expected: str
) -> None:
    here = parse(text.encode(), kind)
    assert checked(here, changes(here, here.root, new), new) == expected


def test_edits_that_do_not_say_what_they_should_are_refused() -> None:
    here = parse(b'{"a": 1}', "json")
    for edits in ([Edit(6, 7, "2")], [Edit(6, 7, "]")], [Edit(6, 7, "3"), Edit(6, 8, "3}")]):
        with pytest.raises(CannotRead, match="cannot be edited in place"):
            checked(here, edits, {"a": 3})
    with pytest.raises(ValueError, match="two edits"):
        apply("abc", [Edit(0, 2, ""), Edit(1, 3, "")])
