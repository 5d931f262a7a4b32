"""What the tools of servers are now, as digests to be pinned: for people, see `broker.hooks.definitions`.

Each server is asked as a client with sessions and as one without, since the two faces of one may describe a tool in two
ways. Invariants: nothing is called; what was opened or started is closed at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from broker.app import CONTEXTS, create_app
from broker.hooks.definitions import digest_of
from broker.report_ask import inspect
from broker.report_sink import CannotAsk
from protocol_versions import REVISIONS

if TYPE_CHECKING:
    from broker.faces.context import FaceContext
    from broker.settings import Settings

FACES: Final = (True, False)  # with sessions, and without


class Pins(msgspec.Struct, frozen=True):
    """One server: its tools' digests by name, and why it cannot be asked, with it there are none."""

    server: str
    tools: dict[str, tuple[str, ...]]
    problem: str = ""


async def pins(settings: Settings, names: list[str]) -> list[Pins]:
    """Ask these servers for their tools, one after the other."""
    app = create_app(settings)
    try:
        return [await _pins(app[CONTEXTS][name]) for name in names]
    finally:
        app.freeze()
        await app.shutdown()


async def _pins(context: FaceContext) -> Pins:
    found: dict[str, dict[str, None]] = {}
    problems = []
    for sessions in FACES:
        newest = [each.id for each in REVISIONS if each.traits.sessions is sessions][-1]
        try:
            offer = await inspect(context, newest)
        except CannotAsk as reason:
            problems.append(str(reason))
            continue
        if why := offer.incomplete.get("tools/list"):
            return Pins(context.name, {}, f"tools/list: {why}")
        for tool in offer.lists.get("tools/list", []):
            if isinstance(name := tool.get("name"), str):
                found.setdefault(name, {})[digest_of(tool)] = None
    if len(problems) == len(FACES):
        return Pins(context.name, {}, problems[0])
    return Pins(context.name, {name: tuple(digests) for name, digests in found.items()})


def lines(found: Pins) -> list[str]:
    """As a configuration in YAML says it."""
    if not found.tools:
        return [f"  {_key(found.server)}: {{}}  # no tools"]
    head = [f"  {_key(found.server)}:", "    definitions:", "      changed: hold", "      pinned:"]
    return head + [f"        {_key(name)}: [{', '.join(digests)}]" for name, digests in sorted(found.tools.items())]


def _key(name: str) -> str:
    return msgspec.json.encode(name).decode()  # which is YAML too
