"""Health, readiness and status: what they say, to whom, and what they never say."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import ClientSession, web

from broker.app import FACES, SERVERS
from broker.edge import EdgeSettings
from broker.identity.principal import digest_of
from broker.metering.meter import Meter
from broker.settings import Settings
from broker.status import Status, transport_of
from tests.broker.issuer_world import issuing, sign
from tests.broker.modern_world import ask
from tests.broker.scripted_backend import World, world


class Asked:
    """The status port of a world."""

    def __init__(self, here: World, meter: Meter | None = None) -> None:
        self.accepting = True
        faces = here.broker.app[FACES]
        self._status = Status(lambda: faces, lambda: self.accepting, meter)
        self._runner: web.AppRunner | None = None

    @property
    def paths(self) -> list[str]:
        """Everything that can be read."""
        routes = self._status.app(DOOR).router.routes()
        return [route.resource.canonical for route in routes if route.resource and route.method == "GET"]

    async def __call__(self, path: str, **headers: str) -> tuple[int, Any]:
        listener = web.AppRunner(self._status.app(DOOR), access_log=None)
        await listener.setup()
        site = web.TCPSite(listener, "127.0.0.1", 0)
        await site.start()
        port = listener.addresses[0][1]
        try:
            async with ClientSession() as session:
                fields = {"Host": "127.0.0.1:8809", **headers}
                async with session.get(f"http://127.0.0.1:{port}{path}", headers=fields) as answer:
                    text = await answer.text()
                    return answer.status, json.loads(text) if answer.content_type == "application/json" else text
        finally:
            await listener.cleanup()


DOOR = EdgeSettings.at("127.0.0.1", 8809, Settings.for_proxy("http://127.0.0.1:1/mcp"))


async def test_health_and_readiness_are_told_apart() -> None:
    async with world() as here:
        asked = Asked(here)
        assert await asked("/health") == (200, {"status": "ok"})
        assert await asked("/ready") == (200, {"ready": True})
        asked.accepting = False
        assert await asked("/health") == (200, {"status": "ok"})
        assert await asked("/ready") == (503, {"ready": False})


async def test_the_status_counts_what_is_open_and_names_nobody() -> None:
    async with world() as here:
        await here.client.open("2025-06-18")
        await ask(here.client, "tools/call")
        status, found = await Asked(here)("/status")
        (server,) = found["servers"].values()
        assert status == 200
        assert server["era"] == "legacy"
        assert server["sessions"] == 1
        assert server["backend_sessions"] == 1
        assert server["open_calls"] == server["suspended_calls"] == 0
        assert server["revisions"] == ["2025-06-18", "2025-11-25"]
        assert here.client.session not in json.dumps(found)


async def test_c115_no_page_names_a_session_a_caller_a_credential_or_what_was_called() -> None:
    key, jti, subject = "dgm_key-of-bob", "id-of-a-token", "subject-of-a-token"
    keys = {"name-of-bob": digest_of(key)}
    async with issuing() as server, world(issuers=[{"issuer": server.url}], keys=keys, meter=Meter()) as here:
        asked = Asked(here, here.broker.app[SERVERS].meter)
        token = sign(server.claims(aud=f"http://127.0.0.1:{here.port}/mcp", sub=subject, jti=jti))
        secrets = [
            key,
            keys["name-of-bob"],
            "name-of-bob",
            token,
            digest_of(token),
            jti,
            subject,
            "backend-1",
            "backend-2",
            "name-of-a-tool",
            "argument-of-a-call",
            "method-of-a-client",
        ]
        for credential in (key, token):
            here.client.headers = {"Authorization": f"Bearer {credential}"}
            here.client.session = ""
            await here.client.open()
            secrets.append(here.client.session)
            assert (
                await here.client.call(1, name="name-of-a-tool", arguments={"a": "argument-of-a-call"})
            ).status == 200
            assert (await here.client.call(1, "method-of-a-client", name="name-of-a-tool")).status == 200
        here.client.headers = {"Authorization": f"Bearer {token}x"}
        assert (await here.client.call()).status == 401
        for path in asked.paths:
            for accept in ("text/html", "application/openmetrics-text"):
                status, page = await asked(path, Accept=accept)
                assert status == 200
                text = page if isinstance(page, str) else json.dumps(page)
                assert [each for each in secrets if each in text] == []
            here.client.path = path
            assert (await here.client.send("GET")).status == 404  # of the listener that clients reach
    assert set(asked.paths) == {"/health", "/ready", "/status", "/metrics"}


async def test_pages_of_other_hosts_learn_nothing() -> None:
    async with world() as here:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            status, _text = await Asked(here)("/status", **headers)
            assert status in (403, 421)


def test_an_address_is_shown_without_its_query_and_a_command_without_its_arguments() -> None:
    assert transport_of("https://example.com/mcp?token=secret") == "https://example.com/mcp"
    assert transport_of("stdio:server --token secret") == "stdio"
