"""An issuer that is read: its keys as they change, and all it does wrong (security catalogue C111)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from broker.identity.fetching import NotFetched, fetcher, is_fetchable
from broker.identity.issuer import Issuer, Pace, addresses
from tests.broker.conftest import Journal
from tests.broker.http1_world import turn, within
from tests.broker.issuer_world import ED, KEYS, P256, Json, Server, issuing, jwk

NAME = "https://issuer.example/tenant"


class Published:
    """What is published by address, how often it was read, and a clock that is set."""

    def __init__(self, **documents: Any) -> None:
        self.keys: Json | Exception = {"keys": [KEYS[0]]}
        self.others: Json = documents
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None
        self.now = 1_000.0
        self.issuer = self.of("https://keys.example/jwks")

    def of(self, jwks_uri: str) -> Issuer:
        pace = Pace(refresh_s=60, retry_s=10, stale_s=600)
        return Issuer(NAME, jwks_uri=jwks_uri, fetch=self.fetch, pace=pace, clock=lambda: self.now)

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.gate is not None:
            await self.gate.wait()
        found = self.keys if url.endswith("/jwks") else self.others.get(url, NotFetched("issuer-status", 404))
        if isinstance(found, Exception):
            raise found
        return json.dumps(found).encode()

    async def settled(self) -> None:
        """What was begun beside is done."""

        async def done() -> None:
            while self.issuer._reading is not None:
                await turn()

        await within(done())


AWAY = NotFetched("issuer-unreachable")


async def test_keys_are_read_once_for_all_who_wait() -> None:
    here = Published()
    here.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(here.issuer.find("r1", "RS256")) for _ in range(20)]
    await turn()
    waiting[0].cancel()  # who gives up does not end it for the others
    here.gate.set()
    found = await within(asyncio.gather(*waiting[1:]))
    assert len(set(map(id, found))) == 1
    assert found[0] is not None
    assert len(here.asked) == 1


async def test_c111_unknown_kids_cause_one_reading_and_no_more_for_a_while() -> None:
    here = Published()
    assert await here.issuer.find("r1", "RS256") is not None
    here.now += 11
    for number in range(100):
        assert await here.issuer.find(f"new-{number}", "RS256") is None
    assert len(here.asked) == 2
    assert here.issuer.known("r1", "RS256") is not None


async def test_a_key_that_is_new_is_found_and_one_that_is_gone_is_gone() -> None:
    here = Published()
    await here.issuer.find("r1", "RS256")
    here.keys, here.now = {"keys": [jwk(P256, "e2")]}, here.now + 11
    assert await here.issuer.find("e2", "ES256") is not None
    assert here.issuer.known("r1", "RS256") is None


async def test_old_keys_are_used_while_they_are_read_again() -> None:
    here = Published()
    await here.issuer.find("r1", "RS256")
    here.now += 61
    here.keys = {"keys": [KEYS[0], jwk(ED, "d2")]}
    assert here.issuer.known("r1", "RS256") is not None
    assert here.issuer.known("r1", "RS256") is not None
    await here.settled()
    assert len(here.asked) == 2
    assert here.issuer.known("d2", "EdDSA") is not None


async def test_c111_known_keys_go_on_within_their_limit_while_the_issuer_is_away(journal: Journal) -> None:
    here = Published()
    await here.issuer.find("r1", "RS256")
    here.keys = AWAY
    for _ in range(9):
        here.now += 60
        assert here.issuer.known("r1", "RS256") is not None
        await here.settled()
    assert len(here.asked) == 10
    with pytest.raises(NotFetched):  # it may be a new key: nobody can say
        await here.issuer.find("r2", "RS256")
    here.now += 60
    assert here.issuer.known("r1", "RS256") is None
    with pytest.raises(NotFetched):
        await here.issuer.find("r1", "RS256")
    here.keys = {"keys": [KEYS[0]]}
    here.now += 11
    assert await here.issuer.find("r1", "RS256") is not None
    assert {line["event"] for line in journal()} == {"issuer-not-read"}


@pytest.mark.parametrize("keys", [AWAY, {}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AA"}]}, ValueError("x")])
async def test_c111_what_cannot_be_read_opens_nothing(keys: Any) -> None:
    here = Published()
    here.keys = keys
    for _ in range(3):
        with pytest.raises(NotFetched):
            await here.issuer.find("r1", "RS256")
    assert len(here.asked) == 1


# ---- metadata -------------------------------------------------------------------------------------------------------

INSERTED = "https://issuer.example/.well-known/oauth-authorization-server/tenant"
OPENID_INSERTED = "https://issuer.example/.well-known/openid-configuration/tenant"
APPENDED = "https://issuer.example/tenant/.well-known/openid-configuration"
JWKS = "https://issuer.example/keys/jwks"


def test_metadata_are_looked_for_where_the_specification_says() -> None:
    assert addresses(NAME) == [INSERTED, OPENID_INSERTED, APPENDED]
    assert addresses("https://i.example") == [
        "https://i.example/.well-known/oauth-authorization-server",
        "https://i.example/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize("place", [INSERTED, OPENID_INSERTED, APPENDED])
async def test_keys_are_where_the_metadata_say(place: str) -> None:
    here = Published(**{place: {"issuer": NAME, "jwks_uri": JWKS}})
    assert await here.of("").find("r1", "RS256") is not None
    assert here.asked[-2:] == [place, JWKS]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://issuer.example", "jwks_uri": JWKS},
        {"issuer": NAME + "/", "jwks_uri": JWKS},
        {"jwks_uri": JWKS},
        {"issuer": NAME},
        {"issuer": NAME, "jwks_uri": "https://evil.example/jwks"},
        {"issuer": NAME, "jwks_uri": "https://issuer.example:8443/jwks"},
        {"issuer": NAME, "jwks_uri": "https://issuer.example@evil.example/jwks"},
        {"issuer": NAME, "jwks_uri": "http://issuer.example/jwks"},
        {"issuer": NAME, "jwks_uri": "file:///etc/jwks"},
        {"issuer": NAME, "jwks_uri": "http://169.254.169.254/jwks"},
        {"issuer": NAME, "jwks_uri": ["https://issuer.example/jwks"]},
        [],
        "text",
    ],
)
async def test_metadata_of_another_or_that_lead_elsewhere_are_not_followed(metadata: Any) -> None:
    here = Published(**{INSERTED: metadata})
    with pytest.raises(NotFetched):
        await here.of("").find("r1", "RS256")
    assert here.asked == [INSERTED]


async def test_metadata_are_kept_for_a_while_and_read_once_for_all_who_wait() -> None:
    here = Published(**{INSERTED: {"issuer": NAME, "jwks_uri": JWKS}})
    found = await asyncio.gather(*(here.issuer.metadata() for _ in range(10)))
    assert found[0]["issuer"] == NAME
    await here.issuer.metadata()
    assert here.asked == [INSERTED]
    here.now += 61
    await here.issuer.metadata()
    assert here.asked == [INSERTED] * 2


# ---- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://issuer.example", True),
        ("https://issuer.example:8443/a/b?p=1", True),
        ("http://127.0.0.1:9/x", True),
        ("http://localhost:9/x", True),
        ("http://[::1]:9/x", True),
        ("http://issuer.example", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1@evil.example", False),
        ("https://user@issuer.example", False),
        ("https://issuer.example/#x", False),
        ("https://issuer.example:0", False),
        ("https://issuer.example:99999", False),
        ("https://issuer.example/\r\nHost: x", False),
        ("https://", False),
        ("ftp://issuer.example", False),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_only_https_and_this_machine_are_read(url: str, good: bool) -> None:
    assert is_fetchable(url) is good


def _huge() -> web.StreamResponse:
    return web.Response(body=b"[" + b"0," * 5_000_000 + b"0]")


def _elsewhere() -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/jwks"})


def _compressed() -> web.StreamResponse:
    return web.Response(body=b"\x1f\x8b" + b"\0" * 100, headers={"Content-Encoding": "gzip"})


async def _read(server: Server, path: str = "/jwks", *, timeout_s: float = 5.0) -> bytes:
    return await within(fetcher(max_bytes=10_000, timeout_s=timeout_s)(server.url + path))


async def test_a_document_is_read_whole() -> None:
    async with issuing() as server:
        assert json.loads(await _read(server)) == {"keys": KEYS}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (_huge, "issuer-too-large"),
        (_elsewhere, "issuer-status"),
        (lambda: web.Response(status=500), "issuer-status"),
        (lambda: web.Response(status=204), "issuer-status"),
    ],
)
async def test_c111_a_document_beyond_its_bounds_is_none(broken: Any, reason: str) -> None:
    async with issuing() as server:
        server.broken = broken
        with pytest.raises(NotFetched) as failed:
            await _read(server)
        assert failed.value.reason == reason
        assert server.asked.total() == 1  # a redirect is not followed


async def test_a_compressed_document_is_not_opened() -> None:
    async with issuing() as server:
        server.broken = _compressed
        assert (await _read(server))[:2] == b"\x1f\x8b"


async def test_c111_an_issuer_that_does_not_answer_is_given_up() -> None:
    async with issuing() as server:
        server.hold = asyncio.Event()
        with pytest.raises(NotFetched) as failed:
            await _read(server, timeout_s=0.05)
        assert failed.value.reason == "issuer-unreachable"


async def test_an_issuer_that_is_away_is_away() -> None:
    async with issuing() as server:
        pass
    with pytest.raises(NotFetched):
        await _read(server)
