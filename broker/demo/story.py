"""The story `dragoman demo` tells: a 2024-11-05 client uses a 2025-11-25 server, and every line of it is checked.

Starts the sample server and the broker on loopback in this process, and the client as a program of its own on the
official SDK, or the built-in one where that cannot be had. Invariant: nothing is printed as seen that the client did
not report; a chapter that does not hold makes the exit code 1.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Callable
from importlib import resources
from typing import Any, Final

import click
from aiohttp import web

from broker import serve, telemetry
from broker.cli_codes import CANNOT_BIND, RUNTIME
from broker.demo.client import CALLS, StrangeAnswer, walk
from broker.demo.offers import NOTES, NOTES_URI
from broker.demo.server import REVISION as SERVER_REVISION
from broker.demo.server import sample_app
from broker.settings import DEFAULT_PORT, Settings
from protocol_versions.v2024_11_05 import REVISION as CLIENT

# The last SDK release whose newest revision is 2024-11-05, with the last pydantic it runs on.
SDK: Final = ("mcp==1.8.1", "pydantic<2.14")
SDK_S: Final = 120.0  # download and run; a cold registry over a slow line

Line = dict[str, Any]
Chapter = tuple[str, Callable[[list[Line]], str | None]]
"""`(what it shows, the client's reports -> what was seen, None if it does not hold)`."""


def tell(*, port: int | None, once: bool, built_in: bool) -> int:
    """Run the demo; returns the exit code. `port` None: the usual one, or a free one if that is taken."""
    telemetry.configure(level="error")
    try:
        with asyncio.Runner(loop_factory=serve.new_loop) as runner:
            return runner.run(_tell(port, once, built_in))
    except serve.CannotServe as error:
        click.echo(f"dragoman: {error}", err=True)
        return CANNOT_BIND if error.bind else RUNTIME


async def _tell(port: int | None, once: bool, built_in: bool) -> int:
    # From here on, or a signal that comes as soon as "Ctrl-C ends it" is read would end the process its own way.
    stop = _signals()
    sample = await serve.start(Settings.for_proxy("http://127.0.0.1/mcp", port=0), lambda *_: sample_app())
    broker: serve.Running | None = None
    try:
        broker = await _start_broker(f"{sample.url}/mcp", port)
        url = f"{broker.url}/mcp"
        click.echo(f"server   {sample.url}/mcp speaks {SERVER_REVISION}, and nothing older")
        click.echo(f"broker   {url}")
        acting, stopping = asyncio.create_task(_act(url, built_in)), asyncio.create_task(stop.wait())
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


async def _act(url: str, built_in: bool) -> bool:
    """Run the client and tell what it saw; True if every chapter holds."""
    lines: list[Line] = []
    who = why = ""
    if not built_in:
        lines, why = await _sdk(url)
        who = f"the official Python SDK ({SDK[0]})"
    if not lines:
        if why:
            click.echo(f"         the SDK client is not available here: {why}")
        who = "the built-in wire client"
        try:
            lines = await walk(url)
        except (StrangeAnswer, KeyError, ValueError, OSError) as error:
            click.echo(f"FAILED   the client stopped: {error!r}", err=True)
            return False
    click.echo(f"client   {who} speaks {CLIENT.id}, and nothing newer\n")
    good = True
    for title, check in CHAPTERS:
        seen = check(lines)
        click.echo(
            f"{'ok      ' if seen is not None else 'FAILED  '} {title}" + (f"\n           {seen}" if seen else "")
        )
        good = good and seen is not None
    degraded = sorted({(method, change) for (_, method, _, change, _) in telemetry.losses})
    click.echo("\nWhat the broker says was lost, by change of the specification:")
    for method, change in degraded:
        click.echo(f"           {method}: {change}")
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
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


# ---- the chapters ---------------------------------------------------------------------------------------------


def _find(lines: list[Line], feature: str, tool: str = "") -> Line:
    return next((line for line in lines if line["feature"] == feature and line.get("tool", "") == tool), {})


def _blocks(lines: list[Line], tool: str) -> list[Line]:
    line = _find(lines, "tools/call", tool)
    return [] if line.get("is_error", True) else line["content"]


def _negotiated(lines: list[Line]) -> str | None:
    line = _find(lines, "initialize")
    return f"{line['revision']} with {line['server']}" if line.get("revision") == CLIENT.id else None


def _listed(lines: list[Line]) -> str | None:
    tools = _find(lines, "tools/list").get("tools", [])
    newer = {"outputSchema", "title", "icons", "annotations", "execution"}
    if [tool["name"] for tool in tools] != [name for name, _ in CALLS] or any(newer & tool.keys() for tool in tools):
        return None
    return f"{', '.join(tool['name'] for tool in tools)}: name, description and inputSchema, as its revision has them"


def _structured(lines: list[Line]) -> str | None:
    texts = [block["text"] for block in _blocks(lines, "weather") if block["type"] == "text"]
    return texts[0] if len(texts) == 1 and json.loads(texts[0]).keys() == {"temperature", "unit", "sky"} else None


def _link(lines: list[Line]) -> str | None:
    texts = [block["text"] for block in _blocks(lines, "notes") if block["type"] == "text"]
    return texts[0] if len(texts) == 1 and NOTES_URI in texts[0] else None


def _audio(lines: list[Line]) -> str | None:
    blocks = [block["resource"] for block in _blocks(lines, "beep") if block["type"] == "resource"]
    if len(blocks) != 1 or blocks[0].get("mimeType") != "audio/wav" or not blocks[0].get("blob"):
        return None
    return f"{blocks[0]['mimeType']}, {len(blocks[0]['blob'])} characters of base64, at {blocks[0]['uri']}"


def _unasked(lines: list[Line]) -> str | None:
    line = _find(lines, "tools/call", "greet")
    if line.get("is_error"):
        return str(line["content"][0]["text"])
    return line.get("error")


def _read(lines: list[Line]) -> str | None:
    contents = _find(lines, "resources/read").get("contents", [])
    return NOTES if [item.get("text") for item in contents] == [NOTES] else None


def _prompted(lines: list[Line]) -> str | None:
    messages = _find(lines, "prompts/get").get("messages", [])
    return str(messages[0]["content"]["text"]) if len(messages) == 1 else None


CHAPTERS: Final[tuple[Chapter, ...]] = (
    ("the client is answered in its own revision", _negotiated),
    ("the tools are listed without what the client does not know", _listed),
    ("structured output arrives as text", _structured),
    ("a resource link arrives as a text with the address", _link),
    ("audio arrives as an embedded resource", _audio),
    ("a question this client cannot be asked ends cleanly", _unasked),
    ("a resource is read", _read),
    ("a prompt is rendered", _prompted),
)
