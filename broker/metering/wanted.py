"""Whether OpenTelemetry is asked for, by its own variables. Loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ENDPOINTS: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
EXPORTERS: Final = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")


def wanted(mode: str, environ: Mapping[str, str]) -> bool:
    """True if traces or metrics are to be exported; `mode` is the configuration's `auto`, `on` or `off`.

    `auto` is on where a variable says where to, or by what; OTEL_SDK_DISABLED turns it off whatever is configured.
    """
    if mode == "off" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if mode == "on":
        return True
    named = any(environ.get(name, "").strip() for name in ENDPOINTS)
    return named or any(environ.get(name, "none").strip().lower() not in ("", "none") for name in EXPORTERS)


def exporters(name: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Which exporters a variable names; `otlp` where it is not set."""
    given = environ.get(name, "").strip().lower() or "otlp"
    return tuple(part for part in (each.strip() for each in given.split(",")) if part and part != "none")
