"""What kills mutants of the machines of stateless clients beside the tests written for them: a few random walks."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.translators import test_stateless_client_stateful as stateful
from tests.walker.stateless.walk import walk
from tests.walker.walk import STEPS

EXAMPLES = 15
"""Of the stateful test, which has many more when it runs by itself."""


@pytest.mark.parametrize("first", range(0, 240, 20))
def test_no_history_of_a_slice_breaks_anything(first: int) -> None:
    for seed in range(first, first + 20):
        assert walk(seed) == STEPS


def test_every_order_of_events_keeps_every_rule() -> None:
    run_state_machine_as_test(stateful.Chasm, settings=settings(stateful.TestChasm.settings, max_examples=EXAMPLES))
