"""Serve directly, or with `--process-per-session` behind `per_session_front`, one process for each session.

Imports no SDK before it knows that this process is to serve: the front has an environment of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FRONT = Path(__file__).with_name("per_session_front.py")
FLAG = "--process-per-session"


def main() -> None:
    """Become the front of this very script, or serve."""
    arguments = sys.argv[1:]
    if FLAG not in arguments:
        from serving import main as serve

        serve(arguments)
        return
    arguments.remove(FLAG)
    script = str(Path(sys.argv[0]).resolve())
    front = ["uv", "run", "-q", "--script", str(FRONT), *arguments]
    os.execvp("uv", [*front, "--", sys.executable, script])
