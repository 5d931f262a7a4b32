"""The new user's run: the file that it begins with, and what counts as the same view."""

from __future__ import annotations

import json
from pathlib import Path

from conformance import newcomer
from conformance.cells import FAMILIES
from conformance.published_servers import PUBLISHED

OF_PYPI = next(server for server in PUBLISHED if not server.of_npm)


def test_the_file_names_published_servers_on_the_sdks_of_both_families() -> None:
    servers = [server for server in PUBLISHED if server.name in newcomer.SERVERS.values()]
    assert len(servers) == len(newcomer.SERVERS)
    assert {server.of_npm for server in servers} == {False, True}
    assert len(FAMILIES) == 2


def test_the_file_is_written_as_no_program_would_write_it(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    file.write_text(newcomer.host_file({"one": OF_PYPI, "two": OF_PYPI}, tmp_path), encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    value = json.loads(text)
    assert text not in {json.dumps(value, indent=indent) for indent in (None, 2, 3, 4)}
    assert list(value) == ["globalShortcut", "mcpServers"]
    found = newcomer.entries(file)
    assert list(found) == ["one", "two"]
    assert found["one"].argv == tuple(OF_PYPI.command(tmp_path))
    assert found["one"].env == {"TZ": "Europe/Lisbon"}


def test_only_what_an_sdk_adds_or_keeps_to_itself_is_left_out() -> None:
    shown = {"content": [], "isError": False, "resultType": "complete"}
    assert newcomer.plain(shown) == {"content": []}
    shown = {"content": [], "isError": True, "resultType": "input_required"}
    assert newcomer.plain(shown) == shown
