"""The end of all servers of one broker: at once, and whatever one of them does."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from broker import telemetry
from broker.app import CONTEXTS, SERVERS
from tests.broker.http1_world import within
from tests.broker.reload_world import serving


async def test_servers_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as here:
        together = asyncio.Barrier(2)
        for context in here.broker.app[CONTEXTS].values():
            close = context.reach.close

            async def meets(close: object = close) -> None:
                await together.wait()
                await close()  # type: ignore[operator]

            monkeypatch.setattr(context.reach, "close", meets)
        await within(here.broker.app[SERVERS].close())
        assert together.n_waiting == 0


@pytest.mark.parametrize("step", ["end", "close"])
async def test_a_server_that_fails_to_end_keeps_no_other_from_it_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    said = io.StringIO()
    async with serving(tmp_path) as here:
        client = here.client("two")
        await client.open()
        one = here.broker.app[CONTEXTS]["one"]

        def fails(*_why: str) -> None:
            raise RuntimeError("secret")

        if step == "end":
            monkeypatch.setattr(one.sessions, "end_all", fails)
        else:
            monkeypatch.setattr(one.reach, "close", fails)
        telemetry.configure("json", "error", said)
        await within(here.broker.app[SERVERS].close())
        telemetry.configure("json", "error")
        await here.two.next("DELETE")
    (line,) = [json.loads(line) for line in said.getvalue().splitlines()]
    assert (line["event"], line["backend"], line["kind"]) == ("server did not end", "one", "RuntimeError")
    assert "secret" not in said.getvalue()
