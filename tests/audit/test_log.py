"""The audit log when a sink fails: nothing is lost unsaid, and nothing that changes something is let through."""

from __future__ import annotations

import pytest

from broker.audit.admitting import UNAVAILABLE
from broker.audit.floods import BURST, PER_S
from broker.audit.sinks import KEPT_BYTES, RETRY_S
from broker.audit.trail import Trail
from tests.audit.lines import ALICE, Clocks, Memory, admitted, call, events


def admit(trail: Trail, number: int, method: str = "tools/call") -> bool:
    """One call, as far as its admission."""
    trail.begin(number, method, number, call(method))
    return admitted(trail, number, call(method), ALICE)


@pytest.mark.parametrize(
    ("on_failure", "acts", "reads"),
    [("deny-acts", False, True), ("deny-all", False, False), ("allow", True, True)],
)
def test_a_failing_sink_stops_what_acts_or_everything_or_nothing(on_failure: str, acts: bool, reads: bool) -> None:
    sink = Memory()
    log = Clocks().log(sink, on_failure=on_failure)
    trail = Trail(log, "files")
    sink.broken = True
    log.write("degraded")
    log.flush()
    for number, method in enumerate(("tools/call", "tools/list", "prompts/get", "x/vendor", "tasks/cancel")):
        allowed = reads if method in ("tools/list", "prompts/get") else acts
        assert admit(trail, number, method) is allowed, method


def test_the_call_whose_own_line_could_not_be_written_is_refused_and_closed() -> None:
    sink, clocks = Memory(), Clocks()
    log = clocks.log(sink)
    trail = Trail(log, "files")
    sink.broken = True
    assert not admit(trail, 1)
    trail.end(1, "error", ALICE)
    assert not admit(trail, 2)
    trail.end(2, "error", ALICE)
    sink.broken = False
    clocks.now += RETRY_S
    assert admit(trail, 3)
    log.close()
    first, ended, denied, third, _ = sink.lines
    assert events(sink.lines) == ["admitted", "outcome", "denied", "admitted", "stopped"]
    assert first["metadata"]["correlation_uid"] == ended["metadata"]["correlation_uid"]
    assert (ended["status_detail"], ended["unmapped"]["executed"], ended["action_id"]) == (UNAVAILABLE, "no", 2)
    assert denied["status_detail"] == UNAVAILABLE
    assert third["metadata"]["sequence"] == 4


def test_a_sink_that_failed_is_left_alone_for_a_moment() -> None:
    sink, clocks = Memory(), Clocks()
    log = clocks.log(sink)
    trail = Trail(log, "files")
    sink.broken = True
    assert not admit(trail, 1)
    sink.broken = False
    assert not admit(trail, 2)
    clocks.now += RETRY_S
    assert admit(trail, 3)


def test_what_does_not_fit_while_a_sink_fails_is_counted_in_a_gap() -> None:
    good, bad, clocks = Memory(), Memory(), Clocks()
    log = clocks.log(bad, good)
    bad.broken = True
    many = KEPT_BYTES // 500
    for _ in range(many):
        log.write("degraded", method="x")
        log.flush()
    bad.broken = False
    clocks.now += RETRY_S
    log.flush()
    log.close()
    assert len(good.lines) == many + 2
    gap = bad.lines[-2]
    assert events([gap]) == ["gap"]
    before = bad.lines[-3]
    missing = many - (len(bad.lines) - 2)
    assert missing > 0
    assert gap["unmapped"]["count"] == missing
    assert (gap["unmapped"]["sink"], gap["unmapped"]["after"]) == ("memory", before["unmapped"]["hash"])
    assert gap["metadata"]["sequence"] == before["metadata"]["sequence"] + missing + 1


def test_of_a_flood_of_refusals_the_first_are_written_and_the_rest_is_counted_exactly() -> None:
    sink, clocks = Memory(), Clocks()
    log = clocks.log(sink)
    for _ in range(BURST + 7):
        log.refused("origin", server="files")
    clocks.now += 3.5 / PER_S
    log.refused("origin", server="files")
    log.refused("host")
    log.refused("host")
    log.close()
    said = events(sink.lines)
    assert said.count("denied") == BURST + 2
    counts = [(line["status_detail"], line["unmapped"]["count"]) for line in sink.lines if "count" in line["unmapped"]]
    assert counts == [("origin", 7), ("host", 1)]


def test_a_flood_for_many_reasons_makes_no_more_lines_than_one_for_a_single_reason() -> None:
    sink, clocks = Memory(), Clocks()
    log = clocks.log(sink)
    for _ in range(200):
        clocks.now += 1 / PER_S
        for number in range(20):
            log.dropped(f"reason-{number}", server="files", method="x")
    log.flush()
    assert len(sink.lines) <= BURST + 200 + 20
    log.close()
    told = sum(line["unmapped"]["count"] for line in sink.lines if events([line]) == ["suppressed"])
    assert told + events(sink.lines).count("dropped") == 4_000


def test_a_wall_clock_that_steps_back_changes_no_order() -> None:
    sink, clocks = Memory(), Clocks()
    log = clocks.log(sink)
    log.start()
    clocks.wall -= 3600
    clocks.now += 1
    log.close()
    first, last = sink.lines
    assert first["time"] - last["time"] == 3_600_000
    assert (first["metadata"]["sequence"], last["metadata"]["sequence"]) == (1, 2)
    assert last["unmapped"]["clock_us"] == 1_000_000


def test_nothing_is_written_after_the_end() -> None:
    sink = Memory()
    log = Clocks().log(sink)
    log.close()
    log.close()
    log.refused("origin")
    log.flush()
    assert events(sink.lines) == ["stopped"]
    assert sink.closed
