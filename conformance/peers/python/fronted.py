"""Serve with one process per session through `per_session_front`; `--one-process` serves directly.

Imports no SDK before it knows that this process is to serve: the front has an environment of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FRONT = Path(__file__).with_name("per_session_front.py")
DIRECT = "--one-process"


def main() -> None:
    """Become the front of this very script, or serve."""
    arguments = sys.argv[1:]
    if DIRECT in arguments:
        from serving import main as serve

        arguments.remove(DIRECT)
        serve(arguments)
        return
    script = str(Path(sys.argv[0]).resolve())
    front = ["uv", "run", "-q", "--script", str(FRONT), *arguments]
    os.execvp("uv", [*front, "--", sys.executable, script, DIRECT])


if __name__ == "__main__":
    main()
