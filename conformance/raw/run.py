"""Runs the raw checks: one broker and one scripted backend per pair of revisions, one row per check.

Invariant: every check that applies to a pair is run and reported; one that raises anything is a failure
with its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from conformance.launch import Children, LaunchError
from conformance.raw import (
    crossing,
    envelopes,
    faults,
    framing,
    lifecycle,
    listened,
    modern_faults,
    pushed,
    pushed_ends,
    pushed_states,
    rounds,
    shapes,
    stateless_faults,
    streams,
    together,
)
from conformance.raw.bench import Bench, Check, backend_command
from conformance.revisions import CLIENTS, REVISIONS, SERVERS, STATELESS

CHECKS: Final = (
    *framing.CHECKS,
    *lifecycle.CHECKS,
    *streams.CHECKS,
    *crossing.CHECKS,
    *shapes.CHECKS,
    *rounds.CHECKS,
    *stateless_faults.CHECKS,
    *faults.CHECKS,
)
"""Of session clients. Faults last: they end the backend's process."""
STATELESS_CHECKS: Final = (
    *envelopes.CHECKS,
    *together.CHECKS,
    *pushed.CHECKS,
    *pushed_states.CHECKS,
    *listened.CHECKS,
    *pushed_ends.CHECKS,
    *modern_faults.CHECKS,
)
"""Of clients of 2026-07-28."""


@dataclass(frozen=True)
class RawRow:
    """One check at one pair of revisions; `detail` is "" when it passed."""

    client: str
    server: str
    name: str
    requirement: str
    passed: bool
    detail: str = ""


def pairs(subset: bool) -> tuple[tuple[str, str], ...]:
    """All pairs of revisions, or fewer: two per session client (each older backend once, the stateless one always), and
    the stateless client before every backend, because its way to each is another."""
    if not subset:
        return tuple((client, server) for client in CLIENTS for server in SERVERS)
    turned = (*REVISIONS[1:], REVISIONS[0])
    older = zip(REVISIONS, turned, strict=True)
    session_clients = (pair for client, server in older for pair in ((client, server), (client, STATELESS)))
    return (*session_clients, *((STATELESS, server) for server in SERVERS))


def of(client: str, server: str) -> tuple[Check, ...]:
    """The checks of a pair of revisions."""
    checks = STATELESS_CHECKS if client == STATELESS else CHECKS
    return tuple(check for check in checks if check.applies(client, server))


def run(wanted: Iterable[tuple[str, str]], folder: Path) -> list[RawRow]:
    """The rows of these pairs, one pair after the other."""
    rows: list[RawRow] = []
    for client, server in wanted:
        with Children(folder / f"raw-{client}--{server}") as children:
            try:
                rows.extend(asyncio.run(_pair(children, client, server)))
            except LaunchError as error:
                rows.append(RawRow(client, server, "start", "start", False, str(error)))
    return rows


async def _pair(children: Children, client: str, server: str) -> list[RawRow]:
    backend, backend_url = await asyncio.to_thread(children.server, "backend", backend_command(server))
    broker, url = await asyncio.to_thread(children.broker, backend_url, "--backend-revision", server)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:
        bench = Bench(children, http, client, server, backend, backend_url, broker, url)
        return [await _row(bench, check) for check in of(client, server)]


async def _row(bench: Bench, check: Check) -> RawRow:
    detail = ""
    try:
        async with asyncio.timeout(check.bound_s):
            await check.run(bench)
    except TimeoutError:
        detail = f"not done within {check.bound_s:g} s"
    except AssertionError as error:
        detail = str(error)
    except Exception as error:  # a check never ends the run: what it met is its row
        detail = f"{type(error).__name__}: {error}"
    if bench.backend.process.poll() is not None:
        await bench.start_backend()
    return RawRow(bench.client, bench.server, check.name, check.requirement, not detail, detail)


def rules() -> set[str]:
    """The requirement ids that some raw check stands for."""
    return {check.requirement for check in (*CHECKS, *STATELESS_CHECKS)}


def lines(rows: Iterable[RawRow]) -> list[str]:
    """One line per pair, its failures below."""
    grouped: dict[tuple[str, str], list[RawRow]] = {}
    for row in rows:
        grouped.setdefault((row.client, row.server), []).append(row)
    found = []
    for (client, server), group in grouped.items():
        passed = sum(row.passed for row in group)
        mark = "" if passed == len(group) else "  FAIL"
        found.append(f"raw:{client:<12} scripted:{server:<12} {passed}/{len(group)} checks{mark}")
        found.extend(
            f"    failed   {row.name:<36} [rule:{row.requirement}] {row.detail}" for row in group if not row.passed
        )
    return found
