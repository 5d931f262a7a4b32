"""Counters are exact, lines are bounded, and no text of a peer can forge or steer a line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from broker import telemetry
from translators.loss import Loss


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A fresh log in JSON; the module's state is put back afterwards."""
    before, telemetry._state = telemetry._state, telemetry._State()
    telemetry.counts.clear()
    telemetry.losses.clear()
    stream = io.StringIO()
    telemetry.configure("json", "debug", stream)
    yield stream
    telemetry._state = before
    telemetry.counts.clear()
    telemetry.losses.clear()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_flood_of_one_event_costs_few_lines_and_is_counted_exactly(stream: io.StringIO) -> None:
    for _ in range(10_000):
        telemetry.note("failed", backend="a", method="tools/call", reason="closed")
    assert len(lines(stream)) == telemetry.FIRST_LINES
    assert telemetry.counts["failed", "a", "tools/call", "closed"] == 10_000
    telemetry.flush()
    assert lines(stream)[-1] | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "failed",
        "reason": "closed",
        "seen": 10_000,
        "not_written": 10_000 - telemetry.FIRST_LINES,
    }


def test_one_event_does_not_silence_another(stream: io.StringIO) -> None:
    for _ in range(100):
        telemetry.note("failed", backend="a", reason="closed")
    telemetry.note("failed", backend="b", reason="closed")
    assert lines(stream)[-1]["backend"] == "b"


def test_losses_are_counted_by_pair_method_path_change_and_loss(stream: io.StringIO) -> None:
    for _ in range(3):
        telemetry.note_loss(
            backend="a", pair="x/y", method="tools/call", path="content[]", change="audio", loss=Loss.DEGRADED
        )
    assert telemetry.losses["x/y", "tools/call", "content[]", "audio", "DEGRADED"] == 3
    assert telemetry.snapshot()["losses"][0]["count"] == 3
    assert lines(stream)[0]["loss"] == "DEGRADED"


def test_every_refused_input_is_audited_until_a_flood_and_counted_in_one(stream: io.StringIO) -> None:
    for _ in range(telemetry.AUDIT_BURST * 10):
        telemetry.audit("refused", reason="origin", peer="192.0.2.1")
    written = [line for line in lines(stream) if line["event"] == "refused"]
    assert telemetry.AUDIT_BURST <= len(written) < telemetry.AUDIT_BURST * 2
    assert all(line["audit"] is True for line in written)
    telemetry.flush()
    total = sum(line.get("not_written", 1) for line in lines(stream))
    assert total == telemetry.counts["refused", "", "", "origin"] == telemetry.AUDIT_BURST * 10


@pytest.mark.parametrize("text", ["a\n{}", "\x1b[2J", "\u202egnp", "\x00", "\u2028", "\udcff"])
def test_text_of_a_peer_stays_one_harmless_value(stream: io.StringIO, text: str) -> None:
    telemetry.log("info", "said", text=text)
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().isascii()
    assert lines(stream)[0]["text"] == text.encode("unicode_escape").decode()


def test_long_text_is_cut_and_its_length_said(stream: io.StringIO) -> None:
    telemetry.log("info", "said", text="a" * 10_000)
    assert lines(stream)[0]["text"] == "a" * telemetry.LONGEST_VALUE + "... (10000 characters)"


def test_pretty_lines_hold_no_control_characters_either(stream: io.StringIO) -> None:
    telemetry.configure("pretty", "debug", stream)
    telemetry.log("info", "said", text="\x1b[2J\rfake")
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_levels_below_the_chosen_one_are_not_written(stream: io.StringIO) -> None:
    telemetry.configure("json", "error", stream)
    telemetry.log("warning", "quiet")
    telemetry.announce("ready")
    assert [line["event"] for line in lines(stream)] == ["ready"]


def test_a_closed_log_ends_nothing(stream: io.StringIO) -> None:
    stream.close()
    telemetry.log("error", "lost")
    assert telemetry.counts["log-failed", "", "", ""] == 1


def test_distinct_events_are_bounded(stream: io.StringIO) -> None:
    for number in range(telemetry.MAX_KEYS * 2):
        telemetry.note("failed", reason=f"r{number}")
    assert len(telemetry._state.rates) <= telemetry.MAX_KEYS + 1


def test_lines_for_machines_need_no_console_renderer() -> None:
    said = (
        "import sys; from broker import telemetry; telemetry.configure('auto', 'info'); "
        "telemetry.log('info', 'serving'); sys.exit(bool({'structlog', 'rich'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, timeout=30, check=True)
    assert json.loads(ran.stderr)["event"] == "serving"
