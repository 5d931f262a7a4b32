"""The benchmark harness is honest: only correct answers count, CPU comes from the kernel, streams are not
buffered.

The invariant: no assertion here depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from benchmarks import facts
from benchmarks.__main__ import main
from benchmarks.backend import Connection
from benchmarks.client import HarnessError, Session, connect, event_data, exchange
from benchmarks.load import Control, Target, Window, warm, window
from benchmarks.processes import PASSTHROUGH_COMMAND, Child, Meter, cpu_ns, schedstat_ns
from benchmarks.report import judge, limit_line, ratios, row_line
from benchmarks.rows import CONNECTIONS, REQUESTS, ROWS
from benchmarks.runner import BASE, BROKER, Results
from benchmarks.wire import STREAM_HEAD, Ask, event
from benchmarks.workloads import Big, Echo, Measure, Stream, ToolList, Workload
from tests.benchmark_world import serving

WAIT = 5.0
NEWEST, OLDEST = "2025-11-25", "2024-11-05"
ROW = ROWS[0]


@asynccontextmanager
async def opened(port: int, path: str, revision: str = NEWEST) -> AsyncIterator[Session]:
    """A session with its handshake done."""
    session = Session(port, path, revision, {})
    await session.open()
    try:
        yield session
    finally:
        await session.end()


def answer(number: int, result: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": number, "result": result})


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


class Liar(Connection):
    """Answers truly at first, then every second call with a mark that was never sent."""

    lies = 0
    calls = 0

    def call(self, ask: Ask, revision: str) -> None:
        Liar.calls += 1
        if Liar.calls > 4 and Liar.calls % 2:
            Liar.lies += 1
            ask.params.arguments["text"] = "never-sent"
        super().call(ask, revision)


class Deserter(Connection):
    """Drops the connection at the first call after the warm-up."""

    calls = 0

    def call(self, ask: Ask, revision: str) -> None:
        self.calls += 1
        if self.calls > 4:
            self.transport.abort()
        else:
            super().call(ask, revision)


async def load(kind: type[Connection], workload: Workload, concurrency: int = 1) -> Window:
    async with serving(kind) as (_, port):
        control = Control(port)
        target = Target("direct", port, f"/{NEWEST}/mcp", None)
        seen = await window(target, control, workload, NEWEST, concurrency, 0.1)
        if control.connection is not None:
            control.connection.close()
        return seen


async def test_every_answer_of_an_honest_server_counts_once() -> None:
    seen = await load(Connection, Echo("echo"), concurrency=4)
    assert seen.calls == seen.requests == len(seen.latencies_ns) > 0
    assert (seen.wrong, seen.failed, seen.connections) == (0, 0, 0)


async def test_an_answer_with_a_wrong_mark_is_not_counted_as_a_call() -> None:
    seen = await load(Liar, Echo("echo"))
    assert seen.wrong == Liar.lies > 0
    assert seen.calls == len(seen.latencies_ns) == seen.requests - seen.wrong > 0


async def test_a_call_whose_connection_dies_is_counted_as_failed() -> None:
    seen = await load(Deserter, Echo("echo"), concurrency=2)
    assert (seen.calls, seen.wrong, seen.failed) == (0, 0, 2)


async def test_warm_up_refuses_a_target_that_answers_wrongly() -> None:
    async with serving() as (_, port), opened(port, f"/{NEWEST}/mcp") as session:
        with pytest.raises(HarnessError):
            await warm(session, Echo("no-such-tool"))


@pytest.mark.parametrize(
    "workload",
    [Echo("echo"), Echo("echo_sse"), Measure(), Big(), ToolList(), ToolList(fresh=True), Stream(120, 0), Stream(3, 1)],
)
@pytest.mark.parametrize("revision", ["2025-03-26", NEWEST])
async def test_the_backend_answers_every_workload_correctly(workload: Workload, revision: str) -> None:
    async with serving() as (_, port), opened(port, f"/{revision}/mcp") as session:
        assert session.negotiated == revision
        await asyncio.wait_for(warm(session, workload), WAIT)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [b"not json"],
        [answer(8, text("m"))],
        [answer(7, text("other"))],
        [answer(7, {"content": []})],
        [b'{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"m"}}'],
    ],
)
def test_an_echo_needs_its_own_id_and_its_own_mark(messages: list[bytes]) -> None:
    assert Echo("echo").accepts([answer(7, text("m"))], 7, "m", NEWEST)
    assert not Echo("echo").accepts(messages, 7, "m", NEWEST)


def test_a_big_result_that_is_cut_short_is_wrong() -> None:
    whole = "m" + "x" * facts.BIG_TEXT_BYTES
    assert Big().accepts([answer(1, text(whole))], 1, "m", NEWEST)
    assert not Big().accepts([answer(1, text(whole[:-1]))], 1, "m", NEWEST)


def test_a_list_is_wrong_when_it_shows_members_newer_than_the_reader() -> None:
    def listed(revision: str) -> list[bytes]:
        tools = msgspec.json.decode(facts.tools_json(revision))
        return [answer(1, {"tools": tools, "nextCursor": "after-m"})]

    assert ToolList().accepts(listed(OLDEST), 1, "m", OLDEST)
    assert not ToolList().accepts(listed(NEWEST), 1, "m", OLDEST)
    assert not ToolList().accepts(listed(OLDEST), 1, "m", NEWEST)


def test_structured_content_is_right_only_for_readers_that_know_it() -> None:
    body = answer(1, {**text('{"mark":"m"}'), "structuredContent": {"mark": "m"}})
    assert Measure().accepts([body], 1, "m", NEWEST)
    assert not Measure().accepts([body], 1, "m", OLDEST)


def test_a_stream_needs_every_event_in_order_with_its_token_and_mark() -> None:
    def progress(place: int, token: str = "t-m", mark: str = "m") -> bytes:
        params = {"progressToken": token, "progress": place, "message": f"{mark} 1"}
        return msgspec.json.encode({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})

    last = answer(1, text("m"))
    stream = Stream(2, 0)
    assert stream.accepts([progress(1), progress(2), last], 1, "m", NEWEST)
    for wrong in (
        [progress(2), progress(1), last],
        [progress(1), last],
        [progress(1), progress(2, token="t-other"), last],
        [progress(1), progress(2, mark="other"), last],
        [progress(1), progress(2)],
    ):
        assert not stream.accepts(wrong, 1, "m", NEWEST)


def test_event_data_joins_lines_and_ignores_comments_and_priming() -> None:
    assert event_data(b"event: message\ndata: {}") == b"{}"
    assert event_data(b"id: 1\ndata:{\ndata: }") == b"{\n}"
    assert event_data(b": ping") == event_data(b"id: 1\nretry: 5\ndata: ") == b""


async def test_the_backend_refuses_what_a_real_server_refuses_and_counts_it() -> None:
    async with serving() as (server, port), opened(port, f"/{NEWEST}/mcp") as session:
        body = Echo("echo").body(1, "m")
        good = session.post(body)
        for request, status in (
            (good.replace(b"Mcp-Session-Id", b"X-None"), 400),
            (good.replace(session.connection.session, b"0" * 32), 404),
            (good.replace(NEWEST.encode() + b"\r\n", b"2025-06-18\r\n"), 400),
            (good, 200),
        ):
            assert (await exchange(session.connection, request))[0] == status
        assert server.stats.refused == 3
        assert server.stats.calls == 1


async def test_asking_for_the_counters_is_not_counted() -> None:
    async with serving() as (_, port):
        control = Control(port)
        first, second = await control.stats(), await control.stats()
        assert first == second
        assert (second.requests, second.connections) == (0, 0)
        assert control.connection is not None
        control.connection.close()


BURN = "import sys,time\nwhile time.process_time() < 0.05: pass\nprint('done', flush=True)\nsys.stdin.read()"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BURN!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("burnt", flush=True)
sys.stdin.readline()
child.stdin.close()
child.wait()
print("gone", flush=True)
sys.stdin.read()
"""


