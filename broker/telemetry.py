"""What operators are told: exact counters, log lines within limits, and an audit line per refused input.

One JSON object a line on stderr, or coloured text on a terminal. Invariants: counters are exact whatever is
logged; text from peers is escaped and cut, so that it can neither forge a line nor drive a terminal; a flood
of one event costs a counter and a line every few seconds. structlog is imported for terminals alone: its
console renderer brings rich and pygments along where they are installed, a third of a cold start.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

from protocol_versions.base import Slot
from translators.loss import Loss

Level = Literal["debug", "info", "warning", "error"]
_Write = Callable[[Level, str, dict[str, Any]], None]

FIRST_LINES: Final = 5  # of one event are logged as they come; zap's sampling starts after the first as well
SAMPLE_S: Final = 10.0  # then one line in this time, with the exact count; Kubernetes aggregates events alike
AUDIT_BURST: Final = 200  # audit lines at once; above, they are counted and the count is logged
AUDIT_PER_S: Final = 50.0  # audit lines a second for ever; at 300 bytes a line, 1.3 GB a day at worst
LONGEST_VALUE: Final = 256  # characters of one value in a line
MAX_COUNTS: Final = 10_000  # distinct counts; kinds and reasons are ours, methods may be any text of a peer's
MAX_KEYS: Final = 1000  # distinct events with a rate of their own; slugs are ours, so this is a safety net

losses: Counter[tuple[str, str, str, str, str]] = Counter()
"""(pair, method, path, change, loss) -> how often a translation lost this."""

counts: Counter[tuple[str, str, str, str]] = Counter()
"""(kind, backend, method, reason) -> how often: refusals, failures, drops, violations."""

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Rate:
    """How often one event came, and when it was last said."""

    __slots__ = ("said_at", "seen", "unsaid")

    def __init__(self) -> None:
        self.seen = 0
        self.unsaid = 0
        self.said_at = 0.0

    def due(self, now: float) -> bool:
        self.seen += 1
        if self.seen <= FIRST_LINES or now - self.said_at >= SAMPLE_S:
            self.said_at = now
            return True
        self.unsaid += 1
        return False


class _State:
    """The process's log: where it goes, and the rates of what went."""

    __slots__ = ("allowance", "allowance_at", "format", "level", "logger", "rates", "stream", "unaudited")

    def __init__(self) -> None:
        self.format = "auto"
        self.level = 20
        self.stream: Any = None
        self.logger: _Write | None = None
        self.rates: dict[tuple[str, ...], _Rate] = {}
        self.allowance = float(AUDIT_BURST)
        self.allowance_at = 0.0
        self.unaudited: Counter[tuple[str, str]] = Counter()


_state = _State()


last_failures: dict[str, tuple[str, float]] = {}
"""Backend -> why the last call failed, and when, in seconds of the monotonic clock."""


def configure(format: Literal["auto", "json", "pretty"] = "auto", level: Level = "info", stream: Any = None) -> None:  # noqa: A002
    """Choose the format and the level; `stream` replaces stderr. Takes effect with the next line."""
    _state.format, _state.level, _state.stream, _state.logger = format, _LEVELS[level], stream, None


def log(level: Level, event: str, **fields: Any) -> None:
    """One line, always. For events that a peer cannot cause at will."""
    if _LEVELS[level] >= _state.level:
        _write(level, event, fields)


def announce(event: str, **fields: Any) -> None:
    """One line whatever the level: that the broker is ready, and for whom."""
    _write("info", event, fields)


def _write(level: Level, event: str, fields: dict[str, Any]) -> None:
    logger = _state.logger
    if logger is None:
        logger = _state.logger = _build()
    try:
        logger(level, event, {key: _clean(value) for key, value in fields.items() if value != ""})
    except (OSError, ValueError):
        # A closed or full stderr must not end calls; the counters still tell.
        counts["log-failed", "", "", ""] += 1


def note(kind: str, *, backend: str = "", method: str = "", reason: str = "", pair: str = "", **more: Any) -> None:
    """Count an event; log the first few of its kind, then samples with the exact number seen."""
    _count((kind, backend, method, reason))
    if kind == "failed" and len(last_failures) < MAX_KEYS:
        last_failures[backend] = (reason, time.monotonic())
    rate = _rate((kind, backend, reason))
    if rate.due(time.monotonic()):
        level: Level = "warning" if kind in {"failed", "violation", "refused", "dropped", "cannot-ask"} else "info"
        _say_rated(level, kind, rate, backend=backend, method=method, reason=reason, pair=pair, **more)


