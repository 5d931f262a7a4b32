"""Spans of calls in both eras, one for each leg, in the trace of the client and passed on to the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from broker.metering.meter import Meter, meter_of, place_of
from broker.metering.otel import Otel
from broker.metering.wanted import exporters, wanted
from tests.audit.test_calls import ERAS, HIDDEN, INPUTS, Audited, Era, called, entered, opened
from tests.broker.crossing_world import Rounds, crossing, greeted
from tests.broker.modern_world import REVISION, ask, envelope
from tests.broker.pipe_world import SERVER
from tests.broker.scripted_backend import Asked, Json, World, world

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
TOLD: Json = {"traceparent": PARENT, "tracestate": "vendor=1", "baggage": "user=a"}


@pytest.fixture(params=list(ERAS.values()), ids=list(ERAS))
def era(request: pytest.FixtureRequest) -> Era:
    return request.param  # type: ignore[no-any-return]


class Traced(Audited):
    """A world whose spans and metrics stay in memory."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        traces = TracerProvider(shutdown_on_exit=False)
        traces.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reader = InMemoryMetricReader()
        self.otel = Otel(traces, MeterProvider([self.reader], shutdown_on_exit=False))
        self.meter = Meter(tracer=self.otel)
        self.otel.measure(self.meter)
        self.settings: Json = {"meter": self.meter}

    def named(self, method: str, kind: SpanKind) -> list[ReadableSpan]:
        """The ended spans of a method."""
        found = self.spans.get_finished_spans()
        return [span for span in found if attributes(span)["mcp.method.name"] == method and span.kind is kind]

    def points(self) -> dict[str, list[Any]]:
        """What is exported, by the name of the metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        (scope,) = data.resource_metrics[0].scope_metrics
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}


@pytest.fixture
def traced() -> Traced:
    return Traced()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def hexed(span: ReadableSpan) -> tuple[str, str]:
    """Trace and span as `traceparent` has them."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


async def traced_call(here: World, era: Era, meta: Json, client_id: int | str = 7) -> Json:
    if era[1]:
        return (await ask(here.client, id=client_id, meta=envelope(**meta))).json  # type: ignore[no-any-return]
    message: Json = {"id": client_id, "method": "tools/call", "params": {"name": "x", "_meta": meta}}
    return (await here.client.post(message)).json  # type: ignore[no-any-return]


async def test_a_call_has_a_span_on_each_leg_in_the_clients_trace_and_the_server_is_told(
    era: Era, traced: Traced
) -> None:
    heard: list[Json] = []

    async def tool(asked: Asked) -> None:
        heard.append(asked.message["params"]["_meta"])
        await asked.result({"content": [], "isError": True, "resultType": "complete"})

    async with entered(era, traced) as here:
        here.backend.on("tools/call", tool)
        await opened(here, era)
        await traced_call(here, era, {**TOLD, "dev.example/other": 1})
        port = here.backend.port
    (server,) = traced.named("tools/call", SpanKind.SERVER)
    (client,) = traced.named("tools/call", SpanKind.CLIENT)
    assert (server.name, client.name) == ("tools/call x", "tools/call x")
    assert hexed(server)[0] == hexed(client)[0] == TRACE
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    assert client.parent is not None
    assert f"{client.parent.span_id:016x}" == hexed(server)[1]
    (meta,) = heard
    assert meta["traceparent"] == f"00-{TRACE}-{hexed(client)[1]}-01"
    assert (meta["tracestate"], meta["baggage"], meta["dev.example/other"]) == ("vendor=1", "user=a", 1)
    theirs = REVISION if era[1] else "2025-11-25"
    common = {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "x",
        "gen_ai.operation.name": "execute_tool",
        "dragoman.server": "default",
        "error.type": "tool_error",
        "network.transport": "tcp",
    }
    assert attributes(server) == common | {
        "jsonrpc.request.id": "7",
        "mcp.protocol.version": theirs,
        "dragoman.server.protocol_version": era[2],
        "dragoman.translation.lossy": attributes(server)["dragoman.translation.lossy"],
    }
    sent = attributes(client)
    assert sent.pop("jsonrpc.request.id")
    assert sent == common | {
        "mcp.protocol.version": era[2],
        "dragoman.client.protocol_version": theirs,
        "network.protocol.name": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
    }


async def test_a_client_that_says_nothing_or_nonsense_of_its_trace_begins_a_new_one(era: Era, traced: Traced) -> None:
    heard: list[Json] = []

    async def tool(asked: Asked) -> None:
        heard.append(asked.message["params"]["_meta"])
        await asked.result({"content": [], "resultType": "complete"})

    nonsense: list[Json] = [{}, {"traceparent": "00-zz", "tracestate": "a=b"}, {"traceparent": 7, "baggage": ["x"]}]
    nonsense.append({"traceparent": "x" * 9_000})
    async with entered(era, traced) as here:
        here.backend.on("tools/call", tool)
        await opened(here, era)
        for number, meta in enumerate(nonsense):
            await traced_call(here, era, meta, number)
    spans = traced.named("tools/call", SpanKind.CLIENT)
    assert len({hexed(span)[0] for span in spans}) == len(nonsense)
    told = [meta["traceparent"].split("-")[1:3] for meta in heard]
    assert told == [list(hexed(span)) for span in spans]
    assert not any("tracestate" in meta or "baggage" in meta for meta in heard)


