"""Comparisons of what clients of 2026-07-28 see: each passes what is right and names what is not."""

from __future__ import annotations

import pytest

from conformance import comparisons_modern as modern
from conformance.comparisons import Compare, Reference
from conformance.comparisons_asks import form_refused
from conformance.expectations import expect
from conformance.lines import Line
from conformance.revisions import REVISIONS, STATELESS

PAGE = {"mode": "url", "url": "https://example.com/visit", "message": "Please visit"}
FORM = {"message": "who?", "requestedSchema": {"type": "object"}}


def _refused(code: int) -> Line:
    return Line("resources.read.missing", "refused", {}, code)


@pytest.mark.parametrize(("code", "right"), [(-32602, True), (-32002, False), (-32603, False)])
def test_a_missing_resource_has_the_code_of_the_clients_revision(code: int, right: bool) -> None:
    against = Reference(_refused(-32002), None, STATELESS)
    assert (modern.missing_resource(_refused(code), against) is None) is right


def test_a_server_with_a_code_of_its_own_keeps_it() -> None:
    against = Reference(_refused(-32000), None, STATELESS)
    assert modern.missing_resource(_refused(-32000), against) is None
    assert modern.missing_resource(_refused(-32602), against)


def test_a_page_to_visit_comes_without_the_id_of_a_session() -> None:
    direct = Line("elicitation.url", "ok", {"texts": ["accept"], "asked": {**PAGE, "elicitationId": "e1"}})
    against = Reference(direct, None, STATELESS)

    def judged(asked: dict[str, str], text: str = "accept") -> str | None:
        return modern.visit(Line("elicitation.url", "ok", {"texts": [text], "asked": asked}), against)

    assert judged(PAGE) is None
    assert judged({**PAGE, "elicitationId": "e1"})
    assert judged({"mode": "url", "message": "Please visit"})
    assert judged(PAGE, "cancel")


def test_what_an_sdk_cuts_off_beyond_what_it_cuts_directly_is_stray() -> None:
    own = Line("stray", "ok", {"errors": [], "cut": ["tools/call: trace"]})
    against = Reference(None, own, STATELESS)
    assert modern.nothing_stray(Line("stray", "ok", {"errors": [], "cut": ["tools/call: trace"]}), against) is None
    assert modern.nothing_stray(Line("stray", "ok", {"errors": []}), against) is None
    leaked = modern.nothing_stray(Line("stray", "ok", {"errors": [], "cut": ["tools/list: tools.execution"]}), against)
    assert leaked is not None
    assert "tools.execution" in leaked
    assert modern.nothing_stray(Line("stray", "ok", {"errors": ["unreadable"], "cut": []}), against)


def test_a_form_is_refused_when_none_was_shown_and_the_call_ended_with_a_refusal() -> None:
    nothing = Reference(None, None, REVISIONS[0])
    assert form_refused(Line("inputs.prompt", "refused", {}, -32603), nothing) is None
    failed = Line("inputs.three", "failed", {"texts": ["no forms"], "asked": [{"roots": True}]})
    assert form_refused(failed, nothing) is None
    assert form_refused(Line("inputs.three", "failed", {"texts": ["no"], "asked": [FORM]}), nothing)
    assert form_refused(Line("inputs.three", "ok", {"texts": ["name={}"], "asked": []}), nothing)


@pytest.mark.parametrize("feature", ["sampling", "elicitation.form", "inputs.three", "elicitation.url", "roots"])
def test_a_pushed_question_that_reached_nobody_is_no_pass(feature: str) -> None:
    compare: Compare = expect(feature, STATELESS, REVISIONS[-1]).compare
    direct = Line(feature, "ok", {"texts": ["answered"], "asked": [FORM] if feature == "inputs.three" else PAGE})
    against = Reference(direct, direct, STATELESS)
    assert compare(Line(feature, "ok", {"texts": ["not asked"], "asked": []}), against)
    assert compare(Line(feature, "failed", {}, None, "time-out"), against)
