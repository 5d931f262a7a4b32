"""One decision for one call, on pipes as over HTTP: clients on a pipe, servers that are commands, and both (C149)."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol_versions import REVISIONS
from tests.broker.policy_pipes_world import piped_doors
from tests.broker.policy_world import decides_as_rules_do, judges_batches

IDS = [revision.id for revision in REVISIONS]
WAYS = [("pipe", "http"), ("pipe", "pipe"), ("http", "pipe")]
PAIRS = [(client, backend) for client in IDS for backend in IDS]


@pytest.mark.parametrize(("front", "behind"), WAYS, ids=[f"{front} before {behind}" for front, behind in WAYS])
@pytest.mark.parametrize(("client", "backend"), PAIRS, ids=[f"{client}-{backend}" for client, backend in PAIRS])
async def test_every_pair_of_revisions_decides_on_a_pipe_as_the_rules_do(
    tmp_path: Path, client: str, backend: str, front: str, behind: str
) -> None:
    async with piped_doors(front, behind, client, backend, tmp_path) as here:
        await decides_as_rules_do(here)


@pytest.mark.parametrize("backend", IDS)
@pytest.mark.parametrize("behind", ["http", "pipe"])
async def test_each_call_of_a_batch_on_a_pipe_is_judged_by_itself(tmp_path: Path, backend: str, behind: str) -> None:
    """C33."""
    async with piped_doors("pipe", behind, "2025-03-26", backend, tmp_path) as here:
        await judges_batches(here)
