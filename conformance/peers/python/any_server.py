"""Features for a server of any kind: its tools as it lists them, and the one call that the command line names."""

from __future__ import annotations

from typing import Any

from application import Application, dump


async def listed(app: Application) -> Any:
    """The tools, whole."""
    return dump(await app.session.list_tools())


async def called(app: Application) -> Any:
    """The result of the call, whole."""
    return dump(await app.session.call_tool(app.call["name"], app.call["arguments"]))


ANY_SERVER = {"any.list": listed, "any.call": called}
