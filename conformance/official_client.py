"""The suite's client scenarios: its own test server behind the broker, an SDK client of the handshake in front.

    python -m conformance.official_client URL [--backend-revision auto]

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
from pathlib import Path
from typing import Final

from conformance.launch import Children, LaunchError
from conformance.official_results import Scenario, read

REVISION: Final = "2026-07-28"
CLIENT: Final = Path(__file__).parent / "peers" / "python" / "suite_client_2025_11_25.py"
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


def leg(suite: Sequence[str], names: Sequence[str], folder: Path, revision: str) -> dict[str, Scenario]:
    """Run the scenarios one by one, the broker told `revision` of its backend; gives what each left."""
    client = f"{sys.executable} -m conformance.official_client --backend-revision {revision}"
    out = folder / "checks"
    with Children(folder) as children:
        for name in names:
            command = [*suite, "client", "--command", client, "--scenario", name, "--spec-version", REVISION]
            command += ["--timeout", str(round(SCENARIO_DEADLINE_S * 1000)), "-o", str(out)]
            children.run(f"suite-{name}", command, SCENARIO_DEADLINE_S + CLIENT_DEADLINE_S)
    return read(out)


def main(argv: Sequence[str]) -> int:
    """Be the suite's client: broker, then client; gives the client's exit code."""
    parser = argparse.ArgumentParser(prog="python -m conformance.official_client")
    parser.add_argument("--backend-revision", default="auto")
    parser.add_argument("url")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dragoman-suite-client-") as folder, Children(Path(folder)) as children:
        try:
            broker, url = children.broker(options.url, "--backend-revision", options.backend_revision)
        except LaunchError as error:
            print(error, file=sys.stderr)
            return 1
        command = [shutil.which("uv") or "uv", "run", "--quiet", "--script", str(CLIENT), url]
        client, code = children.run("client", command, CLIENT_DEADLINE_S)
        print(client.tail(40), file=sys.stderr)
        print(broker.tail(40), file=sys.stderr)
    return 1 if code is None else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