def note_loss(*, backend: str, pair: str, method: str, path: str, change: str, loss: Loss | str) -> None:
    """Count what a translation lost; log the first few of each place, then samples."""
    name = loss.name if isinstance(loss, Loss) else loss
    key = (pair, method, path, change, name)
    losses[key if key in losses or len(losses) < MAX_COUNTS else (pair, "other", "other", "other", name)] += 1
    rate = _rate(("loss", pair, method, path))
    if rate.due(time.monotonic()):
        _say_rated("info", "loss", rate, backend=backend, pair=pair, method=method, path=path, change=change, loss=name)


loss = note_loss


def server_said(backend: str, text: str, dropped: int) -> None:
    """A line a command wrote to its standard error, which means nothing by itself; `dropped` lines went before it."""
    log("info", "server-stderr", backend=backend, text=text, **({"not_written": dropped} if dropped else {}))


def audit(event: str, *, reason: str, principal: str = "", backend: str = "", peer: str = "", **fields: Any) -> None:
    """Record a refused input: one line each, until a flood; then exact counts of what was not written out.

    Give no content of the input: `reason` and `event` are slugs of ours.
    """
    _count((event, backend, "", reason))
    now = time.monotonic()
    state = _state
    state.allowance = min(AUDIT_BURST, state.allowance + (now - state.allowance_at) * AUDIT_PER_S)
    state.allowance_at = now
    if state.allowance < 1:
        state.unaudited[event, reason] += 1
        return
    state.allowance -= 1
    if state.unaudited:
        flush()
    log("warning", event, audit=True, reason=reason, principal=principal, backend=backend, peer=peer, **fields)


def flush() -> None:
    """Write the counts of everything that was left out so far; called when a flood ends and at the end."""
    missed, _state.unaudited = _state.unaudited, Counter()
    for (event, reason), count in missed.items():
        log("warning", event, audit=True, reason=reason, not_written=count)
    for key, rate in _state.rates.items():
        if rate.unsaid:
            log("info", key[0], reason=key[-1], seen=rate.seen, not_written=rate.unsaid)
            rate.unsaid = 0


def snapshot() -> dict[str, list[dict[str, Any]]]:
    """All counters as data: `{"losses": [...], "counts": [...]}`, most frequent first."""
    return {
        "losses": [
            dict(zip(("pair", "method", "path", "change", "loss"), key, strict=True), count=count)
            for key, count in losses.most_common()
        ],
        "counts": [
            dict(zip(("kind", "backend", "method", "reason"), key, strict=True), count=count)
            for key, count in counts.most_common()
        ],
    }


def slot_text(slot: Slot) -> str:
    """A slot as it stands in log lines: `result tools/call toward client`."""
    return f"{slot.part} {slot.method} toward {slot.toward}"


def _count(key: tuple[str, str, str, str]) -> None:
    if key not in counts and len(counts) >= MAX_COUNTS:
        key = (key[0], key[1], "other", "other")  # peers choose methods
    counts[key] += 1


def _rate(key: tuple[str, ...]) -> _Rate:
    rates = _state.rates
    rate = rates.get(key)
    if rate is None:
        if len(rates) >= MAX_KEYS:
            key = ("other",)
        rate = rates.setdefault(key, _Rate())
    return rate


def _say_rated(level: Level, event: str, rate: _Rate, **fields: Any) -> None:
    if rate.seen > FIRST_LINES:
        fields["seen"], fields["not_written"] = rate.seen, rate.unsaid
        rate.unsaid = 0
    log(level, event, **fields)


def _clean(value: Any) -> Any:
    """Numbers and truth values as they are; everything else as short text without control characters."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if len(text) > LONGEST_VALUE:
        text = f"{text[:LONGEST_VALUE]}... ({len(text)} characters)"
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _build() -> _Write:
    stream = _state.stream or sys.stderr
    if _state.format == "pretty" or (_state.format == "auto" and stream.isatty()):
        return _coloured(stream)

    import json  # a pipe's first answer does without it

    def write(level: Level, event: str, fields: dict[str, Any]) -> None:
        timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        first = {"timestamp": timestamp, "level": level, "event": event}  # what everybody looks for first
        stream.write(json.dumps({**first, **fields, **first}, default=repr) + "\n")
        stream.flush()

    return write


def _coloured(stream: Any) -> _Write:
    import structlog

    processors = structlog.processors
    logger: Any = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            processors.add_log_level,
            processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=stream.isatty()),
        ],
    )

    def write(level: Level, event: str, fields: dict[str, Any]) -> None:
        getattr(logger, level)(event, **fields)

    return write
