"""`connect` and `disconnect` on real files: what they write, keep, restore and refuse."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from broker.hosts import keeping
from broker.hosts.document import load
from broker.hosts.keeping import BACKUP, OLDER, RECORD
from broker.hosts.plans import Record
from broker.hosts.putting import put_in, take_out
from broker.hosts.spans import CannotRead

BROKER = ["/opt/bin/dragoman"]
SECRET = "canary-5b1f-secret"
TEXT = f"""\
{{
  // mine
  "mcpServers": {{
    "files": {{"command": "npx", "args": ["-y", "fs"], "env": {{"TOKEN": "{SECRET}"}}}}, // local
    "remote": {{
      "url": "https://mcp.example.com/mcp", // production
      "headers": {{"Authorization": "Bearer {SECRET}"}}
    }}
  }},
  "theme": "dark"
}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mcp.json"
    file.write_text(TEXT, encoding="utf-8")
    file.chmod(0o600)
    return file


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def commands(path: Path) -> dict[str, str | None]:
    servers = load(path).root.value["mcpServers"]
    return {name: entry.get("command") for name, entry in servers.items()}


def test_a_dry_run_changes_nothing_and_shows_no_secret(path: Path) -> None:
    done = put_in(path, BROKER, dry_run=True)
    assert (path.read_text(encoding="utf-8"), names(path.parent)) == (TEXT, ["mcp.json"])
    shown = "\n".join(done.diff)
    assert SECRET not in shown
    assert '+    "files": {"command": "/opt/bin/dragoman"' in shown
    assert done.plan.added == ["files", "remote"]


def test_a_backup_and_a_record_are_kept_beside_with_the_file_s_mode(path: Path) -> None:
    done = put_in(path, BROKER)
    assert done.backup == path.with_name("mcp.json" + BACKUP)
    assert names(path.parent) == ["mcp.json", "mcp.json" + BACKUP, "mcp.json" + RECORD]
    assert path.with_name("mcp.json" + BACKUP).read_text(encoding="utf-8") == TEXT
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    assert commands(path) == {"files": BROKER[0], "remote": BROKER[0]}
    assert SECRET not in path.with_name("mcp.json" + RECORD).read_text(encoding="utf-8")


def test_an_untouched_file_is_restored_byte_for_byte_and_nothing_is_left(path: Path) -> None:
    put_in(path, BROKER)
    taken = take_out(path)
    assert (taken.restored, taken.removed) == (True, ["files", "remote"])
    assert (path.read_text(encoding="utf-8"), names(path.parent)) == (TEXT, ["mcp.json"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_marks_and_line_ends_survive_both_ways(path: Path, newline: str, mark: str) -> None:
    data = (mark + TEXT.replace("\n", newline)).encode()
    path.write_bytes(data)
    put_in(path, BROKER)
    written = path.read_bytes()
    assert written.startswith(mark.encode())
    assert written.count(b"\n") == written.count(newline.encode())
    path.write_bytes(written + newline.encode())
    take_out(path)
    assert path.read_bytes() == data + newline.encode()


def test_what_was_changed_since_stays_and_is_shown_without_secrets(path: Path) -> None:
    put_in(path, BROKER)
    text = path.read_text(encoding="utf-8")
    changed = text.replace('"theme": "dark"', f'"theme": "light", // new\n  "apiKey": "{SECRET}-2"')
    changed = changed.replace("// mine", "// ours")
    path.write_text(changed, encoding="utf-8")
    taken = take_out(path)
    expected = TEXT.replace('"theme": "dark"', f'"theme": "light", // new\n  "apiKey": "{SECRET}-2"')
    assert path.read_text(encoding="utf-8") == expected.replace("// mine", "// ours")
    assert (taken.restored, taken.removed) == (False, ["files", "remote"])
    shown = "\n".join(taken.diff)
    assert '+  "theme": "light", // new' in shown
    assert SECRET not in shown
    # The file of before stays for a look; the record goes, for nothing is connected any more.
    assert taken.backup is not None
    assert taken.backup.read_text(encoding="utf-8") == TEXT
    assert names(path.parent) == ["mcp.json", "mcp.json" + BACKUP]


def test_what_was_changed_inside_an_entry_stays_too(path: Path) -> None:
    put_in(path, BROKER)
    text = path.read_text(encoding="utf-8")
    text = text.replace(f'"TOKEN": "{SECRET}"', '"TOKEN": "newer", "MORE": "1"').replace('"fs"]', '"fs", "/tmp"]')
    text = text.replace(f'"Bearer {SECRET}"', '"Bearer newer"')
    path.write_text(text, encoding="utf-8")
    take_out(path)
    servers = load(path).root.value["mcpServers"]
    assert servers == {
        "files": {"command": "npx", "args": ["-y", "fs", "/tmp"], "env": {"TOKEN": "newer", "MORE": "1"}},
        "remote": {"url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer newer"}},
    }


def test_a_host_that_writes_its_file_anew_costs_the_spelling_and_nothing_else(path: Path) -> None:
    import json

    put_in(path, BROKER)
    tree = load(path).root.value
    tree["mcpServers"]["renamed"] = tree["mcpServers"].pop("files")
    path.write_text(json.dumps(tree, indent=2, sort_keys=True), encoding="utf-8")
    taken = take_out(path)
    assert sorted(taken.removed) == ["remote", "renamed"]
    servers = load(path).root.value["mcpServers"]
    assert servers["renamed"] == {"command": "npx", "args": ["-y", "fs"], "env": {"TOKEN": SECRET}}
    assert servers["remote"]["url"] == "https://mcp.example.com/mcp"


def test_connecting_again_leaves_entries_alone_and_takes_in_new_ones(path: Path) -> None:
    put_in(path, BROKER, ["files"])
    once = path.read_bytes()
    again = put_in(path, BROKER, ["files"])
    assert (again.plan.added, again.plan.already, path.read_bytes()) == ([], ["files"], once)
    text = path.read_text(encoding="utf-8").replace('"theme"', '"zoom": 1, "theme"')
    path.write_text(text, encoding="utf-8")
    more = put_in(path, ["uvx", "dragoman"])
    assert (more.plan.added, more.plan.already) == (["remote"], ["files"])
    assert commands(path) == {"files": BROKER[0], "remote": "uvx"}
    # The backup is the file without the broker, with what the person added meanwhile.
    assert take_out(path).restored
    assert path.read_text(encoding="utf-8") == TEXT.replace('"theme"', '"zoom": 1, "theme"')


def test_an_entry_a_person_wrote_for_the_broker_is_not_taken_out(path: Path) -> None:
    path.write_text(
        '{"mcpServers": {"own": {"command": "/x/dragoman", "args": ["stdio", "--tool-deny", "a*", "--", "npx"]}, '
        '"files": {"command": "npx"}}}',
        encoding="utf-8",
    )
    assert put_in(path, BROKER).plan.already == ["own"]
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    taken = take_out(path)
    assert (taken.removed, list(taken.kept)) == (["files"], ["own"])
    assert commands(path) == {"own": "/x/dragoman", "files": "npx"}


def test_without_backup_and_record_the_entries_tell_themselves_what_they_were(path: Path) -> None:
    put_in(path, BROKER)
    path.with_name("mcp.json" + BACKUP).unlink()
    path.with_name("mcp.json" + RECORD).write_text("{", encoding="utf-8")
    taken = take_out(path)
    assert taken.removed == ["files", "remote"]
    servers = load(path).root.value["mcpServers"]
    assert servers["files"] == {"command": "npx", "args": ["-y", "fs"], "env": {"TOKEN": SECRET}}
    assert servers["remote"] == {
        "url": "https://mcp.example.com/mcp",
        "headers": {"Authorization": f"Bearer {SECRET}"},
    }


def test_a_backup_left_for_a_person_is_not_written_over(path: Path) -> None:
    put_in(path, BROKER)
    path.write_text(path.read_text(encoding="utf-8").replace("dark", "light"), encoding="utf-8")
    take_out(path)
    put_in(path, BROKER)
    assert path.with_name("mcp.json" + OLDER).read_text(encoding="utf-8") == TEXT
    assert path.with_name("mcp.json" + BACKUP).read_text(encoding="utf-8") == TEXT.replace("dark", "light")


def test_a_file_the_broker_is_not_in_is_left_as_it_is(path: Path) -> None:
    taken = take_out(path)
    assert (taken.restored, taken.removed, path.read_text(encoding="utf-8")) == (False, [], TEXT)


def test_an_interruption_before_the_file_was_written_is_undone(path: Path) -> None:
    kept = keeping.look(path)
    path.with_name("mcp.json" + BACKUP).write_bytes(kept.data)
    record = Record("0" * 64, [BROKER], [(["mcpServers"], "files")])
    import msgspec

    path.with_name("mcp.json" + RECORD).write_bytes(msgspec.json.encode(record))
    assert take_out(path).restored
    assert (path.read_text(encoding="utf-8"), names(path.parent)) == (TEXT, ["mcp.json"])


def test_a_file_that_changes_meanwhile_is_not_written_over(path: Path) -> None:
    kept = keeping.look(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(CannotRead, match="changed while it was worked on"):
        keeping.connected(kept, b"new", kept.data, Record("", [BROKER], []))
    assert path.read_text(encoding="utf-8") == "{}"
    assert not [name for name in names(path.parent) if name.startswith(".")]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_link_stays_a_link_and_the_file_behind_it_changes(path: Path, tmp_path: Path) -> None:
    (tmp_path / "dots").mkdir()
    link = tmp_path / "dots" / "link.json"
    link.symlink_to(path)
    done = put_in(link, BROKER)
    assert link.is_symlink()
    assert (done.path, names(link.parent)) == (path.resolve(), ["link.json"])
    assert take_out(link).restored
    assert path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("call", [lambda path: put_in(path, BROKER), take_out])
def test_a_read_only_file_is_refused(path: Path, call: object) -> None:
    assert callable(call)
    put_in(path, BROKER, ["files"])
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    written = path.read_bytes()
    path.chmod(0o444)
    with pytest.raises(CannotRead, match="read-only"):
        call(path)
    assert path.read_bytes() == written


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").mkdir()
    for name, what in (("mcp.json", "is a directory"), ("none.json", "no such file"), ("mcp.ini", "ending in")):
        for call in (lambda path: put_in(path, BROKER), take_out):
            with pytest.raises(CannotRead, match=what):
                call(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{}", '{"mcpServers": {}}'])
def test_a_file_without_servers_is_left_as_it_is(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    done = put_in(path, BROKER)
    assert (done.plan.added, done.diff, done.backup, path.read_text(encoding="utf-8")) == ([], [], None, text)


def test_wrong_entries_are_left_alone_and_the_others_are_connected(path: Path) -> None:
    path.write_text(
        '{"mcpServers": {"bad": {"comand": "x"}, "a": {"command": "x"}, "a": {"command": "y"}, "b": {"command": "z"}}}',
        encoding="utf-8",
    )
    done = put_in(path, BROKER)
    assert done.plan.added == ["b"]
    assert done.plan.left == {"bad": "neither a command nor a url"}
    assert [problem.path for problem in done.plan.problems if problem.fatal] == ["mcpServers.a", "mcpServers.bad"]


def test_entries_written_as_aliases_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    text = "base: &b {name: a, command: npx}\nmcpServers: [*b]\n"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CannotRead, match="cannot be edited in place"):
        put_in(file, BROKER)
    assert (file.read_text(encoding="utf-8"), names(tmp_path)) == (text, ["config.yaml"])
