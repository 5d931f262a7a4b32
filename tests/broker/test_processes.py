"""How processes are started and ended on each system, told from any."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

import pytest

from broker.backends.processes import CTRL_BREAK, NEW_PROCESS_GROUP, argv_of, group_options, tell

NODE = r"C:\Program Files\nodejs"


def which(program: str, *, path: str | None) -> str | None:
    """What stands in the folder of Node.js, found as Windows finds it."""
    found = {"npx": "npx.CMD", "npx.cmd": "npx.cmd", "node": "node.EXE"}.get(program)
    return rf"{NODE}\{found}" if path == NODE and found else None


def test_windows_is_given_the_whole_path_of_what_the_childs_path_leads_to() -> None:
    variables = {"Path": NODE}
    assert argv_of(("npx", "-y", "s"), variables, "win32", which) == (rf"{NODE}\npx.CMD", "-y", "s")
    assert argv_of(("npx.cmd", "-y", "s"), variables, "win32", which) == (rf"{NODE}\npx.cmd", "-y", "s")
    assert argv_of(("node", "a b.js"), variables, "win32", which) == (rf"{NODE}\node.EXE", "a b.js")


def test_what_is_not_found_or_has_a_folder_is_left_to_the_system() -> None:
    assert argv_of(("other",), {"PATH": NODE}, "win32", which) == ("other",)
    assert argv_of(("npx",), {}, "win32", which) == ("npx",)
    assert argv_of((r".\npx", "a"), {"PATH": NODE}, "win32", which) == (r".\npx", "a")


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_other_systems_look_for_the_program_themselves(platform: str) -> None:
    argv = ("npx", 'a"&b', "%PATH%")
    assert argv_of(argv, {"PATH": NODE}, platform, which) is argv


@pytest.mark.parametrize("word", ["a&calc", 'a" b', "a|b", "a>b", "^a", "%PATH%", "a\nb", "with space & more"])
def test_an_argument_that_the_shell_of_a_batch_file_would_take_apart_starts_nothing(word: str) -> None:
    with pytest.raises(ValueError, match="batch file"):
        argv_of(("npx", "-y", word), {"PATH": NODE}, "win32", which)
    with pytest.raises(ValueError, match="batch file"):
        argv_of((r"C:\tools\server.BAT", word), {"PATH": NODE}, "win32", which)
    assert argv_of(("node", word), {"PATH": NODE}, "win32", which)[1] == word


@pytest.mark.parametrize("word", ["https://a/mcp?x=1", "100%", "a b", "C:\\some folder\\", "a%20b", "--x=y", "(a)"])
def test_other_arguments_reach_a_batch_file(word: str) -> None:
    assert argv_of(("npx", word), {"PATH": NODE}, "win32", which)[1] == word


def test_a_new_process_leads_a_group_of_its_own() -> None:
    assert group_options("win32")["creationflags"] & NEW_PROCESS_GROUP
    assert group_options("linux") == group_options("darwin") == {"start_new_session": True}


def test_a_group_is_told_as_its_system_does() -> None:
    done: list[Any] = []

    def run(argv: list[str], **_options: Any) -> None:
        done.append(argv)

    def group(pid: int, number: int) -> None:
        done.append(("group", pid, number))

    def one(pid: int, number: int) -> None:
        done.append((pid, number))

    for platform in ("linux", "win32"):
        for name in ("SIGTERM", "SIGKILL"):
            tell(7, name, platform, alive=True, kill=one, kill_group=group, run=run)
    assert done == [
        ("group", 7, signal.SIGTERM),
        ("group", 7, signal.Signals["SIGKILL"]),
        (7, CTRL_BREAK),
        ["taskkill", "/T", "/F", "/PID", "7"],
    ]
    done.clear()
    for name in ("SIGTERM", "SIGKILL"):
        tell(7, name, "win32", alive=False, kill=one, kill_group=group, run=run)
    assert done == []


@pytest.mark.skipif(not hasattr(subprocess, "CREATE_NEW_PROCESS_GROUP"), reason="only Windows has these numbers")
def test_the_numbers_of_windows_are_its_own() -> None:
    assert subprocess.CREATE_NEW_PROCESS_GROUP == NEW_PROCESS_GROUP  # type: ignore[attr-defined,unused-ignore]
    assert signal.CTRL_BREAK_EVENT == CTRL_BREAK  # type: ignore[attr-defined,unused-ignore]
