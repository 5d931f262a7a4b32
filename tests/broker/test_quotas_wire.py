"""Quotas on every face: the form in which each era survives to be refused, and that no way goes round them (security
catalogue C158, C202, C253)."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from broker import telemetry
from broker.audit.opening import open_log
from broker.audit.options import AuditOptions, FileOptions
from broker.quotas import Quotas, Rule
from broker.quotas.store import Memory, read_rate
from broker.stdio_app import quotas_of
from broker.stdio_command import DEFAULTS, WrongLineError, options_of
from tests.broker.bridge_world import ADA, again, answers_to, begin, bridging, final, serving
from tests.broker.conftest import Journal
from tests.broker.http1_world import within
from tests.broker.kept_wire import connected
from tests.broker.modern_world import COMPLETE, ask, envelope, modern, refused
from tests.broker.pair_world import PairClient
from tests.broker.pipe_world import pipe, settled
from tests.broker.scripted_backend import DONE, Asked, Client, Json, world
from tests.broker.test_face_short import kept as kept_session
from tests.broker.test_stateless_short import complete
from tests.broker.test_stateless_short import kept as kept_stateless

FEW: Json = {"rules": [{"name": "few", "rate": "3/day", "methods": ["tools/call"]}]}
ONE: Json = {"rules": [{"name": "one", "concurrent": 1, "methods": ["tools/call"]}]}
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


def over(message: Json, reason: str = "rate-limited", limit: str = "few") -> bool:
    """True for the error of a request that is too much, with its hint."""
    error = message.get("error")
    if error is None:
        return False
    data = dict(error["data"])
    wait_ms = data.pop("retryAfterMs")
    assert error["code"] == -32603
    assert data == {"origin": "broker", "reason": reason, "limit": limit}
    assert 0 < wait_ms <= 86_400_000
    return True


async def waits(_asked: Asked) -> None:
    """A tool that answers when the test lets it."""


@pytest.mark.parametrize("revision", LEGACY)
async def test_c158_a_session_client_is_refused_in_200_and_goes_on(revision: str) -> None:
    async with world(quotas=FEW) as here:
        await here.client.open(revision)
        replies = [await here.client.call(number) for number in range(5)]
        assert [reply.status for reply in replies] == [200] * 5
        assert [over(reply.json) for reply in replies] == [False] * 3 + [True] * 2
        assert here.backend.count("tools/call") == 3
        assert "result" in (await here.client.post({"id": 9, "method": "tools/list"})).json


async def test_c158_a_stateless_client_is_refused_with_429_and_told_when_to_come_back() -> None:
    async with modern(quotas=FEW) as here:
        here.backend.on("tools/call", lambda asked: asked.result(COMPLETE))
        replies = [await ask(here.client) for _ in range(5)]
        assert [reply.status for reply in replies] == [200] * 3 + [429] * 2
        assert over(replies[4].json)
        assert refused(replies[4]) == (429, -32603, 1, "rate-limited")
        wait = replies[4].json["error"]["data"]["retryAfterMs"]
        assert int(replies[4].headers["retry-after"]) == -(-wait // 1000)
        assert here.backend.count("tools/call") == 3


async def test_c158_more_sessions_revisions_and_transports_are_no_more_calls() -> None:
    async with world(quotas=FEW) as here:
        clients = [here.another() for _ in LEGACY]
        for client, revision in zip(clients, LEGACY, strict=True):
            await client.open(revision)
        told = [over((await client.call()).json) for client in clients]
        pair = PairClient(here)
        await pair.open()
        told.append(over(await pair.ask(1, "tools/call", {"name": "x"})))
        told.append((await ask(here.client)).status == 429)
        assert told == [False] * 3 + [True] * 3


async def test_c158_callers_have_counts_of_their_own() -> None:
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    async with world(quotas=FEW, keys=keys) as here:
        for name in keys:
            client = here.another()
            client.headers = {"Authorization": f"Bearer {name}", "X-Principal": "key:other"}
            await client.open()
            assert [over((await client.call(number)).json) for number in range(5)] == [False] * 3 + [True] * 2


@pytest.mark.parametrize("revision", LEGACY)
async def test_requests_on_the_short_way_of_a_session_count(revision: str) -> None:
    async with world(quotas=FEW) as here, kept_session(here, revision) as wire:
        replies = [await wire.call(number) for number in range(3)]
        assert [reply.status for reply in replies] == [200] * 3
        assert [over(reply.json) for reply in replies] == [False, True, True]
        assert here.backend.count("tools/call") == 3


@pytest.mark.parametrize("new", [modern, bridging])
async def test_stateless_requests_on_the_short_way_count(new: Any) -> None:
    async with new(quotas=FEW) as here:
        if new is modern:
            here.backend.revision = "2026-07-28"
        complete(here)
        async with kept_stateless(here) as wire:
            replies = [await wire.call(number) for number in range(3)]
            assert [reply.status for reply in replies] == [200, 429, 429]
            assert over(replies[2].json)
            assert here.backend.count("tools/call") == 3


async def test_each_message_of_a_batch_counts() -> None:
    async with world(quotas=FEW) as here:
        await here.client.open("2025-03-26")
        batch = [{"id": number, "method": "tools/call", "params": {"name": "x"}} for number in range(5)]
        reply = await here.client.post([*batch, {"id": 5, "method": "ping"}])
        messages = reply.json if not reply.streams else [await reply.message() for _ in range(6)]
        found = {message["id"]: "error" in message and over(message) for message in messages}
        assert reply.status == 200
        assert found == {0: False, 1: False, 2: False, 3: True, 4: True, 5: False}


@pytest.mark.parametrize("era", ["session", "stateless"])
async def test_a_line_of_a_pipe_counts_in_either_era(tmp_path: Path, era: str) -> None:
    rule = Rule("few", rate=read_rate("3/day"), methods=("tools/call",))
    async with pipe(tmp_path, *(["modern"] if era == "stateless" else [])) as here:
        here.context.quotas = Quotas((rule,), Memory(1_000, lambda: 0.0), at_once=0).of("pipe")
        if era == "session":
            await here.open()
        said = [await _add(here, number, era) for number in range(10, 15)]
        assert [over(message) for message in said] == [False] * 3 + [True] * 2


async def test_the_rates_of_a_command_line_bound_its_client_in_either_era(tmp_path: Path) -> None:
    options = options_of(("server",), {**DEFAULTS, "rate": ("3/day", "100/second")})
    async with pipe(tmp_path) as here:
        here.context.quotas = quotas_of(options.rates, lambda: 0.0)
        await here.open()  # `initialize` is a request too
        said = [await _add(here, number, "session") for number in range(10, 14)]
        assert [over(message, limit="rate") for message in said] == [False] * 2 + [True] * 2


def test_a_rate_of_a_command_line_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(WrongLineError):
        options_of(("server",), {**DEFAULTS, "rate": ("often",)})


async def _add(here: Any, number: int, era: str) -> Json:
    params: Json = {"name": "add", "arguments": {"a": 1, "b": 2}}
    if era == "stateless":
        params["_meta"] = envelope()
    found: Json = await here.ask(number, "tools/call", params)
    return found


async def test_a_retry_of_a_suspended_call_is_no_new_call_but_its_repetition_is() -> None:
    async with bridging(quotas={"rules": [{"name": "few", "rate": "1/day", "methods": ["tools/call"]}]}) as here:
        serving(here, rounds=2)
        first = await begin(here)
        second = await again(here, first, answers_to(first))
        third = await final(await again(here, second, answers_to(second)))
        assert third["result"]["resultType"] == "complete"
        assert refused(await again(here, second, answers_to(second, ADA)))[0] == 429
        assert refused(await begin(here))[0] == 429
        forged = second.json["result"]["requestState"][:-4] + "AAAA"
        second.json["result"]["requestState"] = forged
        params = {"name": "x", "arguments": {}, "inputResponses": {}, "requestState": forged}
        assert refused(await begin(here, params=params))[0] == 429  # guessing is not free


@pytest.mark.parametrize("era", ["session", "stateless"])
async def test_c202_calls_at_once_are_bounded_by_caller_and_their_end_makes_room(era: str) -> None:
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    new = world if era == "session" else modern
    async with new(quotas=ONE, keys=keys) as here:
        here.backend.on("tools/call", waits)
        ann, bob = here.another(), here.another()
        for client, name in ((ann, "ann"), (bob, "bob")):
            client.headers = {"Authorization": f"Bearer {name}"}
            if era == "session":
                await client.open()
        first = asyncio.ensure_future(_call(ann, era, 1))
        open_call = await here.backend.next("tools/call")
        reply = await _call(ann, era, 2)
        assert reply.status == (200 if era == "session" else 429)
        assert over(reply.json, "too-many-calls", "one")
        neighbour = asyncio.ensure_future(_call(bob, era, 3))
        theirs = await here.backend.next("tools/call")
        for asked in (open_call, theirs):
            await asked.result(DONE if era == "session" else COMPLETE)
        assert "result" in (await within(first)).json
        assert "result" in (await within(neighbour)).json
        here.backend.on("tools/call", lambda asked: asked.result(DONE if era == "session" else COMPLETE))
        assert "result" in (await _call(ann, era, 4)).json


async def _call(client: Client, era: str, number: int) -> Any:
    return await (client.call(number) if era == "session" else ask(client, id=number))


async def test_c202_a_caller_with_too_much_at_once_takes_nothing_from_its_neighbour() -> None:
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    async with modern(limits={"calls_per_principal": 50}, keys=keys) as here:
        here.backend.on("tools/call", waits)
        greedy, other = here.another(), here.another()
        greedy.headers, other.headers = {"Authorization": "Bearer ann"}, {"Authorization": "Bearer bob"}
        calls = [asyncio.ensure_future(ask(greedy, id=number)) for number in range(200)]
        answered = [await within(first) for first in itertools.islice(asyncio.as_completed(calls), 150)]
        assert {reply.status for reply in answered} == {429}
        assert here.backend.count("tools/call") == 50
        here.backend.on("tools/call", lambda asked: asked.result(COMPLETE))
        theirs = await asyncio.gather(*(ask(other, id=number) for number in range(50)))
        assert [reply.status for reply in theirs] == [200] * 50
        greedy.drop()
        await within(asyncio.gather(*calls, return_exceptions=True))
        await settled(lambda: not here.context.quotas._all.running)


async def test_connections_of_one_address_are_bounded() -> None:
    before = telemetry.counts["refused", "", "", "connections-of-address"]
    async with world(limits={"connections_per_address": 2}) as here:
        async with connected(here.port), connected(here.port), connected(here.port) as (reader, _writer):
            with suppress(ConnectionError):
                assert await within(reader.read()) == b""
        assert telemetry.counts["refused", "", "", "connections-of-address"] == before + 1
        await here.client.open()


@pytest.mark.parametrize(
    "how", ["answered", "failed", "cancelled", "duplicate", "unknown", "session-ended", "vanished"]
)
async def test_c202_however_a_call_ends_what_it_held_is_free_again(how: str) -> None:
    async with world(quotas=ONE) as here:
        running = here.context.quotas._all.running
        await here.client.open()
        if how == "answered":
            await here.client.call()
        elif how == "failed":
            here.backend.on("tools/call", lambda asked: asked.reply(500))
            await here.client.call()
        elif how == "unknown":
            await here.client.post({"id": 1, "method": "vendor/none"})
        else:
            here.backend.on("tools/call", waits)
            call = asyncio.ensure_future(here.client.call(7))
            asked = await here.backend.next("tools/call")
            assert set(running.values()) == {1}
            if how == "cancelled":
                await here.client.post({"method": "notifications/cancelled", "params": {"requestId": 7}})
                await here.backend.next("notifications/cancelled")
                await asked.result()
            elif how == "duplicate":
                await here.client.post({"id": 7, "method": "tools/list"})
                assert set(running.values()) == {1}
                await asked.result()
            elif how == "vanished":
                here.client.drop()
                await asked.result()
            else:
                await here.client.send("DELETE")
            await within(asyncio.wait([call]))
        await settled(lambda: not running)


async def test_the_clients_address_counts_as_a_trusted_proxy_says_it_on_every_way() -> None:
    rules = {"rules": [{"name": "few", "rate": "3/day", "methods": ["tools/call"], "per": ["address"]}]}
    async with world(quotas=rules, forwarded={"trusted": ["127.0.0.1"]}) as here:
        told = []
        for address in ("1.1.1.1", "2.2.2.2", "9.9.9.9, 1.1.1.1"):
            client = here.another()
            client.headers = {"X-Forwarded-For": address}
            await client.open()
            told.append([over((await client.call(number)).json) for number in range(2)])
        assert told == [[False, False], [False, False], [False, True]]


async def test_without_proxies_what_a_client_says_of_its_address_is_nothing() -> None:
    rules = {"rules": [{"name": "few", "rate": "3/day", "methods": ["tools/call"], "per": ["address"]}]}
    async with world(quotas=rules) as here, kept_session(here) as wire:
        for number in range(3):
            wire.head = wire.head.replace("Accept:", f"X-Forwarded-For: 1.1.1.{number}\r\nAccept:", 1)
            assert over((await wire.call(number)).json) is (number > 0)


async def test_an_address_that_guesses_credentials_is_refused_before_it_is_answered_what_is_wrong() -> None:
    rules = {"rules": [{"name": "guesses", "rate": "3/day", "methods": ["authorization"], "per": ["address"]}]}
    keys = {"ann": hashlib.sha256(b"ann").hexdigest()}
    async with world(quotas=rules, keys=keys) as here:
        replies = [await here.client.post({"id": 1, "method": "ping"}, Authorization=f"Bearer {n}") for n in range(5)]
        assert [reply.status for reply in replies] == [401] * 3 + [429] * 2
        assert int(replies[4].headers["retry-after"]) > 0
        here.client.headers = {"Authorization": "Bearer ann"}
        await here.client.open()


async def test_notifications_that_are_too_much_are_dropped_and_those_that_matter_never() -> None:
    rules = {"rules": [{"name": "few", "rate": "1/day", "methods": ["notifications/*"]}]}
    async with world(quotas=rules) as here:
        await here.client.open()
        for _ in range(3):
            assert (await here.client.post({"method": "notifications/roots/list_changed"})).status == 202
        assert here.backend.count("notifications/roots/list_changed") == 1
        assert here.backend.count("notifications/initialized") == 1


async def test_c253_a_refusal_is_counted_logged_and_written_down_with_its_reason(
    tmp_path: Path, journal: Journal
) -> None:
    before = telemetry.counts["refused", "default", "", "rate-limited"]
    log = open_log(AuditOptions(file=FileOptions(tmp_path / "audit.jsonl")))
    async with bridging(quotas=FEW, audit_log=log) as here:
        for _ in range(4):
            await ask(here.client)
        await here.client.open()
        await here.client.call()
    assert telemetry.counts["refused", "default", "", "rate-limited"] == before + 2
    lines = [line for line in journal() if line.get("reason") == "rate-limited"]
    assert [(line["event"], line["principal"]) for line in lines] == [("refused", "local")] * 2
    written = (tmp_path / "audit.jsonl").read_text(encoding="utf-8")
    assert written.count('"rate-limited"') == 2


async def test_the_cap_of_open_calls_is_there_without_any_configuration() -> None:
    async with world(limits={"calls_per_principal": 1}) as here:
        here.backend.on("tools/call", waits)
        await here.client.open()
        call = asyncio.ensure_future(here.client.call(1))
        await here.backend.next("tools/call")
        assert over((await here.client.call(2)).json, "too-many-calls", "calls_per_principal")
        call.cancel()


@pytest.mark.parametrize("era", ["session", "stateless"])
async def test_a_server_may_send_no_longer_message_than_is_said_of_it(era: str) -> None:
    new = world if era == "session" else modern
    large: Json = {"resultType": "complete", "content": [{"type": "text", "text": "x" * 3_000}]}
    async with new(backend={"result_bytes": 2_048}) as here:
        here.backend.on("tools/call", lambda asked: asked.result(large))
        if era == "session":
            await here.client.open()
        error = (await _call(here.client, era, 1)).json["error"]
        assert error["data"]["reason"] == "too-large"
