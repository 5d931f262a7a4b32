"""Structured output as text: said once, in whichever of its two spellings a block already holds."""

from __future__ import annotations

import pytest

from translators import translate
from translators.context import Context

LIST = {"tools": {"a": {"outputSchema": {"type": "array"}}}}


@pytest.mark.parametrize("client", ["2024-11-05", "2025-03-26"])
def test_a_wrapped_value_whose_text_is_there_is_not_said_again(client: str) -> None:
    context = Context(method="tools/call", request={"name": "a"}, facts=LIST)
    body = {"resultType": "complete", "content": [{"type": "text", "text": "[1, 2]"}], "structuredContent": [1, 2]}
    done = translate(body, method="tools/call", part="result", client=client, server="2026-07-28", context=context)
    assert done.body == {"content": [{"type": "text", "text": "[1, 2]"}]}


def test_a_wrapped_value_without_text_is_said_once() -> None:
    context = Context(method="tools/call", request={"name": "a"}, facts=LIST)
    body = {"resultType": "complete", "content": [], "structuredContent": [1, 2]}
    done = translate(
        body, method="tools/call", part="result", client="2024-11-05", server="2026-07-28", context=context
    )
    assert done.body is not None
    assert [block["text"] for block in done.body["content"]] in (["[1,2]"], ['{"result":[1,2]}'])


def test_an_object_with_another_member_beside_result_is_said_whole() -> None:
    structured = {"result": 1, "more": 2}
    body = {"content": [{"type": "text", "text": "1"}], "structuredContent": structured}
    done = translate(body, method="tools/call", part="result", client="2024-11-05", server="2025-11-25")
    assert done.body == {"content": [{"type": "text", "text": "1"}, {"type": "text", "text": '{"result":1,"more":2}'}]}
