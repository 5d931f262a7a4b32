"""What is held of revocations that were made at the status port: bounded, and for no longer than they can matter."""

from __future__ import annotations

import hashlib
from pathlib import Path

from broker.app import SERVERS
from broker.identity.revoked import MAX_BYTES
from tests.broker.conftest import Journal
from tests.broker.scripted_backend import world
from tests.broker.test_admission import guarded, shows
from tests.broker.test_revocations import ADMIN_SHA256, admin


async def test_as_many_revocations_are_held_as_is_said_and_further_ones_are_refused_whole(journal: Journal) -> None:
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    limits = {"revocations": 3}
    async with world(keys=keys, limits=limits, status={"admin_key": ADMIN_SHA256}) as here, admin(here) as post:
        here.client.headers = {"Authorization": "Bearer bob"}
        await here.client.open()
        assert (await post({"entries": ["key:ann", "one"]}))[0] == 200
        status, said = await post({"entries": ["two", "key:bob"]})
        assert (status, "limits.revocations" in said["error"]) == (507, True)
        assert (await here.client.call()).status == 200
        assert (await post({"entries": ["key:ann", "one", "two"]}))[0] == 200  # two of them are held already
        assert (await post({"entries": ["key:bob"]}))[0] == 507
        assert [line["reason"] for line in journal() if line["event"] == "refused"] == ["revocations"] * 2


async def test_a_revocation_is_forgotten_for_others_once_all_that_it_concerns_has_expired() -> None:
    async with (
        guarded(limits={"revocations": 1}, status={"admin_key": ADMIN_SHA256}) as (here, server),
        admin(here) as post,
    ):
        ends = server.claims()["exp"]
        here.client.headers = shows(here, server, jti="stolen")
        await here.client.open()
        assert (await post({"entries": ["stolen"], "expires_at": ends}))[1]["ended"] == 1
        assert (await post({"entries": ["other"]}))[0] == 507
        identities = here.broker.app[SERVERS].identities
        now = identities.wall
        identities.wall = lambda: now() + 331  # the end, and what clocks may differ by, but not the most
        assert (await post({"entries": ["other"]}))[0] == 507
        identities.wall = lambda: now() + 361
        assert (await post({"entries": ["other"]}))[0] == 200
        assert (await here.client.call()).status == 401  # it has expired by itself


async def test_what_the_file_has_is_not_held_and_a_file_that_would_be_too_large_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_text("#" * (MAX_BYTES - 100) + "\n", encoding="utf-8")
    admin_key, limits = {"admin_key": ADMIN_SHA256}, {"revocations": 2}
    async with world(revoked=file, limits=limits, status=admin_key) as here, admin(here) as post:
        revoked = here.broker.app[SERVERS].identities.revoked
        for number in range(3):
            assert (await post({"entries": [f"a{number}", f"b{number}"]}))[0] == 200
            assert revoked.look()
        assert (await post({"entries": ["x" * 100]}))[0] == 507
        assert file.stat().st_size <= MAX_BYTES
        assert (await post({"entries": ["y"]}))[0] == 200
