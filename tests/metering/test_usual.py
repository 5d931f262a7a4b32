"""Calls that wait to be counted together: none is missing, whoever reads, and whatever is forgotten meanwhile."""

from __future__ import annotations

import msgspec
import pytest

from broker.metering import usual
from broker.metering.meter import Meter
from broker.metering.quiet import QuietLog
from broker.metering.trail import MeteredTrail
from protocol_versions.jsonrpc import Frame
from tests.audit.lines import ALICE, admitted, call
from translators.reply import broken

BOB = msgspec.structs.replace(ALICE, backend_revision="2025-11-25")


def edge(meter: Meter) -> MeteredTrail:
    return meter.server("files", "http://files.test/mcp").trail(QuietLog())


def sent(trail: MeteredTrail, number: int, method: str) -> None:
    trail.begin(number, method, number, call(method))
    assert admitted(trail, number, call(method), BOB)


def answered(trail: MeteredTrail, number: int) -> None:
    frame = Frame(id=number, result={})
    trail.arrived(number, frame)
    trail.heard(number, frame, peer=True)
    trail.end(number, "ok")


def failed(trail: MeteredTrail, number: int) -> None:
    trail.heard(number, broken(number, "backend-closed"), peer=False)
    trail.end(number, "failed")


def counts(meter: Meter) -> tuple[dict[str, int], dict[str, int]]:
    """Calls and requests by method."""
    found: list[dict[str, int]] = []
    for family in meter.counters:
        methods: dict[str, int] = {}
        for labels, count in family.values.items():
            methods[labels[1]] = methods.get(labels[1], 0) + count
        found.append(methods)
    return found[0], found[1]


def test_a_call_whose_kind_is_forgotten_while_it_is_open_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual, "MAX_KINDS", 2)
    meter = Meter()
    trail = edge(meter)
    methods = ("tools/call", "tools/list", "prompts/get", "prompts/list", "resources/read")
    for number, method in enumerate(methods):
        sent(trail, number, method)
    for number, _ in enumerate(methods):
        answered(trail, number)
    assert counts(meter) == (dict.fromkeys(methods, 1),) * 2


def test_methods_that_peers_make_up_are_one_kind_whatever_their_length() -> None:
    meter = Meter()
    trail = edge(meter)
    for number in range(100):
        sent(trail, number, f"made/up/{number}")
        answered(trail, number)
    assert counts(meter) == ({"other": 100}, {"other": 100})
    assert len(trail._kinds._known) == 1


def test_calls_of_a_server_that_another_has_replaced_are_counted_however_they_end() -> None:
    meter = Meter()
    before = edge(meter)
    sent(before, 1, "tools/call")
    edge(meter)
    answered(before, 1)
    sent(before, 2, "tools/list")
    failed(before, 2)
    sent(before, 3, "prompts/get")
    answered(before, 3)
    assert counts(meter) == ({"tools/call": 1, "tools/list": 1, "prompts/get": 1},) * 2


def test_a_call_that_fails_is_counted_as_a_request_before_others_of_its_kind_are_over() -> None:
    meter = Meter()
    trail = edge(meter)
    sent(trail, 1, "tools/call")
    failed(trail, 1)
    sent(trail, 2, "tools/call")
    assert counts(meter) == ({"tools/call": 1}, {"tools/call": 2})
