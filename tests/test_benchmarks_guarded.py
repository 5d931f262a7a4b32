"""The bench of guards: each is on where its row says so, every answer is right, and the gate is on all of them.

The invariant: no assertion here depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import jwt
import msgspec
import pytest

from benchmarks import guarded
from benchmarks.guarded import ALL, GATE, GUARDS, LOADS, OFF, PARTS, Row, beyond, configured, text
from benchmarks.runner import BASE
from benchmarks.tokens import AUDIENCE, issuing
from broker.settings import Settings


async def _measured(folder: Path, parts: tuple[str, ...]) -> list[Row]:
    async with issuing() as issuer:
        return await guarded.Run(folder, issuer, parts).rounds(1, 0.05, LOADS)


def test_every_guard_answers_every_load_rightly_with_one_request_a_call(tmp_path: Path) -> None:
    rows = asyncio.run(_measured(tmp_path, (OFF, "arguments", ALL)))
    assert [row.load for row in rows] == [load.name for load in LOADS]
    for row in rows:
        assert set(row.us) == {BASE, OFF, "arguments", ALL}
        assert set(row.added) == {"arguments", ALL}
    assert b'"outcome"' in (tmp_path / f"{ALL}.jsonl").read_bytes()


async def test_each_part_is_configured_alone_and_all_have_every_one(tmp_path: Path) -> None:
    async with issuing() as issuer:
        found = {part: Settings.load(configured(part, "http://127.0.0.1:9/mcp", tmp_path, issuer)) for part in PARTS}
    on = {
        part: {
            "token": bool(each.issuers),
            "policy": bool(each.policy.rules),
            "filter": bool(each.servers["bench"].filter.tools.deny),
            "audit": each.audit is not None,
            "metrics": each.measured,
        }
        for part, each in found.items()
    }
    assert not any(on[OFF].values())
    assert all(on[ALL].values())
    for part in GUARDS:
        assert [name for name, is_on in on[part].items() if is_on] == [part]


async def test_tokens_are_of_the_published_key_and_no_two_alike() -> None:
    async with issuing() as issuer:
        tokens = issuer.tokens(3)
        key = jwt.PyJWK(msgspec.json.decode(issuer.keys)["keys"][0])
        said = [jwt.decode(token, key, ["ES256"], audience=AUDIENCE, issuer=issuer.url) for token in tokens]
    assert len({each["sub"] for each in said}) == len(set(tokens)) == 3


@pytest.mark.parametrize(("added", "found"), [(GATE, []), (GATE + 0.01, ["equal"])])
def test_what_all_guards_add_together_is_held_against_the_gate(added: float, found: list[str]) -> None:
    row = Row("equal", {BASE: 100, OFF: 60, ALL: 60 + 100 * added}, {ALL: [added]})
    assert beyond([row]) == found
    assert f"{added:+.3f}" in text([row])
