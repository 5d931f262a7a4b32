"""Which event loops the broker's tests run on, and the log of one test."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import pytest

from broker import telemetry

Journal = Callable[[], list[dict[str, Any]]]
"""The lines of the log so far."""


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A fresh log in JSON; the module's state is put back afterwards."""
    before, telemetry._state = telemetry._state, telemetry._State()
    stream = io.StringIO()
    telemetry.configure("json", "debug", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    telemetry._state = before


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests of the HTTP client and of TLS run on both loops, since their transports differ; all others on asyncio's."""
    if not item.path.name.startswith(("test_http1", "test_serve_tls")) or not find_spec("uvloop"):
        return {"asyncio": asyncio.new_event_loop}
    import uvloop

    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