def test_cpu_counters_come_from_the_kernel_count_children_and_never_run_backwards() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            meter = Meter(process.pid)
            readings = [meter.read_ns()]
            assert process.stdout.readline() == "burnt\n"
            readings.append(meter.read_ns())
            alone = cpu_ns(process.pid)
            assert alone is not None
            assert readings[-1] >= alone + 50_000_000
            assert schedstat_ns(process.pid) <= meter.read_ns()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "gone\n"
            readings.append(meter.read_ns())
            assert readings == sorted(readings)
        finally:
            process.kill()


class Halting(Connection):
    """Streams one event, then holds the second until the test lets it go."""

    go: asyncio.Event

    def call(self, ask: Ask, revision: str) -> None:
        self.write(STREAM_HEAD + event(b'{"method":"first"}'))
        self.later = asyncio.get_running_loop().create_task(self._rest(ask))

    async def _rest(self, ask: Ask) -> None:
        await Halting.go.wait()
        self.write(event(self.message(ask, b"{}")) + b"0\r\n\r\n")


class Watcher:
    """Lets the second event go when the first has come."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ended = asyncio.get_running_loop().create_future()

    def message(self, data: bytes) -> None:
        self.messages.append(data)
        Halting.go.set()

    def complete(self, status: int) -> None:
        self.ended.set_result(status)

    def lost(self) -> None:
        self.ended.set_exception(HarnessError("lost"))


@asynccontextmanager
async def passing(port: int) -> AsyncIterator[Child]:
    """The pass-through in front of this process's backend."""
    child = Child(PASSTHROUGH_COMMAND, url=f"http://127.0.0.1:{port}/{NEWEST}/mcp")
    try:
        await child.ready()
        yield child
    finally:
        child.end()


