"""Opening a page in this person's browser, by the platform's own opener and never by a shell.

Follows the security best practices of 2026-07-28 (OAuth URL validation). The page's address has been judged before
(`addresses`); here it is made sure once more that no program takes it for anything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Final

from broker.backends.http1_head import parse_url

URL_CHARS: Final = 16 * 1024
"""Of an address with everything in it; a command line takes more, and browsers do."""


def opener(
    platform: str = sys.platform,
    environ: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
) -> str | None:
    """The program that opens a page here, None if there is no screen; on Windows its own call, named `startfile`."""
    if platform == "win32":
        return "startfile"
    if platform == "darwin":
        return None if "SSH_CONNECTION" in environ else "/usr/bin/open"
    if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return None
    return which("xdg-open")


async def show(url: str, program: str) -> bool:
    """Open the page; False if that is known to have failed."""
    parse_url(url)  # http or https, no white space, no control characters; it cannot begin like an option
    if len(url) > URL_CHARS:
        return False
    if program == "startfile":
        return await asyncio.to_thread(_startfile, url)
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            program, url, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    except OSError:
        return False
    return await _ended(process)


START_S: Final = 3.0
"""How long an opener is watched: most hand the page to a running browser at once, some stay until it is closed."""


async def _ended(process: asyncio.subprocess.Process) -> bool:
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(process.wait(), START_S) == 0
    return True


def _startfile(url: str) -> bool:
    start = getattr(os, "startfile", None)
    try:
        if start is not None:
            start(url)
    except OSError:
        return False
    return start is not None
