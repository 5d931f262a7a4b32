"""Published servers behind the broker over stdio: what a client of each revision sees is the declared translation.

    python -m conformance.published [--servers time,everything] [--logs FOLDER]

Each server is started by `dragoman stdio -- COMMAND`, which is told nothing of it. A raw client of each revision lists
its tools and makes one call; both answers must equal what the server answers a client of its own revision directly, as
`dragoman translate` prints it for that reader. Tools of the reference server that ask for roots, samples and forms
are called by a 2026-07-28 client, and the client's answer must be in theirs.
Invariant: the reference declares the same capabilities as the client it is compared with, because servers list by them.
Not part of the check of a clone: it installs a dozen packages, and takes some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.peers.node import InstallError
from conformance.published_servers import PUBLISHED, Published, prepare
from conformance.raw.pipe import ROOT, SAMPLE, PipeClient, Refusal, capabilities
from conformance.raw.wire import Message
from conformance.revisions import CLIENTS, REVISIONS, STATELESS

TRANSLATE_S: Final = 60.0
ASKING: Final[tuple[tuple[str, str, tuple[str, ...], Message, str], ...]] = (
    ("roots", "roots/list", ("listRoots", "get-roots-list"), {}, ROOT),
    (
        "sampling",
        "sampling/createMessage",
        ("sampleLLM", "trigger-sampling-request"),
        {"prompt": "Say something", "maxTokens": 50},
        SAMPLE,
    ),
    ("elicitation", "elicitation/create", ("startElicitation", "trigger-elicitation-request"), {}, "filled in"),
)
"""What asks: its name, the method that the client sees, the tool's names through the releases, arguments, the mark."""
NETWORK: Final = (ConnectionError, TimeoutError, Refusal, OSError, KeyError)


@dataclass(frozen=True)
class Seen:
    """What one client saw: the revision, the tools and the call, both as results."""

    answered: str
    tools: Message
    called: Message


async def look(argv: Sequence[str], revision: str, server: Published, folder: Path, *, capable: str = "") -> Seen:
    """One client before one command."""
    async with PipeClient(argv, revision, folder / "errors.txt", capable=capable) as client:
        await client.open()
        tools = await client.ask("tools/list", {})
        called = await client.ask("tools/call", {"name": server.tool, "arguments": server.given(folder)})
        return Seen(client.answered, tools, called)


def translated(body: Message, method: str, client: str, server: str) -> Message:
    """A result as the broker's own command says that its reader sees it."""
    command = [sys.executable, "-m", "broker", "translate", "--method", method, "--client", client, "--server", server]
    done = subprocess.run(  # noqa: S603 - our own command
        command, input=json.dumps(body), capture_output=True, text=True, check=False, timeout=TRANSLATE_S
    )
    if done.returncode != 0:
        return {"no translation": done.stderr}
    return dict(json.loads(done.stdout))


def difference(seen: Message, wanted: Message) -> str:
    """How a result differs from the one that was wanted; "" if it does not. What names the server is left out.

    A stateless result may carry the server's name in its `_meta`, which no other revision has a place for.
    """
    shown = {key: value for key, value in seen.items() if key != "_meta" or key in wanted}
    for key in sorted({*shown, *wanted}):
        if shown.get(key) != wanted.get(key):
            return f"{key}: {_short(_first(shown.get(key), wanted.get(key)))}"
    return ""


def _first(one: Any, other: Any) -> Any:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next(pair for pair in zip(one, other, strict=True) if pair[0] != pair[1])
    return one, other


def _short(value: Any, limit: int = 400) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"


async def compared(server: Published, folder: Path) -> dict[str, str]:
    """What is wrong with each client's view, by revision; "" where nothing is."""
    command = server.command(folder)
    broker = [sys.executable, "-m", "broker", "stdio", "--", *command]
    references: dict[str, Seen] = {}
    found: dict[str, str] = {}
    for client in CLIENTS:
        declared = json.dumps(capabilities(client))
        if declared not in references:
            references[declared] = await look(command, REVISIONS[-1], server, folder, capable=client)
        direct = references[declared]
        if direct.answered != server.made:
            return dict.fromkeys(CLIENTS, f"the server is of {direct.answered}, not {server.made}")
        try:
            seen = await look(broker, client, server, folder)
        except NETWORK as error:
            found[client] = f"{type(error).__name__}: {error}"[:300]
            continue
        found[client] = (
            ("" if seen.answered == client else f"negotiated {seen.answered}")
            or _said("tools/list", seen.tools, direct.tools, client, server.made)
            or _said("tools/call", seen.called, direct.called, client, server.made)
        )
    return found


