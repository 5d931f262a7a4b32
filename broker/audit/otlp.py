"""Lines to a collector as OpenTelemetry log records, by the SDK's exporter: the extra `otel`, loaded when it is used.

The body of a record is the line as it stands in a file, so that its hash can be verified wherever it is kept.
Invariant: the collector never makes the broker wait; a thread sends batches, and while the last one was not taken the
sink fails.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Any, Final, Protocol

import msgspec

from broker.audit.options import OtlpOptions
from broker.version import VERSION

QUEUED: Final = 10_000
"""Lines that wait for the thread; the SDK's own batch processor has 2,048."""

BATCH: Final = 512
"""Lines of one request, as the SDK's batch processor."""

AGAIN_S: Final = 1.0
"""How long after a failure the same batch is sent again."""


class Exporter(Protocol):
    """Sends lines; True if they were taken."""

    def send(self, lines: list[bytes]) -> bool: ...
    def close(self) -> None: ...


def open_sink(options: OtlpOptions) -> Otlp:
    """A sink that sends to this collector.

    Raises:
        ValueError: the extra is not installed.
    """
    try:
        exporter = _SdkExporter(options)
    except ImportError as error:
        raise ValueError(f"OpenTelemetry logs need the extra `otel`: pip install 'dragoman[otel]' ({error})") from None
    return Otlp(exporter)


class Otlp:
    """The sink."""

    name = "otlp"
    whole = False

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._lines: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._failed = False
        self._over = False
        self._thread = threading.Thread(target=self._run, name="audit-otlp", daemon=True)
        self._thread.start()

    def write(self, lines: bytes) -> None:
        """Queue one line.

        Raises:
            OSError: the collector did not take the last batch, or too many wait.
        """
        with self._changed:
            if self._failed or len(self._lines) >= QUEUED:
                raise ConnectionError(0, "the collector does not take them")
            self._lines.append(lines.rstrip(b"\n"))
            self._changed.notify()

    def close(self) -> None:
        """Send what waits, once."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()
        self._exporter.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._over)
                batch = [self._lines[index] for index in range(min(BATCH, len(self._lines)))]
                over = self._over
            taken = not batch or self._sent(batch)
            with self._changed:
                self._failed = not taken
                if taken:
                    for _ in batch:
                        self._lines.popleft()
                elif not over:
                    self._changed.wait_for(lambda: self._over, AGAIN_S)
            if over and (not taken or not self._lines):
                return

    def _sent(self, batch: list[bytes]) -> bool:
        try:
            return self._exporter.send(batch)
        except Exception:  # whatever the SDK raises: these lines were not taken
            return False


class _Head(msgspec.Struct):
    event_code: str


class _Times(msgspec.Struct):
    time: int
    severity_id: int
    metadata: _Head


class _SdkExporter:
    """The SDK's exporter over HTTP."""

    def __init__(self, options: OtlpOptions) -> None:
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import ReadWriteLogRecord
        from opentelemetry.sdk._logs.export import LogRecordExportResult
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._exporter: Any = OTLPLogExporter(options.endpoint, headers=options.headers, timeout=options.timeout_s)
        self._success: Any = LogRecordExportResult.SUCCESS
        resource = Resource.create({"service.name": "dragoman", "service.version": VERSION})
        scope = InstrumentationScope("dragoman.audit", VERSION)
        levels = {1: SeverityNumber.INFO, 2: SeverityNumber.WARN, 3: SeverityNumber.ERROR}
        decode = msgspec.json.Decoder(_Times).decode

        def record(line: bytes) -> Any:
            times = decode(line)
            level = levels.get(times.severity_id, SeverityNumber.INFO)
            said = LogRecord(
                timestamp=times.time * 1_000_000,
                severity_number=level,
                severity_text=level.name,
                body=line.decode("ascii"),
                event_name=f"dragoman.audit.{times.metadata.event_code}",
            )
            return ReadWriteLogRecord(said, resource, scope)

        self._record = record

    def send(self, lines: list[bytes]) -> bool:
        """One batch."""
        return bool(self._exporter.export([self._record(line) for line in lines]) == self._success)

    def close(self) -> None:
        """Nothing more is sent."""
        with contextlib.suppress(Exception):
            self._exporter.shutdown()
