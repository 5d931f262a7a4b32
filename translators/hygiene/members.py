"""Members whose values some readers check more closely than others: annotations, dates, log levels."""

from __future__ import annotations

import re
from typing import Any

from protocol_versions.base import Slot
from translators.change import Change, notification, params, result
from translators.context import Context
from translators.hygiene.blocks import PLACES
from translators.ops import KEEP, REMOVE, Loss, Op, each

ROLES = ("user", "assistant")
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
# Names that common logging libraries use for the same eight levels (RFC 5424).
OTHER_LEVELS = {
    "trace": "debug",
    "warn": "warning",
    "err": "error",
    "fatal": "critical",
    "panic": "emergency",
}

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?")

ANNOTATED: dict[Slot, tuple[str, ...]] = {
    **PLACES,
    result("resources/list"): ("resources[]",),
    result("resources/templates/list"): ("resourceTemplates[]",),
}


def _within_unit(value: Any, _ctx: Context) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return REMOVE
    return KEEP if 0 <= value <= 1 else min(max(value, 0), 1)


def _known_roles(value: Any, _ctx: Context) -> Any:
    if not isinstance(value, list):
        return REMOVE
    known = [role for role in value if role in ROLES]
    return KEEP if len(known) == len(value) else known or REMOVE


def _with_offset(value: Any, _ctx: Context) -> Any:
    """A full date and time with offset; what names none is read as UTC."""
    if not isinstance(value, str):
        return REMOVE
    if _DATE.fullmatch(value):
        return f"{value}T00:00:00Z"
    return f"{value}Z" if _DATE_TIME.fullmatch(value) else KEEP


def _known_level(value: Any, ctx: Context) -> Any:
    """A message must arrive, so what no name explains is information."""
    meant = _meant_level(value, ctx)
    return "info" if meant is KEEP and value not in LEVELS else meant


def _meant_level(value: Any, _ctx: Context) -> Any:
    """A level by another name; one that means nothing is the server's to refuse."""
    if value in LEVELS or not isinstance(value, str):
        return KEEP
    name = value.lower()
    return name if name in LEVELS else OTHER_LEVELS.get(name, KEEP)


def _each_annotation(member: str, function: Any, loss: Loss) -> dict[Slot, tuple[Op, ...]]:
    return {
        slot: tuple(each(f"{path}.annotations.{member}", function, loss) for path in paths)
        for slot, paths in ANNOTATED.items()
    }


MEMBERS = (
    Change(
        name="priorities",
        spec="pypi 1.6.0 to 1.26.0 and npm 1.25.1 reject priorities outside 0 to 1",
        rows=("T30",),
        down=_each_annotation("priority", _within_unit, Loss.COSMETIC),
    ),
    Change(
        name="audiences",
        spec="pypi 1.26.0 and npm 1.25.1 reject unknown roles",
        rows=("T27",),
        down=_each_annotation("audience", _known_roles, Loss.COSMETIC),
    ),
    Change(
        name="dates with offset",
        spec="npm 1.25.1 rejects a date alone and a time without offset",
        rows=("B12",),
        down=_each_annotation("lastModified", _with_offset, Loss.CARRIED),
    ),
    Change(
        name="log levels",
        spec="every pypi and npm release rejects an unknown level such as warn",
        rows=("T18",),
        down={
            notification("notifications/message"): (each("level", _known_level, Loss.COSMETIC),),
            params("logging/setLevel"): (each("level", _meant_level, Loss.COSMETIC),),
        },
    ),
)
