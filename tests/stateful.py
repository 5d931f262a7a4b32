"""How long the stateful tests of the machines run: the same histories each time, so that a failure stays one."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

LONG = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
