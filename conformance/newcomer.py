"""A new user's first minutes: published servers in a host's file, `dragoman connect`, and the host's own command lines.

    python -m conformance.newcomer [--revisions 2024-11-05,...] [--logs FOLDER]

The file is one as Claude Desktop has it, and names two published servers, one on an SDK of each family. After `connect`
an SDK client of each revision and family starts what the file says, lists the tools and makes one call; both must be
what the direct server gives the same client, as `dragoman translate` prints it for that client's revision. A client of
2026-07-28 cannot ask these servers directly: beside it stands the family's newest client of a session revision. Then
`disconnect` must restore the file byte for byte.
Invariant: nothing but the file tells a client what to start.
Not part of the check of a clone: it installs published packages, and takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance.cells import FAMILIES, Peer
from conformance.launch import Children
from conformance.lines import parse
from conformance.peers.node import InstallError
from conformance.published import difference, translated
from conformance.published_servers import PUBLISHED, Published, prepare
from conformance.raw.wire import Message
from conformance.revisions import CLIENTS, REVISIONS, STATELESS

HOST: Final = "claude-desktop"
SERVERS: Final[Mapping[str, str]] = {"time": "mcp-server-time 2026.1.26", "everything": "server-everything 2025.8.18"}
"""The file's names for published servers of both families."""
FEATURES: Final = {"any.list": "tools/list", "any.call": "tools/call"}
COMMAND_S: Final = 60.0
CLIENT_S: Final = 120.0
"""One client with its server: a package runner may install the one or the other first."""
FEATURE_S: Final = 60
UNTOLD: Final = {"isError": False, "resultType": "complete"}
"""What one SDK says though nobody sent it, and another does not say though it was sent."""


class NoViewError(Exception):
    """A client saw nothing to compare; the text says why."""


@dataclass(frozen=True)
class Entry:
    """What a host starts."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def host_file(servers: Mapping[str, Published], folder: Path) -> str:
    """A file as users have it: their own spacing, other members, variables of one server.

    Raises:
        InstallError: a server cannot be installed.
    """
    entries = []
    for name, server in servers.items():
        program, *arguments = server.command(folder)
        entry = {"command": program, "args": arguments, "env": {"TZ": "Europe/Lisbon"}}
        entries.append(f"      {json.dumps(name)} :  {json.dumps(entry, indent=3)}")
    return '{\n  "globalShortcut": "Ctrl+Space",\n  "mcpServers": {\n' + ",\n\n".join(entries) + "\n  }}  \n"


def entries(file: Path) -> dict[str, Entry]:
    """What the file says now, by name."""
    found = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]
    return {name: Entry((each["command"], *each["args"]), each.get("env", {})) for name, each in found.items()}


def views(children: Children, name: str, client: Peer, entry: Entry, call: Message) -> dict[str, Message]:
    """What an SDK client sees of an entry, by feature.

    Raises:
        NoViewError: a feature did not come to an end.
    """
    options = ["--command", json.dumps(entry.argv), "--features", ",".join(FEATURES), "--call", json.dumps(call)]
    command = [*client.command("client"), *options, "--timeout", str(FEATURE_S)]
    child, _ = children.run(name, command, CLIENT_S, dict(entry.env))
    lines = parse(child.output())
    found: dict[str, Message] = {}
    for feature in FEATURES:
        if feature not in lines or lines[feature].status != "ok":
            why = lines[feature].brief if feature in lines else child.tail(3)
            raise NoViewError(f"{feature}: {why}")
        found[feature] = dict(lines[feature].seen)
    opened = lines["initialize"].seen.get("protocolVersion")
    return {**found, "initialize": {"protocolVersion": opened}}


def plain(seen: Message) -> Message:
    """A result without what is the SDK's affair."""
    return {key: value for key, value in seen.items() if key not in UNTOLD or UNTOLD[key] != value}


def wrong(children: Children, client: Peer, server: Published, direct: Entry, through: Entry, call: Message) -> str:
    """How a client's view through the broker differs from the direct one; "" if it does not."""
    beside = client if client.revision != STATELESS else Peer(client.family, REVISIONS[-1])
    slug = f"{server.package.rsplit('/', 1)[-1]}-{client.family}-{client.revision}"
    try:
        own = views(children, f"direct-{slug}", beside, direct, call)
        seen = views(children, f"broker-{slug}", client, through, call)
    except NoViewError as error:
        return str(error)
    if seen["initialize"]["protocolVersion"] != client.revision:
        return f"negotiated {seen['initialize']['protocolVersion']}"
    for feature, method in FEATURES.items():
        wanted = translated(own[feature], method, client.revision, server.made)
        found = difference(plain(seen[feature]), plain(wanted))
        if found:
            return f"{method}: {found}"
    return ""


def dragoman(children: Children, *arguments: str) -> str:
    """Run a command of the broker's; what it complains of, "" if nothing."""
    child, code = children.run(arguments[0], [sys.executable, "-m", "broker", *arguments], COMMAND_S)
    return "" if code == 0 else f"{arguments[0]} ended with {code}: {child.tail(3)}"


def compared(children: Children, folder: Path, revisions: Sequence[str]) -> list[str]:
    """The lines of the run; a line that begins with `  !` is a failure."""
    servers = {name: next(each for each in PUBLISHED if each.name == wanted) for name, wanted in SERVERS.items()}
    prepare(folder)
    file = folder / "claude_desktop_config.json"
    file.write_text(host_file(servers, folder), encoding="utf-8")
    before, direct = file.read_bytes(), entries(file)
    lines = []
    if failed := dragoman(children, "connect", HOST, "--file", str(file)):
        return [f"  ! {failed}"]
    through = entries(file)
    for name, server in servers.items():
        lines.append(f"{name}: {server.name} on {server.stands_on}, of {server.made}")
        if "stdio" not in through[name].argv[:3] or list(direct) != list(through):
            lines.append(f"  ! connect wrote {through[name].argv}")
            continue
        call = {"name": server.tool, "arguments": server.given(folder)}
        for client in (Peer(family, revision) for revision in revisions for family in FAMILIES):
            found = wrong(children, client, server, direct[name], through[name], call)
            lines.append(f"  ! {client}: {found}" if found else f"    {client}: list and call as direct")
    failed = dragoman(children, "disconnect", HOST, "--file", str(file))
    same = file.read_bytes() == before
    lines.append(
        f"  ! {failed}"
        if failed
        else f"{'' if same else '  ! '}disconnect: {'the same bytes' if same else 'other bytes'}"
    )
    return lines


def main(argv: Sequence[str]) -> int:
    """Be the new user and print what was found; exit code 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m conformance.newcomer")
    parser.add_argument("--revisions", default=",".join(CLIENTS), help="of the clients, comma-separated")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="where the processes' output goes")
    options = parser.parse_args(argv)
    revisions = options.revisions.split(",")
    if set(revisions) - set(CLIENTS):
        parser.error(f"--revisions: of {', '.join(CLIENTS)}")
    folder = options.logs or Path(tempfile.mkdtemp(prefix="dragoman-newcomer-"))
    print(f"logs: {folder}", flush=True)
    with Children(folder) as children:
        try:
            lines = compared(children, folder, revisions)
        except InstallError as error:
            lines = [f"  ! {error}"]
    print("\n".join(lines))
    failures = sum(line.startswith("  !") for line in lines)
    print(f"\n{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
