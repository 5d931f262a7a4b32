"""The raw side: the wire client shows what came, and the scripted backend's faults make the right checks fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from conformance.launch import Children
from conformance.raw import crossing, faults, framing, lifecycle, run, streams
from conformance.raw.bench import Bench, backend_command
from conformance.raw.wire import Event, read_events, same_id
from conformance.revisions import CLIENTS, REVISIONS, SERVERS, STATELESS


async def _events(data: bytes, size: int) -> list[Event]:
    reader = aiohttp.StreamReader(aiohttp.base_protocol.BaseProtocol(asyncio.get_running_loop()), 2**16)
    for start in range(0, len(data), size):
        reader.feed_data(data[start : start + size])
    reader.feed_eof()
    return [event async for event in read_events(reader)]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_are_read_however_the_bytes_arrive(size: int) -> None:
    data = b': comment\n\nid: 1\nretry: 50\ndata: \n\nevent: message\ndata: {"a":\ndata: 1}\n\nid: 2\ndata: {}\n\n'
    assert await _events(data, size) == [Event("1", "", 50), Event(None, '{"a":\n1}'), Event("2", "{}")]


def test_ids_are_one_only_with_their_type() -> None:
    assert same_id(1, 1)
    assert same_id("1", "1")
    assert not same_id(1, "1")
    assert not same_id(True, 1)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench without a broker: the scripted backend itself stands where the broker would."""
    with Children(tmp_path) as children:
        child, url = await asyncio.to_thread(children.server, "backend", backend_command("2025-11-25"))
        async with aiohttp.ClientSession() as http:
            yield Bench(children, http, "2025-11-25", "2025-11-25", child, url, child, url)


@pytest.mark.parametrize(
    "check",
    [
        lifecycle.client_sees_its_own_revision,
        lifecycle.ids_keep_their_type,
        lifecycle.unknown_session_is_404,
        streams.calls_stream_their_logs,
        streams.pushes_reach_the_get_stream,
        crossing.asks_reach_the_client,
        crossing.progress_comes_under_the_clients_token,
        crossing.vendor_members_pass,
        faults.a_hanging_call_holds_up_nobody,
    ],
)
async def test_a_server_that_keeps_a_promise_passes_its_check(bench: Bench, check: object) -> None:
    (known,) = [each for each in run.CHECKS if each.run is check]
    await known.run(bench)


@pytest.mark.parametrize(
    "check",
    [
        framing.duplicate_members_are_refused,
        framing.foreign_origin_is_forbidden,
        framing.unknown_methods_are_not_forwarded,
        lifecycle.version_header_is_not_required,
        streams.a_dropped_stream_is_resumed,
        streams.priming_follows_the_revision,
        crossing.asks_nobody_declared_are_refused,
        faults.unreadable_answers_end_the_call,
        faults.a_second_answer_is_dropped,
        faults.a_lost_backend_session_is_opened_again,
    ],
)
async def test_a_server_that_breaks_a_promise_fails_its_check(bench: Bench, check: object) -> None:
    (known,) = [each for each in run.CHECKS if each.run is check]
    with pytest.raises(AssertionError):
        await known.run(bench)


def test_the_subset_of_raw_pairs_meets_every_client_and_every_backend_revision() -> None:
    pairs = run.pairs(subset=True)
    assert {client for client, _ in pairs} == set(CLIENTS)
    assert {server for client, server in pairs if client in REVISIONS} == set(SERVERS)
    assert {client for client, server in pairs if server == STATELESS} == set(CLIENTS)
    assert {server for client, server in pairs if client == STATELESS} == set(SERVERS)
    assert set(run.pairs(subset=False)) == {(client, server) for client in CLIENTS for server in SERVERS}
