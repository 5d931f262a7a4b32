"""The page itself: what it lists, that it is bounded, and who may read it; and that nothing is measured unasked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as _open_metrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from broker import telemetry
from broker.app import FACES, SERVERS
from broker.edge import EdgeSettings
from broker.metering import series
from broker.metering.catalogue import CALLS, EVENT_GAP, METRICS
from broker.metering.exposition import Exposition
from broker.metering.labels import Words, code_of, method_of, revision_of, slug_of
from broker.metering.meter import Meter
from broker.metering.series import Counted, Histogram, folded
from broker.servers import Servers
from broker.settings import Settings
from broker.status import Status
from tests.broker.scripted_backend import World, world
from tests.metering.page import only, page

open_metrics: Any = _open_metrics

ROOT = Path(__file__).parents[2]
DOOR = EdgeSettings.at("127.0.0.1", 8809, Settings.for_proxy("http://127.0.0.1:1/mcp"))


async def test_every_metric_of_the_table_is_on_the_page_and_no_other() -> None:
    async with world() as here:
        faces = here.broker.app[FACES]
        text, _ = Exposition(lambda: faces, lambda: True, 0.0, Meter()).text("")
    families = {family.name: family for family in parsed(text.decode())}
    assert set(families) == {metric.name.removesuffix("_total") for metric in METRICS}
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.documentation == metric.text
        assert family.type == ("gauge" if metric.kind == "info" else metric.kind)


async def test_what_the_log_counts_is_on_the_page_though_no_call_is_measured() -> None:
    async with world() as here:
        telemetry.note("violation", backend="default", method="tools/call", reason="a-test-of-the-page")
        telemetry.note("violation", backend="default", method="made/up", reason="a-test-of-the-page")
        pair = "2024-11-05/2026-07-28"
        telemetry.loss(backend="default", pair=pair, method="tools/list", path="p", change="c", loss="degraded")
        found = page(here, None)
    notes = found["dragoman_notes_total"]
    assert only(notes, kind="violation", method="tools/call", reason="a-test-of-the-page") >= 1
    assert only(notes, kind="violation", method="other", reason="a-test-of-the-page") >= 1
    assert only(found["dragoman_losses_total"], pair=pair, method="tools/list", path="p", loss="degraded") >= 1
    assert only(found["dragoman_accepting"]) == 1
    assert not found[CALLS.name]


async def fetched(status: Status, **headers: str) -> tuple[int, str, str]:
    runner = web.AppRunner(status.app(DOOR), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
            async with session.get(url, headers={"Host": "127.0.0.1:8809", **headers}) as answer:
                return answer.status, answer.headers["Content-Type"], await answer.text()
    finally:
        await runner.cleanup()


def status_of(here: World) -> Status:
    faces = here.broker.app[FACES]
    return Status(lambda: faces, lambda: True, Meter())


async def test_the_status_port_serves_the_page_in_both_formats() -> None:
    async with world() as here:
        status, kind, text = await fetched(status_of(here))
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert "dragoman_build_info{" in text
        status, kind, text = await fetched(status_of(here), Accept="application/openmetrics-text; version=1.0.0")
        assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
        assert any(family.name == "dragoman_calls" for family in open_metrics(text))


async def test_pages_of_other_hosts_do_not_read_it() -> None:
    async with world() as here:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert (await fetched(status_of(here), **headers))[0] in (403, 421)


def test_a_family_has_so_many_series_and_the_rest_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MAX_SERIES", 3)
    counted, histogram = Counted(CALLS), Histogram(EVENT_GAP)
    width = len(EVENT_GAP.labels)
    for number in range(10):
        counted.add((str(number),) * 6)
        counted.add(("0",) * 6)
        histogram.observe((str(number),) * width, 0.5)
    assert counted.values == {("0",) * 6: 11, ("1",) * 6: 1, ("2",) * 6: 1, ("other",) * 6: 7}
    assert counted.folded == 7
    assert sum(sum(each.counts) for each in histogram.series.values()) == 10
    assert len(histogram.series) == 4
    assert folded(((("a", str(number)), 2) for number in range(5)), 2) == (
        {("a", "0"): 2, ("a", "1"): 2, ("a", "2"): 2, ("other", "other"): 4},
        2,
    )


def test_a_duration_at_a_bound_is_counted_below_it_as_prometheus_does() -> None:
    histogram = Histogram(EVENT_GAP)
    labels = ("",) * len(EVENT_GAP.labels)
    for seconds in (0.001, 0.0011, 1e9):
        histogram.observe(labels, seconds)
    counts = histogram.series[labels].counts
    assert (counts[0], counts[1], counts[-1]) == (1, 1, 1)


def test_labels_name_what_is_known_and_nothing_else() -> None:
    assert [method_of(text) for text in ("tools/call", "tools/cal", "")] == ["tools/call", "other", ""]
    assert [revision_of(text) for text in ("2025-06-18", "2025-06-19")] == ["2025-06-18", ""]
    assert [code_of(code) for code in (None, -32602, 7)] == ["", "-32602", "other"]
    assert [slug_of(text) for text in ("backend-closed", "a b", 'x"y', "a" * 99)] == ["backend-closed", *["other"] * 3]
    words = Words(2)
    assert [words(text) for text in "abcab"] == ["a", "b", "other", "a", "b"]


def test_methods_that_peers_make_up_do_not_fill_the_counts_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MAX_COUNTS", len(telemetry.counts) + 5)
    for number in range(100):
        telemetry.note("a-flood", backend="flooded", method=f"made/up-{number}", reason="r")
    flooded = {key: count for key, count in telemetry.counts.items() if key[0] == "a-flood"}
    assert sum(flooded.values()) == 100
    assert len(flooded) == 6


def loaded(status: str) -> list[str]:
    """Which parts of the measuring are loaded by a broker with this status port."""
    code = (
        "import asyncio, sys\n"
        "from broker.app import SERVERS, create_app\n"
        "from broker.settings import Settings\n"
        "async def main():\n"
        f"    app = create_app(Settings.for_proxy('http://127.0.0.1:1/mcp', status={status}), port=1)\n"
        "    app.freeze()\n"
        "    await app[SERVERS].close()\n"
        "asyncio.run(main())\n"
        "print(*(name for name in sys.modules if name.startswith(('broker.meter', 'opentel', 'prometheus'))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_nothing_of_it_is_loaded_while_it_is_off() -> None:
    assert loaded("{}") == ["broker.metering", "broker.metering.wanted"]  # whether it is on
    found = loaded("{'port': 0}")
    assert "broker.metering.calls" in found
    assert not [name for name in found if name.startswith(("opentel", "prometheus"))]


async def test_a_server_is_measured_only_if_somebody_reads_it() -> None:
    asked: Any = (({}, False), ({"status": {"port": 0}}, True))
    for settings, measured in asked:
        async with world(**settings) as here:
            assert (here.context.watch.audit is not None) == measured
            assert (here.broker.app[SERVERS].meter is not None) == measured
    off: Any = {"status": {"port": 0}, "telemetry": {"metrics": False}}
    async with world(**off) as here:
        assert here.context.watch.audit is None


def test_a_command_says_how_many_of_it_run() -> None:
    settings = Settings.for_proxy((sys.executable, "-c", "pass"), port=0)
    servers = Servers(settings, port=1, tap=None)
    text, _ = Exposition(lambda: servers.faces, lambda: False, 0.0, None).text("")
    samples = {sample.name: sample.value for family in parsed(text.decode()) for sample in family.samples}
    assert samples["dragoman_server_processes"] == 0
    assert samples["dragoman_accepting"] == 0
    assert "dragoman_pool_connections" not in samples