async def test_what_policy_refuses_has_no_span_towards_the_server(era: Era, traced: Traced) -> None:
    async with entered(era, traced, **HIDDEN) as here:
        await opened(here, era)
        await called(here, era)
    assert traced.named("tools/call", SpanKind.CLIENT) == []
    spans = traced.named("tools/call", SpanKind.SERVER)
    assert [attributes(span)["error.type"] for span in spans] == ["denied"]


async def test_each_round_of_questions_has_a_span_of_its_own(traced: Traced) -> None:
    async with crossing(**traced.settings) as here:
        here.backend.on("tools/call", Rounds({"input-1": {"method": "roots/list"}}))
        await greeted(here, capabilities=INPUTS)
        reply = await here.client.call(7)
        question = await reply.message()
        await here.client.post({"id": question["id"], "result": {"roots": []}})
        assert "result" in await reply.message()
    (server,) = traced.named("tools/call", SpanKind.SERVER)
    legs = traced.named("tools/call", SpanKind.CLIENT)
    assert len(legs) == 2
    assert {f"{leg.parent.span_id:016x}" for leg in legs if leg.parent} == {hexed(server)[1]}
    first, second = sorted(legs, key=lambda leg: leg.start_time or 0)
    assert (first.end_time or 0) < (second.start_time or 0)


async def test_metrics_are_exported_under_the_names_of_the_conventions(era: Era, traced: Traced) -> None:
    async with entered(era, traced) as here:
        await opened(here, era)
        await called(here, era)
        points = traced.points()
    (point,) = [
        point
        for point in points["mcp.server.operation.duration"]
        if point.attributes["mcp.method.name"] == "tools/call"
    ]
    assert point.count == 1
    assert point.explicit_bounds[0] == 0.01
    assert point.attributes["dragoman.server.protocol_version"] == era[2]
    assert "mcp.client.operation.duration" in points
    calls = [each for each in points["dragoman.calls"] if each.attributes["dragoman.method"] == "tools/call"]
    assert [each.value for each in calls] == [1]


async def test_a_request_is_exported_while_it_is_open_and_after_it_has_failed(era: Era, traced: Traced) -> None:
    exported: list[int] = []

    def requests() -> int:
        points = traced.points()["dragoman.requests"]
        return sum(each.value for each in points if each.attributes["dragoman.method"] == "tools/call")

    async def tool(asked: Asked) -> None:
        exported.append(requests())
        await asked.json({"id": asked.id, "error": {"code": -32602, "message": "no"}})

    async with entered(era, traced) as here:
        here.backend.on("tools/call", tool)
        await opened(here, era)
        await called(here, era)
        exported.append(requests())
    assert exported == [1, 1]


def test_it_is_on_where_a_variable_says_where_to_or_by_what() -> None:
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert not wanted("auto", {})
    assert not wanted("auto", {"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_EXPORTER": "none"})
    assert wanted("auto", where)
    assert wanted("auto", {"OTEL_TRACES_EXPORTER": "console"})
    assert wanted("on", {})
    assert not wanted("off", where)
    assert not wanted("on", {**where, "OTEL_SDK_DISABLED": "TRUE"})
    assert exporters("A", {}) == ("otlp",)
    assert exporters("A", {"A": "otlp, console"}) == ("otlp", "console")
    assert exporters("A", {"A": "none"}) == ()


def test_an_exporter_nobody_knows_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ValueError, match="zipkin"):
        meter_of(metrics=False, environ={"OTEL_TRACES_EXPORTER": "zipkin"})


def test_a_server_is_named_by_host_and_port_alone() -> None:
    assert place_of("stdio:server --token secret") == {"network.transport": "pipe"}
    assert place_of("https://user@example.com/mcp?token=secret") == {
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "server.address": "example.com",
        "server.port": 443,
    }


class Collector(BaseHTTPRequestHandler):
    """Takes what an exporter sends."""

    taken: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_parts: Any) -> None:
        """Nothing."""


@contextmanager
def collecting() -> Iterator[tuple[dict[str, str], list[tuple[str, bytes]]]]:
    """A collector: the variables that lead to it, and what it was sent."""
    taken: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Collector,), {"taken": taken}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
    }
    try:
        yield variables, taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check(taken: list[tuple[str, bytes]], *more: bytes) -> None:
    """Traces and metrics came, of this resource, with these texts in spans."""
    assert {path for path, _ in taken} == {"/v1/traces", "/v1/metrics"}
    sent = b"".join(body for path, body in taken if path == "/v1/traces")
    for text in (b"service.name", b"dragoman", b"deployment.environment.name", b"tools/call", *more):
        assert text in sent


async def test_what_the_variables_ask_for_reaches_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as (variables, taken):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        async with world() as here:  # nothing is configured but the variables
            await here.client.open()
            await here.client.call()
    check(taken, b"2025-11-25")


def test_a_broker_on_a_pipe_exports_as_well_and_keeps_its_output_for_the_client() -> None:
    lines: list[Json] = [
        {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "echo", "arguments": {}}},
    ]
    lines[0]["params"]["clientInfo"] = {"name": "raw", "version": "1"}
    command = [sys.executable, "-m", "broker", "stdio", "--", sys.executable, SERVER]
    with collecting() as (variables, taken):
        environment = {**os.environ, **variables}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            said: list[Json] = []
            for line in lines:
                process.stdin.write(json.dumps({"jsonrpc": "2.0", **line}).encode() + b"\n")
                process.stdin.flush()
                if "id" in line:
                    said.append(json.loads(process.stdout.readline()))
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert [message["id"] for message in said] == [1, 2], errors
    assert (output, process.returncode) == (b"", 0), errors
    check(taken, b"pipe", b"2025-06-18")
