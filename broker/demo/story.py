"""The story `dragoman demo` tells: two older clients use a 2026-07-28 server, and every line of it is checked. With the
server of before, a client of 2026-07-28 uses it as well.

Starts a sample server and the broker on loopback in this process; the 2024-11-05 client is a program of its own on the
official SDK, or the built-in one where that cannot be had. Invariant: nothing is printed as seen that a client did not
report; a chapter that does not hold makes the exit code 1.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Coroutine
from importlib import resources
from typing import Any, Final

import aiohttp
import click
from aiohttp import web

from broker import serve, telemetry
from broker.cli_codes import CANNOT_BIND, RUNTIME
from broker.demo import server, session_server
from broker.demo.chapters import Chapter, Line, asking_client, modern_client, old_client
from broker.demo.client import StrangeAnswer, answer_and_follow, walk
from broker.demo.modern_client import stand_alone
from broker.ending import on_signals
from broker.settings import DEFAULT_PORT, Settings
from protocol_versions.v2024_11_05 import REVISION as CLIENT
from protocol_versions.v2025_11_25 import REVISION as ASKING

# The last SDK release whose newest revision is 2024-11-05, with the last pydantic it runs on.
SDK: Final = ("mcp==1.8.1", "pydantic<2.14")
SDK_S: Final = 120.0  # download and run; a cold registry over a slow line

SAMPLES: Final[dict[str, Callable[[], web.Application]]] = {
    server.REVISION: server.sample_app,
    session_server.REVISION: session_server.sample_app,
}
"""The sample servers by the one revision each speaks, newest first."""


def tell(*, port: int | None, once: bool, built_in: bool, revision: str = server.REVISION) -> int:
    """Run the demo; returns the exit code.

    `port` None: the usual one, or a free one if that is taken. `revision` is that of the sample server.
    """
    telemetry.configure(level="error")
    try:
        with asyncio.Runner(loop_factory=serve.new_loop) as runner:
            return runner.run(_tell(port, once, built_in, revision))
    except serve.CannotServe as error:
        click.echo(f"dragoman: {error}", err=True)
        return CANNOT_BIND if error.bind else RUNTIME


async def _tell(port: int | None, once: bool, built_in: bool, revision: str) -> int:
    # From here on, or a signal that comes as soon as "Ctrl-C ends it" is read would end the process its own way.
    stop = _signals()
    sample = await serve.start(Settings.for_proxy("http://127.0.0.1/mcp", port=0), lambda *_: SAMPLES[revision]())
    broker: serve.Running | None = None
    try:
        broker = await _start_broker(f"{sample.url}/mcp", port)
        url = f"{broker.url}/mcp"
        click.echo(f"server   {sample.url}/mcp speaks {revision}, and nothing older")
        click.echo(f"broker   {url}")
        acting, stopping = asyncio.create_task(_act(url, built_in, revision)), asyncio.create_task(stop.wait())
        await asyncio.wait([acting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not acting.done():
            acting.cancel()
            await asyncio.wait([acting])
            return RUNTIME
        good = acting.result()
        if once or not good:
            return 0 if good else RUNTIME
        click.echo(f"\nStill serving. Point an MCP client of any revision at {url}\nCtrl-C ends it.")
        await stopping
        return 0
    finally:
        if broker is not None:
            await broker.close()
        await sample.close()


async def _start_broker(backend: str, port: int | None) -> serve.Running:
    def create(settings: Settings, bound: int) -> web.Application:
        from broker.app import create_app

        return create_app(settings, port=bound)

    try:
        return await serve.start(Settings.for_proxy(backend, port=DEFAULT_PORT if port is None else port), create)
    except serve.CannotServe as error:
        if port is not None or not error.bind:
            raise
        return await serve.start(Settings.for_proxy(backend, port=0), create)


async def _act(url: str, built_in: bool, revision: str) -> bool:
    """Run the clients and tell what they saw; True if every chapter holds."""
    modern = revision == server.REVISION
    lines: list[Line] = []
    who = why = ""
    if not built_in:
        lines, why = await _sdk(url)
        who = f"the official Python SDK ({SDK[0]})"
    if not lines and why:
        click.echo(f"         the SDK client is not available here: {why}")
    who, lines = (who, lines) if lines else ("the built-in wire client", await _walked(walk(url)))
    good = _told(who, CLIENT.id, lines, old_client(modern=modern))
    lines = await _walked(answer_and_follow(url, following=modern))
    good = _told("a built-in client that can be asked", ASKING.id, lines, asking_client(modern=modern)) and good
    if not modern:
        lines = await _walked(stand_alone(url))
        good = (
            _told("a built-in client without sessions", server.REVISION, lines, modern_client(), newest=True) and good
        )
    degraded = sorted({(method, change) for (_, method, _, change, _) in telemetry.losses})
    click.echo("\nWhat the broker says was lost, by change of the specification:")
    for method, change in degraded:
        click.echo(f"           {method}: {change}")
    return good


async def _walked(reports: Coroutine[Any, Any, list[Line]]) -> list[Line]:
    """A built-in client's reports; none, with a word, if something stopped it."""
    try:
        return await reports
    except (StrangeAnswer, KeyError, ValueError, OSError, TimeoutError, aiohttp.ClientError) as error:
        click.echo(f"FAILED   the client stopped: {error!r}", err=True)
        return []


def _told(who: str, revision: str, lines: list[Line], chapters: tuple[Chapter, ...], *, newest: bool = False) -> bool:
    """Print each chapter with what was seen; True if all hold."""
    click.echo(f"\nclient   {who} speaks {revision}, and nothing {'older' if newest else 'newer'}\n")
    good = True
    for title, check in chapters:
        seen = check(lines)
        mark = "ok      " if seen is not None else "FAILED  "
        click.echo(f"{mark} {title}" + (f"\n           {seen}" if seen else ""))
        good = good and seen is not None
    return good


async def _sdk(url: str) -> tuple[list[Line], str]:
    """The SDK client's reports, or none and why there are none."""
    uv = shutil.which("uv")
    command = [uv] if uv else [sys.executable, "-m", "uv"]
    withs = [part for requirement in SDK for part in ("--with", requirement)]
    with resources.as_file(resources.files("broker.demo") / "sdk_client.py") as script:
        arguments = ["run", "--quiet", "--no-project", "--isolated", *withs, "python", str(script), url, CLIENT.id]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            return [], f"uv cannot be run ({error.strerror})"
        try:
            async with asyncio.timeout(SDK_S):
                output, _ = await process.communicate()
        except TimeoutError:
            return [], f"it did not end within {SDK_S:.0f} s"
        finally:
            if process.returncode is None:
                process.terminate()  # uv passes it on to the client
                await process.wait()
    lines = [json.loads(line) for line in output.decode().splitlines() if line.startswith("{")]
    if not lines:
        return [], "uv or a package registry is missing"
    return lines, ""


def _signals() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM."""
    stop = asyncio.Event()
    on_signals(stop.set)
    return stop
