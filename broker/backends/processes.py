"""What starting and ending a process takes on each system. Given from outside, so that each is tested on any.

Windows finds no scripts (`npx` is `npx.cmd`), has groups of processes only for Ctrl-Break, and hands the arguments of a
batch file to its shell. Invariant: an argument means what the operator wrote, or nothing is started.
"""

from __future__ import annotations

import ntpath
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

CTRL_BREAK: Final = 1  # `signal.CTRL_BREAK_EVENT`, which exists on Windows alone
NEW_PROCESS_GROUP: Final = 0x0200  # `subprocess.CREATE_NEW_PROCESS_GROUP`, the same
NO_WINDOW: Final = 0x0800_0000  # `subprocess.CREATE_NO_WINDOW`

_BATCH: Final = (".bat", ".cmd")
_FOR_THE_SHELL: Final = re.compile(r'["&|<>^\r\n]|%[^%]*%')
"""What cmd.exe, which runs every batch file, reads as its own in an argument, quoted or not."""


def argv_of(
    argv: tuple[str, ...],
    variables: Mapping[str, str],
    platform: str,
    which: Callable[..., str | None] = shutil.which,
) -> tuple[str, ...]:
    """The words to start a process with: on Windows with the whole path of a program that is only named.

    Elsewhere the system looks for it in the child's own PATH, from the child's own folder.

    Raises:
        ValueError: a batch file would be given an argument that its shell takes apart.
    """
    if platform != "win32":
        return argv
    program = argv[0]
    if not ntpath.dirname(program):
        path = next((value for name, value in variables.items() if name.upper() == "PATH"), None)
        program = which(program, path=path) or program
    if program.lower().endswith(_BATCH) and any(_FOR_THE_SHELL.search(word) for word in argv[1:]):
        raise ValueError(f'{ntpath.basename(program)} is a batch file: no argument may have one of " & | < > ^ %NAME%')
    return (program, *argv[1:])


def group_options(platform: str) -> dict[str, Any]:
    """What makes a new process the first of a group of its own, so that Ctrl-C at the broker is not its as well."""
    if platform == "win32":
        return {"creationflags": NEW_PROCESS_GROUP}  # in our console: Ctrl-Break reaches no other
    return {"start_new_session": True}


def keep_standard() -> None:
    """In a new process, before its program: what it is given is its standard streams and nothing else.

    uvloop 0.23 hands on its own ends of their pipes too, and all that may be inherited. A program that closes its
    output would then go unnoticed, because the pipe stays open under another number.
    """
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            with suppress(OSError):  # the folder's own, closed by now
                os.set_inheritable(int(name), False)


def tell(
    pid: int,
    name: str,
    platform: str,
    *,
    alive: bool,
    kill: Callable[[int, int], None] = os.kill,
    kill_group: Callable[[int, int], None] | None = None,
    run: Callable[..., Any] = subprocess.Popen,
) -> None:
    """Tell a process and those it started to end (`SIGTERM`), or end them (`SIGKILL`).

    On Windows only one that is `alive`: its number may be another's by now, and its descendants are found through it.

    Raises:
        OSError: there is none, or it is not ours.
    """
    if platform != "win32":
        (kill_group or vars(os)["killpg"])(pid, getattr(signal, name))
    elif alive and name == "SIGTERM":
        kill(pid, CTRL_BREAK)
    elif alive:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        run(["taskkill", "/T", "/F", "/PID", str(pid)], creationflags=NO_WINDOW, **quiet)
