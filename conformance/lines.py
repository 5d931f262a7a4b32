"""What a scripted client printed: one JSON object a line, one line a feature.

Invariant: a line that is not an object with a feature and a known status is a mistake of the peer, reported
as such.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

STATUSES: Final = ("ok", "refused", "unsupported", "failed")


@dataclass(frozen=True)
class Line:
    """One feature as the client application saw it."""

    feature: str
    status: str
    seen: Mapping[str, Any] = field(default_factory=dict)
    code: int | None = None
    message: str = ""

    @property
    def brief(self) -> str:
        """The line in a few words, for a failure's text."""
        if self.status == "ok":
            return _short(json.dumps(self.seen, ensure_ascii=False, sort_keys=True, default=str))
        code = "" if self.code is None else f" {self.code}"
        return f"{self.status}{code}: {_short(self.message)}"


def parse(output: str) -> dict[str, Line]:
    """The lines of a client's stdout by feature; text that is no line is ignored (SDKs print warnings)."""
    lines: dict[str, Line] = {}
    for text in output.splitlines():
        if not text.startswith("{"):
            continue
        try:
            value = json.loads(text)
        except ValueError:
            continue
        line = _line(value)
        if line is not None:
            lines[line.feature] = line
    return lines


def _line(value: Any) -> Line | None:
    if not isinstance(value, dict) or not isinstance(value.get("feature"), str):
        return None
    status = value.get("status")
    error = value.get("error")
    detail = error if isinstance(error, dict) else {}
    seen = value.get("seen")
    code = detail.get("code")
    return Line(
        feature=value["feature"],
        status=status if status in STATUSES else "failed",
        seen=seen if isinstance(seen, dict) else {"value": seen},
        code=code if isinstance(code, int) else None,
        message=str(detail.get("message", "")),
    )


def _short(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
