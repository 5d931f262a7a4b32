"""Clients on a pipe that leave early, ask too much or meet a bug of ours: nothing is kept, nobody is left waiting."""

from __future__ import annotations

from pathlib import Path

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
