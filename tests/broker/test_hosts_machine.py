"""Where every host keeps its servers on every system, computed for systems this one is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.hosts.machine import Machine, startable
from broker.hosts.putting import own_command
from broker.hosts.table import HOSTS, host

LINUX = Machine("linux", "/srv/ada", {}, "/srv/ada/work")
MAC = Machine("darwin", "/Users/ada", {}, "/Users/ada/work")
WINDOWS = Machine("win32", r"C:\Users\Ada", {"AppData": r"D:\Roaming\Ada"}, r"C:\work")


def places(name: str, machine: Machine) -> list[str]:
    known = host(name)
    assert known is not None
    return [str(place) for place in known.locations(machine)]


@pytest.mark.parametrize(
    ("name", "machine", "expected"),
    [
        ("claude-desktop", LINUX, "/srv/ada/.config/Claude/claude_desktop_config.json"),
        ("claude-desktop", MAC, "/Users/ada/Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", WINDOWS, r"D:\Roaming\Ada\Claude\claude_desktop_config.json"),
        ("claude-code", LINUX, "/srv/ada/.claude.json"),
        ("claude-code", WINDOWS, r"C:\Users\Ada\.claude.json"),
        ("cursor", MAC, "/Users/ada/.cursor/mcp.json"),
        ("cursor", WINDOWS, r"C:\Users\Ada\.cursor\mcp.json"),
        ("windsurf", MAC, "/Users/ada/.codeium/windsurf/mcp_config.json"),
        ("gemini", WINDOWS, r"C:\Users\Ada\.gemini\settings.json"),
        ("lmstudio", LINUX, "/srv/ada/.lmstudio/mcp.json"),
        ("vscode", LINUX, "/srv/ada/.config/Code/User/mcp.json"),
        ("vscode", MAC, "/Users/ada/Library/Application Support/Code/User/mcp.json"),
        ("vscode", WINDOWS, r"D:\Roaming\Ada\Code\User\mcp.json"),
        ("zed", MAC, "/Users/ada/.config/zed/settings.json"),
        ("zed", WINDOWS, r"D:\Roaming\Ada\zed\settings.json"),
        ("continue", WINDOWS, r"C:\Users\Ada\.continue\config.yaml"),
        ("codex", LINUX, "/srv/ada/.codex/config.toml"),
        ("goose", WINDOWS, r"D:\Roaming\Ada\Block\goose\config\config.yaml"),
        ("amp", MAC, "/Users/ada/.config/amp/settings.json"),
    ],
)
def test_a_host_s_first_place_on_each_system(name: str, machine: Machine, expected: str) -> None:
    assert places(name, machine)[0] == expected


@pytest.mark.parametrize("machine", [LINUX, MAC, WINDOWS], ids=lambda machine: machine.platform)
def test_every_host_has_absolute_places_on_every_system(machine: Machine) -> None:
    for each in HOSTS:
        found = each.locations(machine)
        assert found, each.name
        assert all(place.is_absolute() for place in found)


def test_variables_that_hosts_heed_are_heeded() -> None:
    moved = Machine(
        "linux", "/srv/ada", {"XDG_CONFIG_HOME": "/cfg", "CODEX_HOME": "/cx", "CLAUDE_CONFIG_DIR": "/cl"}, "/"
    )
    assert places("zed", moved) == ["/cfg/zed/settings.json"]
    assert places("codex", moved) == ["/cx/config.toml"]
    assert places("claude-code", moved) == ["/cl/.claude.json"]


def test_windows_without_appdata_has_its_usual_place() -> None:
    bare = Machine("win32", r"C:\Users\Ada", {}, r"C:\work")
    assert places("vscode", bare)[0] == r"C:\Users\Ada\AppData\Roaming\Code\User\mcp.json"


def test_windows_starts_scripts_by_their_whole_name() -> None:
    names = ("npx", "NPX", "uvx", "npx.cmd", r"C:\x\npx")
    assert [startable(name, "win32") for name in names] == ["npx.cmd", "NPX.cmd", "uvx", "npx.cmd", r"C:\x\npx"]
    assert [startable("npx", "darwin"), startable("npx", "linux")] == ["npx", "npx"]


def test_files_that_exist_are_found_once_each_also_behind_an_unknown_folder(tmp_path: Path) -> None:
    machine = Machine("linux", str(tmp_path), {}, str(tmp_path))
    studio = host("lmstudio")
    assert studio is not None
    (tmp_path / ".lmstudio").mkdir()
    (tmp_path / ".lmstudio" / "mcp.json").write_text("{}", encoding="utf-8")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "lm-studio").symlink_to(tmp_path / ".lmstudio")
    assert studio.files(machine) == [tmp_path / ".lmstudio" / "mcp.json"]
    starred = type(studio)("x", "X", ("~/Packages/Claude_*/config.json",))
    (tmp_path / "Packages" / "Claude_abc").mkdir(parents=True)
    (tmp_path / "Packages" / "Claude_abc" / "config.json").write_text("{}", encoding="utf-8")
    assert starred.files(machine) == [tmp_path / "Packages" / "Claude_abc" / "config.json"]


def test_the_broker_is_started_by_an_absolute_path_for_hosts_search_hardly_anywhere() -> None:
    words = own_command(Machine.here())
    assert Path(words[0]).is_absolute()
    assert Path(words[0]).exists()
