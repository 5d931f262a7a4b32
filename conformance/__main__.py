"""The matrix from the command line.

    python -m conformance                       every cell, every feature, every raw check
    python -m conformance --subset pairwise     every pair of revisions once, families laid over them
    python -m conformance --cells py:2024-11-05/ts:2025-11-25 --features tools.call.audio
    python -m conformance --transports all      every pair of revisions over every pair of transports
    python -m conformance --raw 2025-03-26      the raw checks of one client revision
    python -m conformance --backend URL         a server of your own

Exit code 0 when nothing failed, 1 when something did, 2 when the command line is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from conformance import own_backend, report, transports
from conformance.cells import Cell, every_cell, pairwise, parse_cells
from conformance.features import NAMES, named
from conformance.matrix import Matrix, Row
from conformance.raw import run as raw
from conformance.revisions import CLIENTS

DEFAULT_JOBS: Final = 2


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description="Run the conformance matrix.")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--subset", choices=("pairwise",), help="fewer cells that still meet every pair")
    chosen.add_argument("--cells", type=_cells, help="cells like py:2024-11-05/ts:2025-11-25, comma-separated")
    chosen.add_argument("--transports", choices=("all", "pairwise"), help="stdio and HTTP+SSE too, on both sides")
    chosen.add_argument("--raw", metavar="REV[,REV]", type=_revisions, help="only the raw checks of these clients")
    chosen.add_argument("--backend", metavar="URL", help="check a server of your own instead")
    parser.add_argument("--auto", action="store_true", help="let the broker find each server's revision itself")
    parser.add_argument("--no-raw", action="store_true", help="leave the raw checks out")
    parser.add_argument("--features", type=_features, default=NAMES, help="comma-separated; all by default")
    parser.add_argument("--header", action="append", default=[], help="with --backend: 'Name: value' to send it")
    parser.add_argument("--jobs", type=int, default=DEFAULT_JOBS, help="cells at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON too")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="where the processes' output goes")
    parser.add_argument("--verbose", action="store_true", help="print every feature of every cell")
    return parser.parse_args(argv)


def _cells(text: str) -> tuple[Cell, ...]:
    try:
        return parse_cells(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _revisions(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(",")) if text != "all" else CLIENTS
    if unknown := [each for each in wanted if each not in CLIENTS]:
        raise argparse.ArgumentTypeError(f"unknown revision {unknown[0]!r}")
    return wanted


def _features(text: str) -> tuple[str, ...]:
    wanted = tuple(each.strip() for each in text.split(",") if each.strip())
    try:
        for each in wanted:
            named(each)
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"unknown feature {error}") from error
    return wanted


def main(argv: Sequence[str]) -> int:
    """Run what the command line asks for; gives the exit code."""
    options = arguments(argv)
    logs = options.logs or Path(tempfile.mkdtemp(prefix="dragoman-conformance-"))
    if options.backend:
        return own_backend.main(options.backend, options.header, logs)
    print(f"logs: {logs}", flush=True)
    document: dict[str, object] = {}
    failed = False
    if options.raw is None:
        failed = _matrix(options, logs, document)
    if options.raw is not None or not (options.no_raw or options.cells or options.transports):
        failed = _raw(options, logs, document) or failed
    if options.json:
        options.json.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return 1 if failed else 0


def _matrix(options: argparse.Namespace, logs: Path, document: dict[str, object]) -> bool:
    cells = _chosen(options)
    features = options.features
    if options.transports:
        features = tuple(name for name in features if name in transports.FEATURES)

    def say(row: Row) -> None:
        print("\n".join([report.row_line(row), *report.row_details(row, every=options.verbose)]), flush=True)

    matrix = Matrix(logs, features, say, pinned=not (options.auto or options.transports))
    print(report.header(), flush=True)
    rows = matrix.run(cells, options.jobs)
    print("\ndirect runs, no broker (the ground of every excuse):")
    print("\n".join(report.direct_lines(matrix.direct_runs())))
    print("\ntyped reasons:")
    print("\n".join(report.reasons(rows)))
    if options.transports:
        print("\n" + "\n".join(transports.grid(rows)))
        print("\npairs that the revisions do not allow:\n" + "\n".join(transports.excluded()))
    print("\n" + report.totals(rows), flush=True)
    document.update(report.as_json(rows, matrix.direct_runs()))
    return any(row.failed for row in rows)


def _chosen(options: argparse.Namespace) -> tuple[Cell, ...]:
    if options.transports:
        return transports.every() if options.transports == "all" else transports.pairwise()
    return options.cells or (pairwise() if options.subset else every_cell())


def _raw(options: argparse.Namespace, logs: Path, document: dict[str, object]) -> bool:
    pairs = [pair for pair in raw.pairs(options.subset is not None) if options.raw is None or pair[0] in options.raw]
    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
        rows = [row for found in pool.map(lambda pair: raw.run([pair], logs), pairs) for row in found]
    print("\n" + "\n".join(raw.lines(rows)))
    passed = sum(row.passed for row in rows)
    print(f"\n{passed}/{len(rows)} raw checks", flush=True)
    document["raw"] = [
        {
            "client": row.client,
            "server": row.server,
            "check": row.name,
            "requirement": row.requirement,
            "passed": row.passed,
            "detail": row.detail,
        }
        for row in rows
    ]
    return passed != len(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
