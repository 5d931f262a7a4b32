"""Hand-made pairs: what one peer wrote, and exactly what the other must read.

A file `tests/golden/<step>/<part>_<method>__<what>.json` holds `slot`, `way` ("down", "up" or "hygiene"), `written` and
one outcome: `read`, `refused`, `swallowed` or `answered`. Optional: `stash`, `facts` and `request` of the Context
beforehand, `stashed` afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from protocol_versions import by_id
from protocol_versions.base import Slot
from translators import STEPS
from translators.change import Change, Gate
from translators.context import Context
from translators.errors import Answered, Refused, Swallowed
from translators.hygiene import changes, preparations
from translators.ops import Op

ROOT = Path(__file__).parents[1] / "golden"
FILES = sorted(path for path in ROOT.glob("*/*__*.json"))
NEWEST_WITH_SESSIONS = by_id("2025-11-25")
HYGIENE = "hygiene"

Key = tuple[str, str, Slot, str, str]
"""(step, way, slot, change, path) of one operation; a gate has no path."""


def folder(step_name: str) -> str:
    """`2024-11-05|2025-03-26` -> `v2024_11_05__v2025_03_26`."""
    older, newer = step_name.replace("-", "_").split("|")
    return f"v{older}__v{newer}"


def changes_of(step: str) -> tuple[Change, ...]:
    """The Changes of a step by its folder, or the repairs."""
    if step == HYGIENE:
        return (*preparations(NEWEST_WITH_SESSIONS), *changes(NEWEST_WITH_SESSIONS))
    return next(found.changes for found in STEPS if folder(found.name) == step)


def actions(step: str, way: str, slot: Slot) -> list[Op | Gate]:
    """What acts on a slot, in order."""
    ordered = changes_of(step)
    found: list[Op | Gate] = []
    for change in reversed(ordered) if way == "down" else ordered:
        action = change.actions("up" if way == "up" else "down").get(slot, ())
        found.extend((action,) if isinstance(action, Gate) else action)
    return found


def flat(op: Op) -> Iterator[Op]:
    """The operation, or those a `when` runs."""
    if not op.inner:
        yield op
    for inner in op.inner:
        yield from flat(inner)


def operations() -> Iterator[Key]:
    """Every operation and gate of every step, and of hygiene."""
    for step in (*(folder(step.name) for step in STEPS), HYGIENE):
        for change in changes_of(step):
            for way in (HYGIENE,) if step == HYGIENE else ("down", "up"):
                for slot, action in change.actions("up" if way == "up" else "down").items():
                    if isinstance(action, Gate):
                        yield step, way, slot, change.name, ""
                        continue
                    for op in action:
                        # What only remembers changes nothing: the stash of its pairs shows it.
                        for inner in flat(op) if op.kind != "remember" else ():
                            yield step, way, slot, change.name, inner.path


class Case:
    """One file."""

    def __init__(self, path: Path) -> None:
        pair: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.path = path
        self.step = path.parent.name
        self.way: str = pair["way"]
        self.slot = msgspec.convert(pair["slot"], Slot)
        self.written: dict[str, Any] = pair["written"]
        self.stashed: dict[str, Any] = pair.get("stashed", pair.get("stash", {}))
        self.losses: dict[str, str] = pair.get("losses", {})
        self.expected = {name: pair[name] for name in ("read", "refused", "swallowed", "answered") if name in pair}
        self.context = Context(
            method=self.slot.method,
            stash=deepcopy(pair.get("stash", {})),
            facts=pair.get("facts", {}),
            request=pair.get("request"),
        )
        self.met: set[Key] = set()

    def run(self) -> dict[str, Any]:
        """The outcome, in the file's own words; `met` says which operations acted."""
        body = msgspec.json.decode(msgspec.json.encode(self.written), type=dict[str, msgspec.Raw])
        gate: str | None = None
        try:
            for action in actions(self.step, self.way, self.slot):
                gate = action.change if isinstance(action, Gate) else None
                action.apply(body, self.context)
            return {"read": msgspec.json.decode(msgspec.json.encode(body))}
        except Refused as refusal:
            self._meet(refusal.change, refusal.path)
            return {"refused": {"code": refusal.code, "reason": refusal.reason}}
        except Swallowed as swallowed:
            return {"swallowed": swallowed.reason}
        except Answered as answered:
            if gate is not None:
                self._meet(gate, "")
            return {"answered": answered.result}
        finally:
            for noted in self.context.losses:
                self._meet(noted.change, noted.path)

    def _meet(self, change: str, path: str) -> None:
        self.met.add((self.step, self.way, self.slot, change, path))
