"""Corners of the steps that no pair shows; each test was written because a change to the step went unnoticed."""

from __future__ import annotations

from copy import deepcopy

import pytest

from protocol_versions.base import error
from translators.context import Context
from translators.v2025_06_18__v2025_11_25 import STEP
from translators.v2025_06_18__v2025_11_25.elicitation import CLIENT_REQUESTS


@pytest.mark.parametrize("method", CLIENT_REQUESTS)
def test_an_error_of_another_code_is_left_alone_whatever_it_carries(method: str) -> None:
    problem = {
        "code": -32000,
        "message": "no",
        "data": {"elicitations": [{"message": "Sign in", "url": "https://example.com/"}]},
    }
    ctx = Context(method=method)
    assert STEP.down(error(method), deepcopy(problem), ctx) == problem
    assert ctx.losses == []
