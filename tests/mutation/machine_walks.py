"""What kills mutants of the machines beside the tests written for them: a few random walks, drawn by number."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.translators import test_session_client_stateful as stateful
from tests.walker.walk import STEPS, walk

EXAMPLES = 25
"""Of the stateful test, which has four times as many when it runs by itself."""


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_no_history_of_a_slice_breaks_anything(first: int) -> None:
    for seed in range(first, first + 20):
        assert walk(seed) == STEPS


def test_every_order_of_events_keeps_every_rule() -> None:
    run_state_machine_as_test(stateful.Chasm, settings=settings(stateful.TestChasm.settings, max_examples=EXAMPLES))
