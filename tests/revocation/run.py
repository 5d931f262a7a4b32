"""One run: streams of two callers, the end of one caller's credential, and the judgement of what became of everything.

The credential ends in one of these ways: an operator revokes it at the status port, or writes it into the file; its
issuer takes it back, and says so when it is asked; it expires. `BOUND_S` is the whole time that may pass until the last
stream has ended and the last call is cancelled.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from broker.app import SERVERS
from broker.audit.opening import open_log
from broker.audit.options import AuditOptions, FileOptions
from tests.broker.crossing_world import completes, discovery
from tests.broker.http1_world import turn
from tests.broker.issuer_world import Server, claims_of
from tests.broker.modern_world import COMPLETE, modern
from tests.broker.scripted_backend import DONE, Asked, World, world
from tests.broker.test_admission import guarded, token
from tests.revocation.clients import NUMBER, OneStream, Told, clients

ERAS: Final = ("session", "stateless")
"""Of the server."""

WAYS: Final = ("status-port", "file", "issuer", "expired")

BOUND_S: Final = 5.0
"""Security design, C108 and C109."""

AT_ONCE: Final = 32
"""Clients that open their streams at the same time."""


class Report(msgspec.Struct):
    """What a run found; `problems` is empty if everything ended as it has to. Seconds count from the end on."""

    era: str
    way: str
    streams: int
    kinds: dict[str, int]
    last_stream_s: float
    last_cancelled_s: float
    calls_cancelled: int
    others_answered: int
    outcomes: dict[str, int]
    problems: list[str]


async def run(streams: int, others: int, *, era: str, way: str, folder: Path) -> Report:
    """`streams` of one caller end; `others` of another caller go on, and are answered."""
    revoked = folder / "revoked"
    revoked.write_text("", encoding="utf-8")
    audit = open_log(AuditOptions(file=FileOptions(folder / "audit.jsonl")))
    admin = {"admin_key": hashlib.sha256(b"dgm_admin").hexdigest()}
    new = world if era == "session" else modern
    settings: dict[str, Any] = {"limits": {"token_leeway_s": 0}, "revoked": revoked, "status": admin}
    if way == "issuer":
        settings["introspection"] = {"client_id": "broker", "client_secret": "secret"}
    async with guarded(new=new, audit_log=audit, **settings) as (here, server):
        here.backend.on("tools/call", _streams)
        if era == "session":
            here.backend.on("GET", _stands)
        else:
            here.backend.on("server/discover", completes(**discovery({"tools": {}})))
            here.backend.on("subscriptions/listen", _acknowledges)
        ends = clients(here, streams, era, lambda: f"Bearer {token(here, server, jti='stolen', exp=_soon(server))}")
        goes_on = clients(here, others, era, lambda: f"Bearer {token(here, server, sub='bob', exp=_late(server))}")
        await _opened(ends)
        mine = _calls(here)
        await _opened(goes_on)
        theirs = _calls(here)[len(mine) :]
        began = time.monotonic()
        reading = [asyncio.ensure_future(each.end()) for each in ends]
        _end(here, server, way, revoked)
        told = await asyncio.gather(*reading)
        cancelled_s = await _cancelled(here, era, mine, began)
        problems = judge(told, began, "expired" if way == "expired" else "revoked")
        problems += [] if cancelled_s <= BOUND_S else [f"a call was not cancelled within {BOUND_S} s"]
        failed = await _answered(goes_on, theirs, era)
        problems += [f"another caller's {each.kind}: {each.last or each.problem}" for each in failed]
    outcomes = audited(folder / "audit.jsonl")
    unaffected = ("standing", "listen") if way == "expired" else ("standing",)
    calls = sum(each.kind not in unaffected for each in told)
    problems += judged_audit(outcomes, calls, "expired" if way == "expired" else "revoked")
    return Report(
        era=era,
        way=way,
        streams=streams,
        kinds=dict(Counter(each.kind for each in told)),
        last_stream_s=round(max(each.ended_at for each in told) - began, 3),
        last_cancelled_s=round(cancelled_s, 3),
        calls_cancelled=len(mine),
        others_answered=len(theirs) - len(failed),
        outcomes=dict(outcomes),
        problems=problems,
    )


def judge(told: list[Told], began: float, reason: str) -> list[str]:
    """Every stream that did not end in time and in the form of its era."""
    problems = [f"{each.kind}: {each.problem}" for each in told if each.problem]
    for each in told:
        if each.ended_at - began > BOUND_S:
            problems.append(f"{each.kind}: ended after {each.ended_at - began:.1f} s")
        if each.kind == "standing":
            if each.last:
                problems.append(f"standing: a message after the end: {each.last}")
        elif each.kind == "listen" and reason == "expired":
            if each.last.get("id") != NUMBER or "result" not in each.last:
                problems.append(f"listen: ended with {each.last}")
        elif each.last.get("id") != NUMBER or each.reason() != reason:
            problems.append(f"{each.kind}: ended with {each.last}")
    return problems


def audited(path: Path) -> Counter[str]:
    """How many calls of each outcome there are; `open` are those that were admitted and never ended."""
    admitted, found = set(), Counter[str]()
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        kind, call = line["metadata"]["event_code"], line["metadata"].get("correlation_uid")
        if line["api"]["operation"] not in ("tools/call", "subscriptions/listen"):
            continue
        if kind == "admitted":
            admitted.add(call)
        elif kind == "outcome":
            admitted.discard(call)
            found[line.get("status_detail", "ok")] += 1
    if admitted:
        found["open"] = len(admitted)
    return found


def judged_audit(outcomes: Counter[str], calls: int, reason: str) -> list[str]:
    """What the audit log lacks: an outcome of every call, and the reason of those that were cut off."""
    problems = [f"{outcomes['open']} calls were admitted and have no outcome"] if outcomes["open"] else []
    if outcomes[reason] != calls:
        problems.append(f"of {calls} calls that were cut off, {outcomes[reason]} have the reason: {dict(outcomes)}")
    return problems


def _soon(server: Server) -> int:
    return int(server.claims()["exp"])


def _late(server: Server) -> int:
    return int(server.claims()["exp"]) + 10_000


def _end(here: World, server: Server, way: str, revoked: Path) -> None:
    servers = here.broker.app[SERVERS]
    if way == "status-port":
        servers.lapses.revoke(["stolen"])
    elif way == "issuer":
        server.told = lambda form: web.json_response({"active": '"jti": "stolen"' not in claims_of(form["token"])})
    elif way == "file":
        revoked.write_text("stolen\n", encoding="utf-8")
    else:
        wall = servers.identities.wall
        servers.identities.wall = lambda: wall() + 1_000


async def _opened(found: list[OneStream]) -> None:
    some = asyncio.Semaphore(AT_ONCE)

    async def one(each: OneStream) -> None:
        async with some:
            await each.open()

    await asyncio.gather(*map(one, found))


def _calls(here: World) -> list[Asked]:
    """The calls at the server so far."""
    return [asked for asked in here.backend.asked if asked.key == "tools/call"]


async def _cancelled(here: World, era: str, calls: list[Asked], began: float) -> float:
    """How long it took until the server was told of all calls that they are given up."""
    backend = here.backend

    def session_told() -> bool:
        said = {
            (asked.headers.get("mcp-session-id"), asked.message["params"].get("requestId"))
            for asked in backend.asked
            if asked.key == "notifications/cancelled"
        }
        return all((asked.headers.get("mcp-session-id"), asked.id) in said for asked in calls)

    def connections_closed() -> bool:
        return all(asked.reader.at_eof() or asked.writer.is_closing() for asked in calls)

    done: Callable[[], bool] = session_told if era == "session" else connections_closed
    while not done() and time.monotonic() - began <= BOUND_S:
        await turn()
    return time.monotonic() - began


async def _answered(goes_on: list[OneStream], calls: list[Asked], era: str) -> list[Told]:
    """Answer the other caller's calls; the streams on which something else was said."""
    for asked in calls:
        result = DONE if era == "session" else COMPLETE
        await asked.event({"id": asked.id, "result": result})
        await asked.end()
    waiting = [each for each in goes_on if each.told.kind not in ("standing", "listen")]

    async def answer(each: OneStream) -> Told:
        if each.told.kind != "pair":
            return await each.end()
        assert each._reply is not None
        each.told.last = await each._reply.message()
        return each.told

    told = await asyncio.gather(*map(answer, waiting))
    return [each for each in told if each.last.get("id") != NUMBER or "result" not in each.last]


async def _streams(asked: Asked) -> None:
    """A tool that says something, and then works for ever."""
    meta = asked.message["params"]["_meta"]
    await asked.stream()
    params = {"progressToken": meta["progressToken"], "progress": 1}
    await asked.event({"method": "notifications/progress", "params": params})


async def _acknowledges(asked: Asked) -> None:
    await asked.stream()
    wanted = asked.message["params"]["notifications"]
    params = {"notifications": wanted, "_meta": {"io.modelcontextprotocol/subscriptionId": asked.id}}
    await asked.event({"method": "notifications/subscriptions/acknowledged", "params": params})


async def _stands(asked: Asked) -> None:
    await asked.stream()
    await asked.chunk(b": here\n\n")
