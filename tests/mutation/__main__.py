"""The command; see the package's docstring."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from tests.mutation.machines import MACHINES
from tests.mutation.report import SURVIVORS, judged, lines, reasons
from tests.mutation.runner import ControlFailed, Outcome, chosen, population, run


def main(arguments: list[str] | None = None) -> int:
    """Run and print; 0 good, 1 not good enough, 2 the harness cannot be trusted."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    parser.add_argument("--count", type=int, default=400, help="mutants besides every removal of one operation")
    parser.add_argument("--sample-only", action="store_true", help="draw removals of operations like all others")
    parser.add_argument("--jobs", type=int, default=1, help="children at a time (default 1)")
    parser.add_argument("--only", default="*", help="only mutants whose description fits this pattern")
    parser.add_argument("--json", type=Path, help="write every outcome to this file")
    parser.add_argument("--list", action="store_true", help="print the chosen mutants and stop")
    parser.add_argument(
        "--machines",
        nargs="?",
        const="session_client",
        choices=[*MACHINES],
        help="mutate the machines of this package instead (default session_client)",
    )
    given = parser.parse_args(arguments)

    machines = MACHINES[given.machines] if given.machines else None
    everything = machines.mutants() if machines is not None else population()
    mutants = chosen(everything, seed=given.seed, count=given.count, only=given.only, removals=not given.sample_only)
    if given.list:
        print(*(f"{mutant.kind:<20}{mutant.name}" for mutant in mutants), sep="\n")
        return 0
    out = sys.stdout

    def heard(outcome: Outcome) -> None:
        if outcome.status != "killed":
            print(f"{outcome.status}: {outcome.name} {outcome.by}".rstrip(), file=out, flush=True)

    try:
        if machines is not None:
            controls, files = machines.controls(), machines.files()
            outcomes = run(mutants, jobs=given.jobs, heard=heard, breaking=controls, files=files)
        else:
            outcomes = run(mutants, jobs=given.jobs, heard=heard)
    except ControlFailed as failed:
        print(f"control failed: {failed}", file=sys.stderr)
        return 2
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(outcomes), indent=1))
    report = judged(
        outcomes,
        {mutant.name for mutant in everything},
        reasons(machines.survivors if machines is not None else SURVIVORS),
    )
    print(*lines(report), sep="\n")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
