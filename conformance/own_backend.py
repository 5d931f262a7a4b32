"""Checks a server of the user's own: each revision it claims, directly and through the broker for each client.

Nothing is assumed about what the server offers: what it lists directly is what a client behind the broker
must find. Only reading calls are made (ping, lists, the first resource); no tool runs.
Invariant: a revision counts as claimed when the server itself answers `initialize` with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from conformance import projection
from conformance.launch import Children, LaunchError
from conformance.raw.wire import Message, Session, Wire
from conformance.revisions import REVISIONS

STEP_BOUND_S: Final = 20.0
"""A remote server's slowest list; the broker's own share is milliseconds."""
PAGES: Final = 50
LISTS: Final = (
    ("tools", "tools/list", "tools", "name"),
    ("resources", "resources/list", "resources", "uri"),
    ("resources", "resources/templates/list", "resourceTemplates", "uriTemplate"),
    ("prompts", "prompts/list", "prompts", "name"),
)


@dataclass
class Picture:
    """What one client saw of a server: lists by method, first resource, errors by step."""

    revision: str
    answered: str = ""
    capabilities: Message = field(default_factory=dict)
    lists: dict[str, list[Message]] = field(default_factory=dict)
    read: Any = None
    steps: dict[str, str] = field(default_factory=dict)
    """What each step met: "" when it went well."""

    @property
    def trouble(self) -> list[str]:
        return [f"{step}: {text}" for step, text in self.steps.items() if text]


async def look(url: str, revision: str, headers: Mapping[str, str]) -> Picture:
    """One session of that revision: lists, one resource, ping, an unknown method, DELETE."""
    picture = Picture(revision)
    timeout = aiohttp.ClientTimeout(total=STEP_BOUND_S)
    async with aiohttp.ClientSession(headers=dict(headers), timeout=timeout) as http:
        session = await _step(picture, "initialize", Wire(http, url, revision).open())
        if session is None:
            return picture
        picture.answered = str(session.opened.get("protocolVersion"))
        picture.capabilities = dict(session.opened.get("capabilities") or {})
        session.wire.revision = picture.answered if picture.answered in REVISIONS else revision
        await _step(picture, "ping", session.result("ping"))
        await _step(picture, "unknown method", _unknown(session))
        for capability, method, member, _ in LISTS:
            if capability in picture.capabilities:
                found = await _step(picture, method, _pages(session, method, member))
                picture.lists[method] = found or []
        resources = picture.lists.get("resources/list")
        if resources:
            result = await _step(
                picture, "resources/read", session.result("resources/read", {"uri": resources[0]["uri"]})
            )
            picture.read = result and result.get("contents")
        with suppress(aiohttp.ClientError, TimeoutError):
            await session.delete()
    return picture


async def _step(picture: Picture, name: str, work: Any) -> Any:
    try:
        result = await work
    except (AssertionError, aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        picture.steps[name] = f"{type(error).__name__}: {error}"[:300]
        return None
    picture.steps[name] = ""
    return result


async def _unknown(session: Session) -> None:
    answer = await session.ask("no/such/method", {})
    if answer.code is None:
        raise AssertionError(f"HTTP {answer.status} without an error")


async def _pages(session: Session, method: str, member: str) -> list[Message]:
    found: list[Message] = []
    params: Message = {}
    for _ in range(PAGES):
        result = await session.result(method, params)
        found.extend(result[member])
        if not result.get("nextCursor"):
            break
        params = {"cursor": result["nextCursor"]}
    return found


def differences(direct: Picture, seen: Picture) -> list[str]:
    """How a client's picture through the broker differs from what the server itself shows."""
    found = [text for text in seen.trouble if seen.steps and text.split(":")[0] not in _failing(direct)]
    if not seen.answered:
        return found
    if seen.answered != seen.revision:
        found.append(f"initialize: answered {seen.answered}, not {seen.revision}")
    must, never = projection.server_capabilities(direct.capabilities, seen.revision, direct.answered)
    found.extend(f"capability {key} is lost" for key in sorted(must - set(seen.capabilities)))
    found.extend(f"capability {key} is of a newer revision" for key in sorted(never & set(seen.capabilities)))
    for _, method, _, key in LISTS:
        wanted = [item.get(key) for item in direct.lists.get(method, ())]
        got = [item.get(key) for item in seen.lists.get(method, ())]
        if wanted != got:
            found.append(f"{method}: {len(got)} of {len(wanted)} entries, or another order")
        newer = {
            member
            for item in seen.lists.get(method, ())
            for member in item
            if item != projection.visible(item, seen.revision) and member not in projection.visible(item, seen.revision)
        }
        found.extend(f"{method}: {member} is of a newer revision" for member in sorted(newer))
    if direct.read != seen.read and projection.visible(direct.read, seen.revision) != seen.read:
        found.append("resources/read: other contents")
    return found


def _failing(picture: Picture) -> set[str]:
    return {step for step, text in picture.steps.items() if text}


def main(url: str, header_lines: Sequence[str], logs: Path) -> int:
    """Check the server and print the table; exit code 0 when every client sees what the server shows."""
    headers = dict(_header(line) for line in header_lines)
    claimed: list[Picture] = []
    print(f"{'revision':<12} directly")
    for revision in REVISIONS:
        picture = asyncio.run(look(url, revision, headers))
        if picture.answered == revision:
            claimed.append(picture)
            print(f"{revision:<12} claimed; {_summary(picture)}")
        else:
            why = f"answers {picture.answered}" if picture.answered else "; ".join(picture.trouble)
            print(f"{revision:<12} not claimed: {why}")
    if not claimed:
        print("the server claims no revision that the broker knows")
        return 1
    lost = 0
    print(f"\n{'client':<12} {'server as':<12} through the broker")
    for direct in claimed:
        lost += _through(url, headers, direct, logs)
    print(f"\n{lost} differences")
    return 1 if lost else 0


def _through(url: str, headers: Mapping[str, str], direct: Picture, logs: Path) -> int:
    lost = 0
    # Values go through the environment: a command line is there for everybody to read.
    env = {f"DRAGOMAN_CONFORMANCE_HEADER_{number}": value for number, value in enumerate(headers.values())}
    options = [
        part for name, variable in zip(headers, env, strict=True) for part in ("--header", f"{name}=env:{variable}")
    ]
    with Children(logs / f"own-{direct.revision}") as children:
        try:
            _, broker = children.broker(url, "--backend-revision", direct.revision, *options, env=env)
        except LaunchError as error:
            print(f"{'every':<12} {direct.revision:<12} {error}")
            return 1
        for client in REVISIONS:
            found = differences(direct, asyncio.run(look(broker, client, {})))
            lost += len(found)
            print(f"{client:<12} {direct.revision:<12} {'; '.join(found) if found else 'as direct'}")
    return lost


def _summary(picture: Picture) -> str:
    counts = [f"{len(items)} from {method}" for method, items in picture.lists.items()]
    return ", ".join([*counts, *(f"FAILS {text}" for text in picture.trouble)]) or "nothing listed"


def _header(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(":")
    if not separator or not name.strip():
        raise SystemExit(f"--header {line!r}: write it like 'Authorization: Bearer …'")
    return name.strip(), value.strip()
