"""What policy is told of a caller, at each edge towards a backend: who it is, its client, and the revisions."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from broker.callers import MAX_TOLD, caller_of
from broker.hooks.base import PASS, Body, Caller, CallInfo, Hook, Pattern, Verdict
from broker.hooks.runner import Runner
from broker.identity import Principal
from protocol_versions.base import Slot
from tests.broker.crossing_world import completes, greeted
from tests.broker.modern_world import INFO, ask, modern
from tests.broker.scripted_backend import DONE, Json, World, world

KEYS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}


class Sees(Hook):
    """Writes down who called, for calls of tools and what comes back."""

    slots = (Pattern("params", "*", "server", ()), Pattern("result", "tools/call", "client", ()))

    def __init__(self) -> None:
        self.infos: list[CallInfo] = []

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        self.infos.append(info)
        return PASS

    def callers(self, method: str = "tools/call") -> list[Caller]:
        return [info.caller for info in self.infos if info.method == method]


def seeing(here: World) -> Sees:
    hook = Sees()
    here.context.hooks = Runner([hook], here.context.wire)
    here.backend.on("tools/call", lambda asked: asked.result(DONE))
    return hook


def known(client: str, backend: str, name: str = "ann", version: str = "0") -> Caller:
    return Caller(
        f"key:{name}",
        "key",
        client_name=INFO["name"],
        client_version=version,
        client_revision=client,
        backend_revision=backend,
    )


async def test_a_session_clients_calls_say_who_it_is_before_a_session_server() -> None:
    async with world(backend={"revision": "2025-06-18"}, keys=KEYS) as here:
        hook = seeing(here)
        here.client.headers["Authorization"] = "Bearer ann"
        await here.client.open("2025-11-25")
        await here.client.call()
        await here.client.call(2)  # which is known by its head
        assert hook.callers() == [known("2025-11-25", "2025-06-18")] * 4
        assert hook.callers("initialize")[0].backend_revision == ""
        assert {info.principal for info in hook.infos} == {"key:ann"}


async def test_a_session_clients_calls_say_who_it_is_before_a_stateless_server() -> None:
    async with modern(keys=KEYS) as here:
        hook = seeing(here)
        here.backend.on("tools/call", completes(**DONE))
        here.client.headers["Authorization"] = "Bearer bob"
        await greeted(here, revision="2025-03-26")
        await here.client.call()
        assert hook.callers() == [known("2025-03-26", "2026-07-28", "bob")] * 2


@pytest.mark.parametrize(("backend", "spoken"), [("2026-07-28", "2026-07-28"), ("2025-03-26", "2025-03-26")])
async def test_stateless_clients_calls_say_who_sent_each(backend: str, spoken: str) -> None:
    async with world(backend={"revision": backend}, keys=KEYS) as here:
        hook = seeing(here)
        for name in ("ann", "bob", "ann"):
            await ask(here.client, Authorization=f"Bearer {name}")
        assert hook.callers() == [
            known("2026-07-28", spoken, name, "1") for name in ("ann", "ann", "bob", "bob", "ann", "ann")
        ]


async def test_in_a_session_that_all_share_each_call_is_its_callers_and_the_rest_is_nobodys() -> None:
    shared: AbstractAsyncContextManager[World] = world(backend={"session": "shared"}, keys=KEYS)
    async with shared as here:
        hook = seeing(here)
        calls = [ask(here.client if name == "ann" else here.another(), Authorization=f"Bearer {name}") for name in KEYS]
        await asyncio.gather(*calls)
        assert sorted(caller.principal for caller in hook.callers()) == ["key:ann"] * 2 + ["key:bob"] * 2
        (opened,) = hook.callers("initialize")
        assert (opened.principal, opened.kind, opened.claims) == ("", "shared", {})


@pytest.mark.parametrize("info", [None, "x", 7, {}, {"name": 7, "version": None}])
def test_a_client_that_says_nothing_useful_of_itself_has_no_name(info: Any) -> None:
    told = caller_of(Principal("key:ann", "key"), info, "a", "b")
    assert (told.client_name, told.client_version) == ("", "")


def test_what_was_proven_of_a_caller_is_told_and_long_names_are_cut() -> None:
    who = Principal("token:x", "token", {"sub": "x"}, frozenset({"read"}), 12.0)
    info: Json = {"name": "n" * 10_000, "version": "1"}
    told = caller_of(who, info, "a", "b")
    assert told.claims == {"sub": "x"}
    assert (told.scopes, told.expires_at) == (frozenset({"read"}), 12.0)
    assert (told.client_name, told.client_version) == ("n" * MAX_TOLD, "1")
