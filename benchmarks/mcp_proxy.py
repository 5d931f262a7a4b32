"""PyPI's `mcp-proxy`, the bridge that most hosts are told to put before an address, in an environment of its own.

Beside it stands the installed `dragoman`, in turn; whatever both are asked to do is asked of both alike.

The invariant: release and SDK are pinned, and nothing of it is ever imported here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.client import HarnessError

REQUIREMENTS: Final = ("mcp-proxy==0.13.0", "mcp==1.30.0")
INSTALL_SECONDS: Final = 300.0
OTHER, BROKER = "mcp-proxy", "broker"
TARGETS: Final = (OTHER, BROKER)


def turns(number: int) -> Iterable[str]:
    """The targets in the order of a round: the other way round every second time."""
    return TARGETS if number % 2 else reversed(TARGETS)


def broker() -> str:
    """The installed command `dragoman`."""
    return str(Path(sys.executable).parent / "dragoman")


def environment(bytecode: str) -> dict[str, str]:
    """What both run in: their bytecode is kept in a folder of the run, as that of installed programs is."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": bytecode}


def program() -> Path:
    """The installed command; installs it first if need be, with its bytecode, so that no start pays for that.

    Raises:
        HarnessError: it cannot be installed.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256("\n".join((*REQUIREMENTS, sys.version)).encode()).hexdigest()[:16]
    target = base / "dragoman" / "benchmarks" / f"mcp-proxy-{name}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        _install(target)
    return target / "bin" / "mcp-proxy"


def _install(target: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise HarnessError("mcp-proxy is installed with uv, which is not on the path")
    try:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(target))
        python = str(target / "bin" / "python")
        _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *REQUIREMENTS)
    except HarnessError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"{' '.join(command)}: not done in {INSTALL_SECONDS:g} s") from error
    if done.returncode != 0:
        raise HarnessError(f"{' '.join(command)}: {done.stderr[-1000:]}")