async def test_the_pass_through_hands_on_an_event_before_the_next_one_exists() -> None:
    Halting.go = asyncio.Event()
    async with serving(Halting) as (_, port), passing(port) as child, opened(child.port, "/mcp") as session:
        watcher = Watcher()
        session.connection.reader = watcher
        session.connection.send(session.post(Echo("echo").body(1, "m")))
        assert await asyncio.wait_for(watcher.ended, WAIT) == 200
        assert watcher.messages[0] == b'{"method":"first"}'
        assert len(watcher.messages) == 2


async def test_the_pass_through_changes_no_byte_and_makes_one_request_per_call() -> None:
    async with (
        serving() as (server, port),
        opened(port, f"/{NEWEST}/mcp") as direct,
        passing(port) as child,
        opened(child.port, "/mcp") as through,
    ):
        before = server.stats.requests
        for workload in (Echo("echo"), Echo("echo_sse"), Measure(), ToolList()):
            body = workload.body(1, "m")
            assert await through.ask(body) == await direct.ask(body)
        assert server.stats.requests - before == 8
        held = await through.hold()
        assert server.stats.open_streams == 1
        held.close()


async def test_a_command_that_ends_at_once_is_reported_with_its_output() -> None:
    child = Child("{python} -c 'print(\"no such luck\")'")
    with pytest.raises(HarnessError, match="no such luck"):
        await child.ready()


async def test_a_handshake_with_nobody_is_a_harness_error() -> None:
    async with serving() as (_, port):
        connection = await connect(port)
        connection.close()
    with pytest.raises(HarnessError):
        await Session(port, "/nowhere", NEWEST, {}).open()


def windows(*cpu: int) -> list[Window]:
    return [Window(calls=10, cpu_ns=value, requests=10, seconds=1.0) for value in cpu]


def test_a_row_takes_the_median_of_the_rounds_ratios() -> None:
    results = Results(windows={ROW.load: {BROKER: windows(50, 75, 100), BASE: windows(100, 100, 100)}})
    line = row_line(ROW, results)
    assert line.ratio == [0.75, 0.5, 1.0]
    assert line.verdict == "pass"
    assert ratios([None, 1.0], [2.0, 2.0]) == [0.5, 0.5, 0.5]


def test_a_row_with_wrong_answers_or_no_figure_never_passes_its_gate() -> None:
    good = {ROW.load: {BROKER: windows(10), BASE: windows(100)}}
    assert row_line(ROW, Results(windows=good)).verdict == "target"
    assert row_line(ROW, Results(windows=good, notes={ROW.load: ["wrong"]})).verdict == "FAIL"
    assert row_line(ROW, Results()).verdict == "FAIL"


@pytest.mark.parametrize(("value", "verdict"), [(0.5, "target"), (0.7, "pass"), (0.76, "FAIL")])
def test_verdicts_follow_gate_and_target(value: float, verdict: str) -> None:
    assert judge(value, ROW) == verdict


def test_more_is_better_turns_the_comparison_round() -> None:
    rate = next(row for row in ROWS if row.name == "rate-64")
    assert [judge(value, rate, rate.figure.better) for value in (2.1, 1.6, 1.4)] == [
        "target",
        "pass",
        "beyond",
    ]


@pytest.mark.parametrize("requests", [9, 11])
def test_backend_requests_per_call_must_be_exactly_one_in_every_window(requests: int) -> None:
    exact = Window(calls=10, requests=10)
    off = Window(calls=10, requests=requests)
    assert limit_line(REQUESTS, Results(windows={"a": {BROKER: [exact]}})).verdict == "target"
    assert limit_line(REQUESTS, Results(windows={"a": {BROKER: [exact, off]}})).verdict == "FAIL"
    fresh = Window(calls=10, requests=10, connections=1)
    assert limit_line(CONNECTIONS, Results(windows={"a": {BROKER: [exact, fresh]}})).verdict == "FAIL"


def test_a_front_that_does_not_negotiate_the_clients_revision_fails_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    short = ["--rows", "cpu-older", "--rounds", "1", "--seconds", "0.1"]
    assert main([*short, "--broker-command", PASSTHROUGH_COMMAND]) == 1
    assert "negotiated 2025-11-25 with a 2024-11-05 client" in capsys.readouterr().out


def test_an_unknown_row_is_refused() -> None:
    assert main(["--rows", "no-such-row"]) == 2
