"""Health, readiness and status: what they say, to whom, and what they never say."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import ClientSession, web

from broker.app import FACES
from broker.edge import EdgeSettings
from broker.settings import Settings
from broker.status import Status, transport_of
from tests.broker.modern_world import ask
from tests.broker.scripted_backend import World, world


class Asked:
    """The status port of a world."""

    def __init__(self, here: World) -> None:
        self.accepting = True
        faces = here.broker.app[FACES]
        self._status = Status(lambda: faces, lambda: self.accepting)
        self._runner: web.AppRunner | None = None

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
                    return answer.status, json.loads(text) if answer.status in (200, 503) else text
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


async def test_pages_of_other_hosts_learn_nothing() -> None:
    async with world() as here:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            status, _text = await Asked(here)("/status", **headers)
            assert status in (403, 421)


def test_an_address_is_shown_without_its_query_and_a_command_without_its_arguments() -> None:
    assert transport_of("https://example.com/mcp?token=secret") == "https://example.com/mcp"
    assert transport_of("stdio:server --token secret") == "stdio"
