"""One decision for one call, on pipes as over HTTP: clients on a pipe, servers that are commands, and both (C149)."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.rules.ruleset import Ask
from protocol_versions import REVISIONS
from tests.broker.policy_pipes_world import piped_doors
from tests.broker.policy_world import KEYS, PATHS, TOOLS, caller_of, expected, random_rules

IDS = [revision.id for revision in REVISIONS]
WAYS = [("pipe", "http"), ("pipe", "pipe"), ("http", "pipe")]
PAIRS = [(client, backend) for client in IDS for backend in IDS]
SEEDS = range(12)
CALLS = [(principal, name, path) for principal in KEYS for name in TOOLS for path in PATHS]


@pytest.mark.parametrize(("front", "behind"), WAYS, ids=[f"{front} before {behind}" for front, behind in WAYS])
@pytest.mark.parametrize(("client", "backend"), PAIRS, ids=[f"{client}-{backend}" for client, backend in PAIRS])
async def test_every_pair_of_revisions_decides_on_a_pipe_as_the_rules_do(
    tmp_path: Path, client: str, backend: str, front: str, behind: str
) -> None:
    async with piped_doors(front, behind, client, backend, tmp_path) as here:
        for seed in SEEDS:
            found = random_rules(seed)
            here.judge_by(found)
            for principal in KEYS:
                if found.decide(Ask("tools/list"), caller_of(principal)).allowed:
                    listed = {name for name in TOOLS if expected(found, principal, name, "").listed}
                    assert await here.listed(principal) == listed, (seed, principal)
            for principal, name, path in CALLS[seed % 3 :: 3]:
                said = expected(found, principal, name, path).run
                assert await here.run(principal, name, path) == said, (seed, principal, name, path)


@pytest.mark.parametrize("backend", IDS)
@pytest.mark.parametrize("behind", ["http", "pipe"])
async def test_each_call_of_a_batch_on_a_pipe_is_judged_by_itself(tmp_path: Path, backend: str, behind: str) -> None:
    """C33."""
    async with piped_doors("pipe", behind, "2025-03-26", backend, tmp_path) as here:
        for seed in SEEDS:
            found = random_rules(seed)
            here.judge_by(found)
            for principal in KEYS:
                calls = [(name, path) for name in TOOLS for path in PATHS]
                answers = await here.batch(principal, [{"name": n, "arguments": {"path": p}} for n, p in calls])
                got = {answer["id"]: "result" in answer for answer in answers}
                said = {number: expected(found, principal, *call).run for number, call in enumerate(calls, 1)}
                assert got == said, (seed, principal)