def _said(method: str, seen: Message, direct: Message, client: str, server: str) -> str:
    wanted = translated(direct, method, client, server)
    found = difference(seen, wanted)
    return found and f"{method}: {found}"


async def questions(server: Published, folder: Path) -> dict[str, str]:
    """What is wrong with the tools that ask, for a 2026-07-28 client; only of tools that the server has."""
    command = server.command(folder)
    broker = [sys.executable, "-m", "broker", "stdio", "--", *command]
    errors = folder / "errors.txt"
    found: dict[str, str] = {}
    async with (
        PipeClient(broker, STATELESS, errors) as client,
        PipeClient(command, REVISIONS[-1], errors, capable=STATELESS) as direct,
    ):
        await client.open()
        await direct.open()
        names = {tool["name"] for tool in (await direct.ask("tools/list", {}))["tools"]}
        for what, method, tools, arguments, mark in ASKING:
            for tool in names.intersection(tools):
                call = {"name": tool, "arguments": dict(arguments)}
                wanted = await direct.ask("tools/call", call)
                client.asked.clear()
                try:
                    result = await client.ask("tools/call", call)
                except NETWORK as error:
                    found[what] = f"{type(error).__name__}: {error}"[:300]
                    continue
                # The first releases print the answer as an object's name: then that is what has to be there.
                shown = (
                    mark in json.dumps(result) if mark in json.dumps(wanted) else result["content"] == wanted["content"]
                )
                asked = method in client.asked or what == "roots"  # the roots may have been asked for before
                found[what] = "" if shown and asked else f"asked {client.asked}, answered {_short(result)}"
    return found


async def checked(server: Published, logs: Path) -> list[str]:
    """The lines of one server; a line that begins with `  !` is a failure."""
    folder = logs / server.name.replace(" ", "-")
    prepare(folder)
    head = f"{server.name:<36} {server.stands_on:<11} {server.made}"
    try:
        views = await compared(server, folder)
        asking = await questions(server, folder) if server.asks else {}
    except (*NETWORK, InstallError) as error:
        return [head, f"  ! does not run directly: {type(error).__name__}: {error}"[:400]]
    good = [client for client, wrong in views.items() if not wrong]
    worked = [what for what, wrong in asking.items() if not wrong]
    line = f"{head}  {len(good)}/{len(views)} clients as translated"
    return [
        f"{line}; asks: {', '.join(worked) or 'none'}" if server.asks else line,
        *(f"  ! {name}: {wrong}" for name, wrong in {**views, **asking}.items() if wrong),
    ]


def _chosen(text: str) -> tuple[Published, ...]:
    words = text.split(",")
    return tuple(server for server in PUBLISHED if any(word in server.name for word in words))


async def _run(servers: Iterable[Published], logs: Path) -> int:
    failed = 0
    for server in servers:
        lines = await checked(server, logs)
        failed += sum(line.startswith("  !") for line in lines)
        print("\n".join(lines), flush=True)
    return failed


def main(argv: Sequence[str]) -> int:
    """Check the servers and print the table; exit code 0 when every view is as translated."""
    parser = argparse.ArgumentParser(prog="python -m conformance.published")
    parser.add_argument("--servers", type=_chosen, default=PUBLISHED, help="parts of names, comma-separated")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="where the processes' output goes")
    options = parser.parse_args(argv)
    logs = options.logs or Path(tempfile.mkdtemp(prefix="dragoman-published-"))
    print(f"logs: {logs}", flush=True)
    failed = asyncio.run(_run(options.servers, logs))
    print(f"\n{len(options.servers)} servers, {failed} failures")
    return 1 if failed or not options.servers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
