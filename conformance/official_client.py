"""The suite's client scenarios: its own test server behind the broker, an SDK client of the other era in front.

    python -m conformance.official_client URL [--backend-revision auto] [--client 2025-11-25]

is the command that the suite starts for each scenario: the broker before the URL, taken as it is given, then the
client on the broker. `leg` runs the scenarios one at a time, because some are timed.
Invariant: what is judged is the broker's client side; authorization scenarios are another matter and left out.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance.launch import Children, LaunchError
from conformance.official_results import Scenario, read

_PEERS: Final = Path(__file__).parent / "peers" / "python"
CLIENTS: Final = {
    "2025-11-25": _PEERS / "suite_client_2025_11_25.py",
    "2026-07-28": _PEERS / "suite_client_2026_07_28.py",
}
"""The suite's clients by what they are pinned to."""
CLIENT_DEADLINE_S: Final = 40.0
"""One session of the client; a healthy one takes two to four seconds, its interpreter included."""
SCENARIO_DEADLINE_S: Final = 90.0
AUTHORIZATION: Final = "auth/"


def scenarios(listing: str) -> tuple[str, ...]:
    """The scored client scenarios of the suite's `list` output that are not about authorization."""
    names: list[str] = []
    inside = False
    for line in listing.splitlines():
        if line and not line.startswith(" "):
            inside = line.startswith("Client scenarios")
        elif inside and line.strip().startswith("- "):
            names.append(line.strip().removeprefix("- ").split(" ")[0])
    return tuple(name for name in names if not name.startswith(AUTHORIZATION))


@dataclass(frozen=True)
class Leg:
    """Which server of the suite's stands behind the broker, what the broker is told of it, and who is in front."""

    suite: str
    told: str
    client: str

    @property
    def folder(self) -> str:
        return f"client-{self.suite}-{self.told}-{self.client}"

    def run(self, suite: Sequence[str], names: Sequence[str], folder: Path) -> dict[str, Scenario]:
        """Run the scenarios one by one; gives what each left."""
        client = (
            f"{sys.executable} -m conformance.official_client --backend-revision {self.told} --client {self.client}"
        )
        out = folder / "checks"
        with Children(folder) as children:
            for name in names:
                command = [*suite, "client", "--command", client, "--scenario", name, "--spec-version", self.suite]
                command += ["--timeout", str(round(SCENARIO_DEADLINE_S * 1000)), "-o", str(out)]
                children.run(f"suite-{name}", command, SCENARIO_DEADLINE_S + CLIENT_DEADLINE_S)
        return read(out)


LEGS: Final = (
    Leg("2026-07-28", "2026-07-28", "2025-11-25"),
    Leg("2026-07-28", "auto", "2025-11-25"),
    Leg("2025-11-25", "2025-11-25", "2026-07-28"),
    Leg("2025-11-25", "auto", "2026-07-28"),
)


def main(argv: Sequence[str]) -> int:
    """Be the suite's client: broker, then client; gives the client's exit code."""
    parser = argparse.ArgumentParser(prog="python -m conformance.official_client")
    parser.add_argument("--backend-revision", default="auto")
    parser.add_argument("--client", choices=tuple(CLIENTS), default="2025-11-25")
    parser.add_argument("url")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dragoman-suite-client-") as folder, Children(Path(folder)) as children:
        try:
            broker, url = children.broker(options.url, "--backend-revision", options.backend_revision)
        except LaunchError as error:
            print(error, file=sys.stderr)
            return 1
        command = [shutil.which("uv") or "uv", "run", "--quiet", "--script", str(CLIENTS[options.client]), url]
        client, code = children.run("client", command, CLIENT_DEADLINE_S)
        print(client.tail(40), file=sys.stderr)
        print(broker.tail(40), file=sys.stderr)
    return 1 if code is None else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
