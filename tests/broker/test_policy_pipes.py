"""One decision for one call, on pipes as over HTTP: clients on a pipe, servers that are commands, and both (C149)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocol_versions import REVISIONS
from tests.broker.policy_pipes_world import piped_doors
from tests.broker.policy_world import decides_as_rules_do, judges_batches
from tests.broker.scripted_backend import Json

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


SECTIONS: Json = {
    "sanitise": {"rules": [{"find": ["email"], "action": {"public": "redact", "internal": "allow"}}]},
    "clearance": {"levels": ["public", "internal"], "grants": [{"level": "internal", "principals": ["key:ann"]}]},
    "quotas": {"rules": [{"name": "few", "rate": "2/hour", "tools": ["echo"]}]},
}
INJECTS: Json = {"inject": [{"argument": "who", "caller": "principal"}]}


@pytest.mark.parametrize(("front", "behind"), [("http", "http"), *WAYS], ids=lambda each: each)
@pytest.mark.parametrize(("client", "backend"), PAIRS, ids=[f"{client}-{backend}" for client, backend in PAIRS])
async def test_what_servers_are_given_and_callers_see_is_the_same_on_a_pipe(
    tmp_path: Path, client: str, backend: str, front: str, behind: str
) -> None:
    async with piped_doors(front, behind, client, backend, tmp_path, server=INJECTS, **SECTIONS) as here:
        for principal, mail in (("ann", "ada@example.com"), ("bob", "[redacted:email]")):
            echo = {"name": "echo", "arguments": {"mail": "ada@example.com"}}
            answer = await here.ask(principal, "tools/call", echo)
            (block,) = answer["result"]["content"]
            assert json.loads(block["text"]) == {"mail": mail, "who": f"key:{principal}"}
            forged = {"name": "echo", "arguments": {"who": "key:root"}}
            assert "error" in await here.ask(principal, "tools/call", forged)
            over = await here.ask(principal, "tools/call", echo)
            assert over["error"]["data"]["reason"] == "rate-limited"
        assert here.ran == 2
