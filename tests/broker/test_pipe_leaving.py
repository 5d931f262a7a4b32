"""Clients on a pipe that leave early, ask too much or meet a bug of ours: nothing is kept, nobody is left waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.broker.pipe_world import Json, pipe, settled

ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}
OPENING: Json = {
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "client", "version": "1"}},
}


async def test_a_client_that_leaves_while_its_session_is_opened_leaves_no_process(tmp_path: Path) -> None:
    async with pipe(tmp_path, "silent") as here:
        here.send(OPENING)
        await settled(lambda: bool(here.processes("initialize")))
        here.face.close()
        await here.gone(here.processes()[0])


async def test_a_bug_of_ours_while_a_session_is_opened_is_answered_and_the_client_may_ask_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipe(tmp_path) as here:

        def broken(_owner: Any) -> Any:
            raise RuntimeError("secret")

        with monkeypatch.context() as patched:
            patched.setattr(here.reach, "session", broken)
            error = (await here.ask(7, "initialize", OPENING["params"]))["error"]
        assert (error["code"], error["data"]) == (-32603, {"origin": "broker", "reason": "internal"})
        assert ("failed", "", "internal:RuntimeError") in here.reports.notes
        assert "result" in await here.open()
        assert "result" in await here.ask(1, "tools/call", ADD)
