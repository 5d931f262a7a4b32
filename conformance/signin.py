"""Signs in at servers of real SDK releases for real SDK clients, and lets such clients sign in at the broker.

    python -m conformance.signin [--servers 2025-03-26,2026-07-28] [--clients 2025-11-25,2026-07-28]
                                 [--at-broker py:2025-11-25,ts:2026-07-28] [--logs FOLDER]

First half: beside each server is the SDK's own authorization server. Each client starts `dragoman stdio URL` as its
command, lists the tools and calls one. Behind it stands a browser that follows every page it is given. Tokens live a
second, so that whatever comes after the first client needs a renewal.
Invariants: one page for each server, however many clients; after `dragoman logout` nobody is signed in.
The second half is `signin_at_broker`. `--servers ''` leaves the first out, `--at-broker ''` the second.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from conformance import signin_at_broker
from conformance.launch import Children, LaunchError
from conformance.lines import parse

PEERS: Final = Path(__file__).parent / "peers" / "python"
SERVERS: Final = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
"""2024-11-05 knows no authorization, and its release has no server for it."""
CLIENTS: Final = ("2024-11-05", "2025-11-25", "2026-07-28")
CLIENT_S: Final = 90.0
"""A cold start of an SDK's environment, as for the matrix."""
CALL: Final = json.dumps({"name": "whoami", "arguments": {}})
FEATURES: Final = ("any.list", "any.call")
ISSUER: Final = (sys.executable, "-m", "conformance.issuer")
BROWSER: Final = """#!{python}
import sys, urllib.request
open({log!r}, "a").write(sys.argv[1] + "\\n")
urllib.request.urlopen(sys.argv[1], timeout=30).read()
"""


class Person:
    """A home with nothing in it, and a browser."""

    def __init__(self, home: Path) -> None:
        programs = home / "bin"
        programs.mkdir(parents=True)
        self._log = home / "pages"
        script = programs / "xdg-open"
        script.write_text(BROWSER.format(python=sys.executable, log=str(self._log)), encoding="utf-8")
        script.chmod(0o755)
        self.environ = {
            "XDG_STATE_HOME": str(home / "state"),
            "DISPLAY": ":99",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }

    @property
    def pages(self) -> int:
        """How often the browser was opened."""
        return len(self._log.read_text(encoding="utf-8").splitlines()) if self._log.exists() else 0

    def command(self, *arguments: str) -> list[str]:
        """`dragoman` as this person starts it; SDK clients pass hardly any variable on."""
        variables = [f"{name}={value}" for name, value in self.environ.items()]
        return ["env", *variables, sys.executable, "-m", "broker", *arguments]


def problems(server: str, clients: Sequence[str], folder: Path) -> list[str]:
    """What went wrong at the server of one release; nothing, as it should be."""
    found: list[str] = []
    person = Person(folder / "person")
    with Children(folder) as children:
        script = str(PEERS / f"protected_{server.replace('-', '_')}.py")
        _, url = children.server("server", ["uv", "run", "--quiet", "--script", script, "--life", "1"])
        for client in clients:
            line = json.dumps(person.command("stdio", url))
            peer = str(PEERS / f"client_{client.replace('-', '_')}.py")
            command = ["uv", "run", "--quiet", "--script", peer, "--command", line]
            command += ["--features", ",".join(FEATURES), "--call", CALL]
            child, _ = children.run(f"client-{client}", command, CLIENT_S)
            seen = parse(child.output())
            for feature in FEATURES:
                said = seen.get(feature)
                if said is None or said.status != "ok":
                    found.append(f"{client}: {feature}: {'no answer' if said is None else said.brief}")
        if person.pages != 1:
            found.append(f"the browser was opened {person.pages} times")
        for word, expected in (("logout", "signed out\n"), ("login", "you are signed in nowhere\n")):
            arguments = [word, url] if word == "logout" else [word]
            child, code = children.run(word, person.command(*arguments), CLIENT_S)
            if code != 0 or child.output() != expected:
                found.append(f"{word}: {child.output() or child.tail()}")
    return found


def main(argv: Sequence[str]) -> int:
    """Run it; 0 if nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m conformance.signin")
    parser.add_argument("--servers", default=",".join(SERVERS), help="revisions, comma-separated")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="revisions, comma-separated")
    parser.add_argument("--at-broker", default=",".join(signin_at_broker.CLIENTS), help="clients, comma-separated")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="where the processes' output goes")
    options = parser.parse_args(argv)
    logs = options.logs or Path(tempfile.mkdtemp(prefix="dragoman-signin-"))
    clients = options.clients.split(",")
    print(f"logs: {logs}", flush=True)
    good = True
    for server in filter(None, options.servers.split(",")):
        text = f"signed in once, for clients of {', '.join(clients)}"
        good &= _told(f"py:{server}", text, partial(problems, server, clients, logs / server))
    strangers = [each for each in options.at_broker.split(",") if each]
    if strangers:
        with signin_at_broker.backends(logs / "behind-broker") as urls:
            for client in strangers:
                steps = "twice, the second time for the call" if client in signin_at_broker.STEPS_UP else "once"
                folder = logs / f"at-broker-{client.replace(':', '-')}"
                run = partial(signin_at_broker.problems, client, urls, folder, ISSUER)
                good &= _told(f"broker for {client}", f"signed in {steps}", run)
    return 0 if good else 1


def _told(name: str, text: str, run: Callable[[], list[str]]) -> bool:
    """Print what came of one part; True if nothing went wrong."""
    try:
        found = run()
    except LaunchError as error:
        found = [str(error)]
    print(f"{name}  {'FAILED' if found else 'ok'}  {'; '.join(found) or text}", flush=True)
    return not found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
