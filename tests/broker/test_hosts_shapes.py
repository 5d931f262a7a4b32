"""Every shape of host file: which servers it has, what the broker makes of it, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.hosts.document import Format, load, parse
from broker.hosts.plans import Record, as_read, connecting, disconnecting
from broker.hosts.servers import HostServer, server
from broker.hosts.shapes import entries, is_host_file
from broker.hosts.spans import CannotRead

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "hosts").iterdir())
BROKER = ["/opt/bin/dragoman"]


def before(folder: Path) -> Path:
    return next(folder.glob("before.*"))


def read(text: str, kind: Format = "json") -> tuple[list[HostServer], list[str]]:
    """The servers of a text that can be used, and its problems as they are printed."""
    found, problems = entries(parse(text.encode(), kind))
    servers = []
    for entry in found:
        known, wrong = server(entry)
        problems += wrong
        servers += [known] if known else []
    return servers, [problem.line("FILE") for problem in problems]


def shown(where: str, known: HostServer) -> dict[str, Any]:
    """A server without what it does not say."""
    empty, full = (json.loads(msgspec.json.encode(each)) for each in (HostServer(known.name), known))
    said = {key: each for key, each in full.items() if key == "name" or each != empty[key]}
    return {"where": where, **said}


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda path: path.name)
def test_every_shape_gives_its_servers(folder: Path) -> None:
    document = load(before(folder))
    assert is_host_file(document)
    found, problems = entries(document)
    servers = [(entry.path, server(entry)) for entry in found]
    expected = json.loads((folder / "servers.json").read_text(encoding="utf-8"))
    assert [shown(path, known) for path, (known, _) in servers if known] == expected["servers"]
    assert [*problems, *(problem for _, (_, wrong) in servers for problem in wrong)] == expected["problems"]


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda path: path.name)
def test_every_shape_is_rewritten_in_its_own_spelling_and_turned_back(folder: Path) -> None:
    path = before(folder)
    here = load(path)
    plan = connecting(here, BROKER)
    assert plan.text == (folder / f"connected{path.suffix}").read_text(encoding="utf-8")
    back = disconnecting(as_read(plan.text, here), here, Record("", [BROKER], plan.keys))
    assert back.text == here.text
    assert sorted(back.removed) == sorted(plan.added)


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda path: path.name)
def test_no_value_of_a_header_or_query_stands_on_a_command_line(folder: Path) -> None:
    here = load(before(folder))
    there = as_read(connecting(here, BROKER).text, here)
    headers = [value for entry in entries(here)[0] if (known := server(entry)[0]) for value in known.headers.values()]
    for entry in entries(there)[0]:
        known, _ = server(entry)
        assert known is not None
        words = " ".join(known.args)
        assert not any(value in words for value in headers)
        assert "?team=" not in words


def test_servers_of_the_broker_s_own_configuration_are_not_taken_for_a_host_s() -> None:
    own = '{"servers": {"a": {"url": "http://127.0.0.1:3000/mcp"}, "b": {"command": ["npx", "x"]}}}'
    assert not is_host_file(parse(own.encode(), "json"))
    assert not is_host_file(parse(b"servers: {a: {url: 'http://127.0.0.1:3000/mcp'}}", "yaml"))
    assert is_host_file(parse(b'{"servers": {"a": {"command": "npx"}}}', "json"))
    assert is_host_file(parse(b'{"servers": {}, "inputs": []}', "json"))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('{"comand": "npx"}', "mcpServers.x: neither a command nor a url — rename comand"),
        ('{"comand": "npx"}', "mcpServers.x.comand: note: unknown key — did you mean command?"),
        ("{}", "mcpServers.x: neither a command nor a url — add a `command` to start, or a `url` to call"),
        ('{"command": "npx", "url": "https://a.example"}', "mcpServers.x: both a command and a url"),
        ('{"command": 7}', "mcpServers.x.command: expected a command"),
        ('{"command": ""}', "mcpServers.x.command: expected a command"),
        ('{"command": []}', "mcpServers.x.command: an empty list"),
        ('{"command": {"args": []}}', "mcpServers.x.command.path: expected a command"),
        ('{"command": "npx", "args": "-y x"}', "mcpServers.x.args: expected a list of texts"),
        ('{"command": "npx", "args": ["--port", 8080]}', "mcpServers.x.args.1: expected text — put it in quotes"),
        ('{"command": "npx", "env": {"PORT": 8080}}', "mcpServers.x.env.PORT: expected text — put it in quotes"),
        ('{"command": "npx", "env": ["PORT=1"]}', "mcpServers.x.env: expected texts by name"),
        ('{"command": "npx", "cwd": true}', "mcpServers.x.cwd: expected text"),
        ('{"url": "https://a.example", "headers": {"A": null}}', "mcpServers.x.headers.A: expected text"),
        ('{"url": "https://a.example", "type": "ws"}', "mcpServers.x.type: 'ws' is not supported — expected one of"),
        ('{"url": "https://a.example", "type": "stdio"}', "mcpServers.x.type: stdio needs a command"),
        ('{"command": "npx", "type": "http"}', "mcpServers.x.type: http needs a url"),
        ('{"command": "npx", "command": "uvx"}', "mcpServers.x.command: the key is there twice — remove one"),
        ('{"command": "npx", "env_vars": 7}', "mcpServers.x.env_vars: expected a list of names"),
        ('{"command": "npx", "env_vars": [7]}', "mcpServers.x.env_vars.0: expected the name of a variable"),
        ('{"url": "https://a.example", "bearer_token_env_var": 7}', "mcpServers.x.bearer_token_env_var: expected text"),
        ('"npx"', "mcpServers.x: expected an object"),
    ],
)
def test_a_wrong_entry_is_named_with_its_key_and_what_to_do_and_the_others_go_on(entry: str, said: str) -> None:
    servers, problems = read('{"mcpServers": {"x": ' + entry + ', "good": {"command": "uvx"}}}')
    assert any(said in line for line in problems), problems
    assert [each.name for each in servers] == ["good"]


def test_an_unknown_key_is_a_note_and_the_server_is_used() -> None:
    servers, problems = read('{"mcpServers": {"x": {"command": "npx", "argz": ["a"], "colour": "red"}}}')
    assert [each.command for each in servers] == ["npx"]
    assert problems == [
        "FILE: mcpServers.x.argz: note: unknown key — did you mean args?",
        "FILE: mcpServers.x.colour: note: unknown key — it is the host's business; the broker does not use it",
    ]


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (
            "json",
            '{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}, "b": {"command": "z"}}}',
            "FILE: mcpServers.a: the name is there twice — rename one",
        ),
        (
            "yaml",
            "mcpServers: [{name: a, command: x}, {name: b, command: z}, {name: a, command: y}]",
            "FILE: mcpServers.0.name: the name 'a' is there twice — rename one",
        ),
        (
            "yaml",
            "mcpServers: [{command: x}, {name: b, command: z}]",
            "FILE: mcpServers.0: a server without name — give it a `name`",
        ),
        (
            "json",
            '{"mcpServers": 7, "context_servers": {"b": {"command": "z"}}}',
            "FILE: mcpServers: expected servers by name — write an object, such as {}",
        ),
        (
            "json",
            '{"mcpServers": {"": {"command": "x"}, "b": {"command": "z"}}}',
            "FILE: mcpServers.: a server without name — give it one",
        ),
    ],
)
def test_names_that_are_missing_or_there_twice_are_said_and_the_others_go_on(
    kind: Format, text: str, said: str
) -> None:
    servers, problems = read(text, kind)
    assert problems == [said]
    assert [each.name for each in servers] == ["b"]


@pytest.mark.parametrize(
    ("kind", "text", "where", "what"),
    [
        ("json", '{\n  "a": 1\n  "b": 2\n}', "line 2, column 9", "expected , or }"),
        ("json", '{"a": [1 2]}', "line 1, column 9", "expected , or ]"),
        ("json", "{\"a\": 'x'}", "line 1, column 7", "expected a value"),
        ("json", "{a: 1}", "line 1, column 2", "expected a key or }"),
        ("json", '{"a" 1}', "line 1, column 6", "expected :"),
        ("json", '{"a": "x', "line 1, column 7", "a text without end"),
        ("json", '{"a": "C:\\Users"}', "line 1, column 7", "a text with a wrong escape"),
        ("json", '{"a": 1', "line 1, column 8", "the text ends in the middle"),
        ("json", '{"a":', "line 1, column 6", "the text ends in the middle"),
        ("json", '{"a": 1} x', "line 1, column 10", "more text after the end"),
        ("json", "{} /* x", "line 1, column 4", "a comment without end"),
        ("json", '{"a": ' + "[" * 200 + "]" * 200 + "}", "line 1, column 107", "nested deeper than 100"),
        ("yaml", "a: [1", "line 1, column 6", "not valid YAML"),
        ("yaml", "a: &x [*x]\nb: 1", "", "nested deeper than 100"),
        ("yaml", "a: !!python/name:os.system x", "line 1, column 4", "not valid YAML"),
        ("toml", "a = ", "end of document", "not valid TOML"),
        ("toml", "[a]\n[a]\n", "line 2, column 3", "not valid TOML"),
        ("json", "[]", "", "expected an object at the top"),
        ("yaml", "- a", "", "expected an object at the top"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_its_place(kind: Format, text: str, where: str, what: str) -> None:
    with pytest.raises(CannotRead) as caught:
        parse(text.encode(), kind)
    assert caught.value.where == where, str(caught.value)
    assert what in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize("text", ["", "  \n", "// nothing yet\n", "\ufeff"])
def test_an_empty_file_has_no_servers(text: str) -> None:
    assert read(text) == ([], [])


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(CannotRead, match="not UTF-8"):
        parse('{"a": "é"}'.encode("utf-16"), "json")
