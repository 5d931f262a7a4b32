"""The `telemetry` section of the configuration: what is counted and traced of calls."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from broker.settings_section import Section


class Telemetry(Section):
    """Metrics and traces. Without a status port and without OpenTelemetry nothing is measured."""

    metrics: bool = Field(
        default=True,
        description="Measure every call, for `/metrics` of the status port; false: what is counted anyhow.",
    )
    tools: bool = Field(
        default=False, description="Tools that a server lists have a label with their name, the first 200 of a server."
    )
    opentelemetry: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Traces and metrics by the OTEL_ variables (extra `otel`): `auto` if one says where to or by what.",
    )
