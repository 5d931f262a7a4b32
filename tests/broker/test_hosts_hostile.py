"""Whatever stands in a host's file: it is read or refused, never a crash, and never loses anything."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.hosts import serving
from broker.hosts.document import parse
from broker.hosts.machine import Machine
from broker.hosts.masking import Masks
from broker.hosts.plans import Record, as_read, connecting, disconnecting
from broker.settings import SettingsError
from tests.broker.hosts_text import NAMES, VALUES, WORDS

BROKER = ["/opt/bin/dragoman"]
MACHINE = Machine("linux", "/srv/ada", {"SET": "1"}, "/srv/ada/work")
ROUNDS = settings(max_examples=150, deadline=None)

WORDS_OF_FILES = st.sampled_from(
    ["stdio", "http", "sse", "local", "npx", "dragoman", "https://a.example/mcp?k=1", "ftp://x", "${SET}", "${UNSET}"]
)
KEYS = st.sampled_from(
    [
        *("command", "cmd", "args", "env", "cwd", "url", "httpUrl", "serverUrl", "headers", "http_headers", "type"),
        *("transport", "env_vars", "env_http_headers", "bearer_token_env_var", "requestOptions", "envFile", "enabled"),
        *("disabled", "name", "path", "settings", "oauth", "timeout"),
    ]
)
ANYTHING = (
    VALUES
    | WORDS_OF_FILES
    | st.lists(WORDS_OF_FILES, max_size=4)
    | st.dictionaries(NAMES, WORDS_OF_FILES | VALUES, max_size=3)
)
ENTRIES = st.dictionaries(KEYS, ANYTHING, max_size=7) | ANYTHING
ROOTS = st.sampled_from(
    ["mcpServers", "servers", "context_servers", "mcp_servers", "amp.mcpServers", "mcp", "projects", "inputs", "name"]
)
FILES = st.dictionaries(
    ROOTS, st.dictionaries(NAMES, ENTRIES, max_size=3) | st.lists(ENTRIES, max_size=3) | ANYTHING, max_size=4
)
PARTS = st.sampled_from(
    [
        *("registryType", "identifier", "version", "transport", "runtimeHint", "runtimeArguments", "type", "url"),
        *("packageArguments", "environmentVariables", "headers", "variables", "name", "value", "default", "isRequired"),
    ]
)
NESTED: st.SearchStrategy[Any] = st.recursive(
    ANYTHING | st.sampled_from(["npm", "oci", "streamable-http", "{x}", "named", "positional"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PARTS, inner, max_size=5),
    max_leaves=12,
)


def served(tree: Any) -> None:
    """Read as `dragoman serve` does; what cannot be served is refused in the one way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mcp.json"
        path.write_text(json.dumps(tree), encoding="utf-8")
        lines = [str(path)]
        try:
            assert serving.settings(path, MACHINE)[0].servers
        except SettingsError as error:
            lines = error.problems
        assert all(line.startswith(str(path)) for line in lines)


@ROUNDS
@given(FILES)
def test_any_entry_is_connected_and_turned_back_or_left_alone(tree: dict[str, Any]) -> None:
    here = parse(json.dumps(tree).encode(), "json")
    plan = connecting(here, BROKER)
    there = as_read(plan.text, here)
    back = disconnecting(there, here, Record("", [BROKER], plan.keys))
    assert as_read(back.text, here).root.value == tree
    disconnecting(there)
    parse(Masks().masked(there).encode(), "json")


@ROUNDS
@given(FILES)
def test_any_file_is_served_in_part_or_refused(tree: dict[str, Any]) -> None:
    served(tree)


@ROUNDS
@given(st.fixed_dictionaries({"name": WORDS}, optional={"packages": NESTED, "remotes": NESTED}))
def test_any_registry_entry_is_served_or_refused(tree: dict[str, Any]) -> None:
    served(tree)
