"""Comparisons of what session clients see of servers of 2026-07-28: each passes what is right and names what is not."""

from __future__ import annotations

import pytest

from conformance import comparisons_stateless as stateless
from conformance.comparisons import Reference
from conformance.lines import Line

FORM = {"message": "who?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}
SAMPLE = {"messages": [{"role": "user"}], "maxTokens": 5}
ROOTS = {"roots": True}


def _line(**seen: object) -> Line:
    return Line("inputs.three", "ok", seen)


def _against(**seen: object) -> Reference:
    return Reference(_line(**seen), None, "2025-11-25")


def test_several_asks_may_come_in_any_order_and_none_may_be_missing() -> None:
    compare = stateless.inputs("form", "sample", "roots")
    direct = _against(texts=["done"], asked=[FORM, SAMPLE, ROOTS])
    mode = {**FORM, "mode": "form"}
    assert compare(_line(texts=["done"], asked=[ROOTS, mode, SAMPLE]), direct) is None
    assert compare(_line(texts=["done"], asked=[ROOTS, SAMPLE]), direct) is not None
    assert compare(_line(texts=["other"], asked=[ROOTS, mode, SAMPLE]), direct) is not None
    assert compare(_line(texts=["done"], asked=[ROOTS, {**mode, "message": "?"}, SAMPLE]), direct) is not None


def test_what_the_client_said_a_moment_ago_may_be_spared_and_nothing_else() -> None:
    compare = stateless.inputs("form", "sample", "roots", spared="roots")
    direct = _against(texts=["done"], asked=[FORM, SAMPLE, ROOTS])
    assert compare(_line(texts=["done"], asked=[SAMPLE, FORM]), direct) is None
    assert compare(_line(texts=["done"], asked=[ROOTS, SAMPLE, FORM]), direct) is None
    assert compare(_line(texts=["done"], asked=[ROOTS, FORM]), direct) is not None
    assert compare(_line(texts=["done"], asked=[ROOTS, ROOTS, FORM, SAMPLE]), direct) is not None


def test_an_action_has_to_reach_the_server() -> None:
    direct = _against(texts=["action=accept"], asked=[FORM])
    assert stateless.answered("decline")(_line(texts=["action=accept"], asked=[FORM]), direct) is not None
    declined = _against(texts=["action=decline"], asked=[FORM])
    assert stateless.answered("decline")(_line(texts=["action=decline"], asked=[FORM]), declined) is None


@pytest.mark.parametrize(
    ("line", "right"),
    [
        (Line("inputs.prompt", "refused", {}, -32603, "no"), True),
        (Line("inputs.prompt", "refused", {}, -32021, "no"), False),
        (Line("inputs.prompt", "ok", {"texts": ["x"], "asked": []}), False),
        (Line("inputs.prompt", "refused", {"asked": [FORM]}, -32603, "no"), False),
    ],
)
def test_outside_calls_an_input_nobody_can_give_is_an_internal_error(line: Line, right: bool) -> None:
    assert (stateless.refused_in_its_own_way(line, _against()) is None) is right


def test_a_missing_resource_has_the_code_that_session_clients_know() -> None:
    direct = Reference(Line("resources.read.missing", "refused", {}, -32602, "gone"), None, "2025-11-25")
    assert stateless.missing_resource(Line("resources.read.missing", "refused", {}, -32002, "gone"), direct) is None
    assert stateless.missing_resource(Line("resources.read.missing", "refused", {}, -32602, "gone"), direct) is not None
    assert stateless.missing_resource(Line("resources.read.missing", "ok", {"contents": []}), direct) is not None


def test_a_list_is_wrapped_for_clients_that_want_objects_and_text_for_the_others() -> None:
    direct = _against(structured=[1, 2], texts=["[1, 2]"])
    wrapped = _line(types=["text"], texts=["[1,2]"], structured={"result": [1, 2]}, isError=False)
    bare = _line(types=["text"], texts=["[1,2]"], structured=[1, 2], isError=False)
    text = _line(types=["text"], texts=["[1,2]"], structured=None, isError=False)
    assert stateless.wrapped_array(wrapped, direct) is None
    assert stateless.wrapped_array(bare, direct) is not None
    assert stateless.wrapped_array(text, direct) is not None
    assert stateless.array_as_text(text, direct) is None
    assert stateless.array_as_text(wrapped, direct) is not None
    assert stateless.wrapped_array(wrapped, _against()) is not None


def test_a_page_to_visit_has_an_id_of_its_own() -> None:
    page = {"mode": "url", "url": "https://example.com", "message": "please", "elicitationId": "e"}
    direct = _against(texts=["accept"])
    assert stateless.visit(_line(texts=["accept"], asked=page), direct) is None
    assert stateless.visit(_line(texts=["accept"], asked={**page, "elicitationId": None}), direct) is not None


def test_the_level_of_a_request_is_the_one_that_was_set() -> None:
    assert stateless.level("error")(_line(logLevel="error"), _against()) is None
    assert stateless.level("error")(_line(logLevel=None), _against()) is not None
