"""Signing in from a pipe: the whole way at servers of both eras, renewing, stepping up, and other processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.broker.http1_world import within
from tests.broker.signin_world import setting


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_a_person_signs_in_while_the_host_waits_for_its_first_answer(revision: str, tmp_path: Path) -> None:
    async with setting(tmp_path, revision) as here:
        broker = await here.broker()
        answer = await broker.open()
        assert "result" in answer
        assert "weather" in await broker.tools()
        assert len(here.browser.pages) == 1
        [registered] = here.issuer.registrations
        assert registered["token_endpoint_auth_method"] == "none"
        await asyncio.wait(here.browser.tasks)
        assert here.browser.seen[0][0] == 200
        assert not broker.reasons


async def test_who_is_signed_in_stays_so_for_the_next_process(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await (await here.broker()).open()
        another = await here.broker()
        await another.open()
        assert len(here.browser.pages) == 1
        assert here.door.refusals == [401]


async def test_every_request_to_the_server_carries_the_token_once_there_is_one(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        broker = await here.broker()
        await broker.open()
        await broker.tools()
        await broker.end()
        [token] = here.issuer.access
        assert here.door.lines[0] == ""
        assert set(here.door.lines[1:]) == {f"Bearer {token}"}


async def test_two_processes_that_start_at_once_ask_the_person_once(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        first, second = await here.broker(), await here.broker()
        answers = await asyncio.gather(first.open(), second.open())
        assert all("result" in answer for answer in answers)
        assert len(here.browser.pages) == 1


async def test_a_token_the_server_does_not_take_any_more_is_renewed_and_the_call_is_sent_again(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        broker = await here.broker()
        await broker.open()
        here.issuer.expire()
        assert await broker.tools()
        assert len(here.browser.pages) == 1
        assert here.issuer.asked.count("POST /token") == 2


async def test_calls_that_are_refused_at_once_share_one_renewal(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        broker = await here.broker()
        await broker.open()
        here.issuer.expire()
        found = await asyncio.gather(*(broker.tools(number) for number in range(1, 9)))
        assert all(found)
        assert here.issuer.asked.count("POST /token") == 2


async def test_a_renewal_by_another_process_is_used(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        first, second = await here.broker(), await here.broker()
        await first.open()
        await second.open()
        here.issuer.expire()
        assert await first.tools()
        assert await second.tools()
        assert here.issuer.asked.count("POST /token") == 2


async def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    now = [1_000.0]
    async with setting(tmp_path) as here:
        here.issuer.expires_in = 100
        broker = await here.broker(clock=lambda: now[0])
        await broker.open()
        now[0] += 74
        await broker.tools()
        assert here.issuer.asked.count("POST /token") == 1
        now[0] += 2
        assert await broker.tools(2)
        assert here.door.refusals == [401]
        assert here.issuer.asked.count("POST /token") == 2


async def test_an_issuer_that_keeps_its_refresh_tokens_is_asked_with_the_same_one(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.rotates = False
        broker = await here.broker()
        await broker.open()
        for number in (1, 2):
            here.issuer.expire()
            assert await broker.tools(number)
        assert len(here.browser.pages) == 1


async def test_a_refresh_token_that_was_taken_back_makes_the_person_sign_in_again(tmp_path: Path) -> None:
    now = [1_000.0]
    async with setting(tmp_path) as here:
        broker = await here.broker(clock=lambda: now[0])
        await broker.open()
        here.issuer.revoke()
        now[0] += 3_000
        assert await broker.tools()
        assert len(here.browser.pages) == 2
        assert len(here.issuer.registrations) == 1, "the port and the client of the first time do again"


async def test_an_issuer_that_is_away_costs_the_call_and_not_the_grant(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        broker = await here.broker()
        await broker.open()
        here.issuer.expire()
        here.issuer.unavailable = True
        answer = await broker.ask(1, "tools/list")
        assert answer["error"]["data"]["reason"] == "backend-sign-in"
        assert broker.reasons == ["unreachable"]
        here.issuer.unavailable = False
        assert await broker.tools(2)
        assert len(here.browser.pages) == 1


async def test_a_server_that_takes_no_token_at_all_opens_one_browser_and_no_more(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.door.closed_to_all = True
        broker = await here.broker()
        for number in (1, 2, 3):
            answer = await broker.ask(number, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
            assert answer["error"]["data"]["reason"] == "backend-unauthorized"
        assert len(here.browser.pages) == 1


async def test_an_operation_that_needs_more_asks_for_it_beside_what_was_asked_before(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.door.challenge += ', scope="read"'
        here.door.needs = lambda body: {"write"} if b"tools/call" in body else {"read"}
        broker = await here.broker()
        await broker.open()
        assert await broker.tools()
        answer = await broker.ask(2, "tools/call", {"name": "weather", "arguments": {"city": "Lisbon"}})
        assert "result" in answer
        assert [page["scope"] for page in here.issuer.authorizations] == ["read", "read write"]
        assert [each["scope"] for each in here.issuer.registrations] == ["read", "read write"]


async def test_scopes_that_do_not_help_are_asked_for_once(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.door.needs = lambda body: {"admin"} if b"tools/call" in body else set()
        here.issuer.tokens = lambda said: here.issuer.access.update({said["access_token"]: {"other"}})
        broker = await here.broker()
        await broker.open()
        for number in (2, 3):
            answer = await broker.ask(number, "tools/call", {"name": "weather", "arguments": {"city": "Lisbon"}})
            assert answer["error"]["data"]["reason"] == "backend-unauthorized"
        assert len(here.browser.pages) == 2


async def test_refresh_tokens_are_asked_for_where_an_issuer_has_a_scope_for_them(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.door.edit = lambda document: document.update(scopes_supported=["read"])
        here.issuer.edit = lambda document: document.update(scopes_supported=["read", "offline_access"])
        await (await here.broker()).open()
        assert here.issuer.authorizations[0]["scope"] == "read offline_access"


async def test_a_process_that_ends_while_a_token_is_renewed_keeps_what_the_issuer_gives(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        broker = await here.broker()
        await broker.open()
        [old] = here.issuer.refreshes
        here.issuer.expire()
        taken, may = asyncio.Event(), asyncio.Event()
        here.issuer.holds_tokens = (taken, may)
        broker.send({"id": 1, "method": "tools/list"})
        await within(taken.wait())
        ending = asyncio.ensure_future(broker.end())
        may.set()
        await within(ending)
        [new] = here.issuer.refreshes
        assert new != old
        [kept] = here.store.all()
        assert kept.refresh_token == new
