"""Whatever a host's file looks like, the broker goes in without a trace of more, and comes out without a trace."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.hosts.document import Format, parse
from broker.hosts.plans import Connecting, Record, as_read, connecting, disconnecting
from broker.hosts.putting import put_in, take_out
from tests.broker.hosts_text import SERVERS, TREES, VALUES, jsonc, tomls, yamls

BROKER = ["/opt/bin/dragoman"]
ROUNDS = settings(max_examples=60, deadline=None)


def record_of(plan: Connecting) -> Record:
    return Record("", [BROKER], plan.keys)


@ROUNDS
@given(st.data(), TREES, st.sampled_from(["", "\ufeff"]))
def test_connect_then_disconnect_gives_a_generated_file_back_byte_for_byte(
    data: st.DataObject, tree: dict[str, Any], mark: str
) -> None:
    text = mark + data.draw(jsonc(tree))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mcp.json"
        path.write_bytes(text.encode())
        done = put_in(path, BROKER)
        assert set(done.plan.added) == set(tree["mcpServers"])
        taken = take_out(path)
        assert path.read_bytes() == text.encode()
        assert taken.restored is bool(tree["mcpServers"])
        assert [each.name for each in Path(folder).iterdir()] == ["mcp.json"]


@ROUNDS
@given(st.data(), TREES)
def test_entries_turned_back_in_place_are_as_they_were_to_the_letter(data: st.DataObject, tree: dict[str, Any]) -> None:
    text = data.draw(jsonc(tree))
    here = parse(text.encode(), "json")
    plan = connecting(here, BROKER)
    back = disconnecting(as_read(plan.text, here), here, record_of(plan))
    assert back.text == text


@ROUNDS
@given(st.data(), TREES)
def test_without_backup_and_record_the_entries_still_mean_what_they_meant(
    data: st.DataObject, tree: dict[str, Any]
) -> None:
    here = parse(data.draw(jsonc(tree)).encode(), "json")
    back = disconnecting(as_read(connecting(here, BROKER).text, here))
    expected = {name: _plainest(value) for name, value in tree["mcpServers"].items()}
    got = as_read(back.text, here).root.value["mcpServers"]
    assert {name: _plainest(value) for name, value in got.items()} == expected
    assert {key: value for key, value in as_read(back.text, here).root.value.items() if key != "mcpServers"} == {
        key: value for key, value in tree.items() if key != "mcpServers"
    }


def _plainest(entry: dict[str, Any]) -> dict[str, Any]:
    """Without what cannot be told from the entry alone: empty members, and which HTTP it was."""
    type_of = {"sse": "http", "streamable-http": "http"}
    entry = {**entry, "type": type_of.get(entry["type"], entry["type"])} if "type" in entry else entry
    return {key: value for key, value in entry.items() if value not in ([], {})}


@ROUNDS
@given(st.data(), TREES, st.dictionaries(st.sampled_from(["new", "newer"]), VALUES, min_size=1))
def test_what_a_person_changed_meanwhile_stays(
    data: st.DataObject, tree: dict[str, Any], change: dict[str, Any]
) -> None:
    here = parse(data.draw(jsonc(tree)).encode(), "json")
    plan = connecting(here, BROKER)
    later = {**as_read(plan.text, here).root.value, **change}
    there = parse(data.draw(jsonc(later)).encode(), "json")
    back = disconnecting(there, here, record_of(plan))
    assert as_read(back.text, here).root.value == {**tree, **change}


@ROUNDS
@given(st.data(), SERVERS, st.booleans())
def test_yaml_of_every_style_is_turned_back_to_the_letter(
    data: st.DataObject, servers: dict[str, dict[str, Any]], as_list: bool
) -> None:
    entries = [{"name": name, **entry} for name, entry in servers.items()] if as_list else servers
    text = data.draw(yamls({"before": [1, {"a": "b"}], "mcpServers": entries, "after": {"c": None}}))
    here = parse(text.encode(), "yaml")
    plan = connecting(here, BROKER)
    assert plan.added == list(servers)
    assert disconnecting(as_read(plan.text, here), here, record_of(plan)).text == text


@ROUNDS
@given(st.data(), SERVERS)
def test_toml_of_every_style_means_the_same_again(data: st.DataObject, servers: dict[str, dict[str, Any]]) -> None:
    here = parse(data.draw(tomls(servers)).encode(), "toml")
    plan = connecting(here, BROKER)
    assert sorted(plan.added) == sorted(servers)
    back = as_read(disconnecting(as_read(plan.text, here), here, record_of(plan)).text, here)
    assert back.root.value == here.root.value
    # Headers that were a table of their own come back in one line; the comments are all there, once.
    assert back.text.count("#") == here.text.count("#")


YAML = """\
# assistant
name: mine
mcpServers:
  - name: files   # local
    command: npx
    args:
      - "-y"
      - fs        # the package
    env: {TOKEN: "${{ secrets.T }}"}
  - url: https://a.example/mcp   # remote
    name: remote
    requestOptions:
      timeout: 3
      headers:
        Authorization: Bearer x
  - {name: flow, command: uvx}
models: []
"""
TOML = """\
model = "m"   # mine

[mcp_servers.files]   # local
command = "npx"  # runner
args = [
    "-y",  # yes
    "fs",
]

[mcp_servers.files.env]
TOKEN = 'x'

[mcp_servers."a b"]
url = "https://a.example/mcp"  # remote
startup_timeout_sec = 3

[mcp_servers."a b".http_headers]
X-Key = "k"

[mcp_servers]
inline = { command = "uvx", args = ["a"] }
dotted.command = "uvx"

[profiles.x]
note = \"\"\"
[mcp_servers.no]
\"\"\"
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("kind", "text", "count"), [("yaml", YAML, 3), ("toml", TOML, 4)])
def test_yaml_and_toml_are_given_back_to_the_letter_as_well(kind: Format, text: str, count: int, newline: str) -> None:
    text = text.replace("\n", newline)
    here = parse(text.encode(), kind)
    plan = connecting(here, BROKER)
    assert len(plan.added) == count
    there = as_read(plan.text, here)
    assert disconnecting(there, here, record_of(plan)).text == text
    # Nothing but the entries changed, and none of them mixes line ends.
    assert plan.text.count("\n") == plan.text.count(newline)
    assert there.root.value.keys() == here.root.value.keys()
