"""Reading the published suite's output: scenarios, their checks, its list, and what counts as lost."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.official_results import Pushed, Scenario, best, lost, read, score, server_scenarios, why

LISTING = """Required for 2025-11-25 (3 scenarios, frozen; run at the 2025-11-25 wire):

Server scenarios (test against a server):
  - server-initialize
  - tools-call-audio [2025-03-26,2025-06-18]

Client scenarios (test against a client):
  - sse-retry

Run and reported, but never scored:
  added-after-release (1):
    - server-sse-polling [server]
"""


def _write(folder: Path, name: str, *checks: tuple[str, str]) -> None:
    target = folder / name
    target.mkdir()
    rows = [{"id": key, "status": status, "errorMessage": "why"} for key, status in checks]
    (target / "checks.json").write_text(json.dumps(rows), encoding="utf-8")


def test_a_scenario_passes_with_a_success_and_no_failure(tmp_path: Path) -> None:
    _write(tmp_path, "server-ping-2026-01-02T03-04-05-678Z", ("ping", "SUCCESS"), ("odd", "WARNING"))
    _write(tmp_path, "server-tools-list-2026-01-02T03-04-05-679Z", ("a", "SUCCESS"), ("b", "FAILURE"))
    _write(tmp_path, "server-prompts-list-2026-01-02T03-04-05-680Z", ("a", "WARNING"), ("b", "SKIPPED"))
    found = read(tmp_path)
    assert {name: scenario.passed for name, scenario in found.items()} == {
        "ping": True,
        "tools-list": False,
        "prompts-list": False,
    }
    assert found["tools-list"].failures == ("b: why",)


def test_a_scenario_that_broke_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "server-elicitation-sep1034-defaults-2026-01-02T03-04-05-678Z").mkdir()
    found = read(tmp_path)
    assert list(found) == ["elicitation-sep1034-defaults"]
    assert not found["elicitation-sep1034-defaults"].passed


def test_names_that_begin_with_server_keep_it(tmp_path: Path) -> None:
    _write(tmp_path, "server-server-initialize-2026-01-02T03-04-05-678Z", ("x", "SUCCESS"))
    assert list(read(tmp_path)) == ["server-initialize"]


def test_a_folder_that_is_not_there_has_no_scenarios(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == {}


def test_the_suites_list_gives_its_server_scenarios_alone() -> None:
    assert server_scenarios(LISTING) == ("server-initialize", "tools-call-audio")


def test_a_scenario_that_never_ran_counts_as_missed() -> None:
    scenarios = {"ping": Scenario("ping", 1, ())}
    assert score(scenarios, ("ping", "tools-list")) == (1, ["tools-list"])


def test_lost_is_what_passes_directly_and_not_through_the_broker() -> None:
    passing, failing = Scenario("x", 2, ()), Scenario("x", 1, ("no",))
    direct = {"kept": passing, "lost": passing, "gone": passing, "never": failing}
    through = {"kept": passing, "lost": failing, "never": passing}
    assert lost(direct, through) == ["lost", "gone"]


PASSING, FAILING = Scenario("x", 2, ()), Scenario("x", 1, ("no",))


def _pushed(plain: dict[str, Scenario], keyed: dict[str, Scenario], own: dict[str, Scenario]) -> Pushed:
    return Pushed(("asks", "wants-a-key", "lists"), plain, keyed, own)


def test_the_scenario_that_wants_a_key_may_fail_without_one_alone() -> None:
    every = {"asks": PASSING, "wants-a-key": PASSING, "lists": PASSING}
    runs = _pushed({**every, "wants-a-key": FAILING}, every, {"lists": PASSING, "other": PASSING})
    assert runs.text == "2/3, with keys 3/3, lost 0 of its own"
    assert runs.bad(("wants-a-key",)) == ()
    assert runs.bad(()) == ("wants-a-key: no",)


def test_what_fails_with_keys_or_is_lost_counts_against_the_broker() -> None:
    every = {"asks": PASSING, "wants-a-key": PASSING, "lists": PASSING}
    keyed = _pushed(every, {**every, "wants-a-key": FAILING}, {"lists": PASSING})
    assert keyed.bad(("wants-a-key",)) == ("with keys: wants-a-key: no",)
    gone = _pushed({**every, "wants-a-key": FAILING}, every, {"wants-a-key": PASSING})
    assert gone.lost == ["wants-a-key"]
    assert gone.bad(("wants-a-key",)) == ("wants-a-key: no",)


def test_a_server_that_shows_its_own_clients_nothing_proves_nothing() -> None:
    every = {"asks": PASSING, "wants-a-key": PASSING, "lists": PASSING}
    assert len(_pushed(every, every, {}).bad(())) == 1


def test_a_scenario_that_did_not_run_is_told_apart_from_one_that_failed() -> None:
    assert why({}, "asks") == "asks: did not run"
    assert why({"asks": FAILING}, "asks") == "asks: no"
    assert why({"asks": Scenario("asks", 0, ())}, "asks") == "asks: no check succeeded"


def test_what_passes_in_any_run_counts_as_passing() -> None:
    good, bad, worse = Scenario("a", 1, ()), Scenario("a", 1, ("x",)), Scenario("a", 0, ("y",))
    assert best([{"a": good, "b": bad}, {"a": bad, "b": worse, "c": bad}]) == {"a": good, "b": worse, "c": bad}
    assert best([{"a": bad}, {"a": good}]) == {"a": good}
    assert best([]) == {}
