"""The promises of `requirements.yaml`, and which checks stand for each.

Invariant, held by a test: every row is stood for by a check, and every check stands for a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

FILE: Final = Path(__file__).parent / "requirements.yaml"


@dataclass(frozen=True)
class Requirement:
    """One promised behaviour; `spec` are pages as revision/page#anchor."""

    id: str
    spec: tuple[str, ...]
    behaviour: str


@cache
def requirements() -> dict[str, Requirement]:
    """The rows by id, in their order; ValueError for a row that is incomplete or twice there."""
    rows: dict[str, Requirement] = {}
    for row in yaml.safe_load(FILE.read_text(encoding="utf-8")):
        if set(row) != {"id", "spec", "behaviour"} or not row["spec"]:
            raise ValueError(f"incomplete requirement: {row}")
        if row["id"] in rows:
            raise ValueError(f"requirement {row['id']} is there twice")
        rows[row["id"]] = Requirement(row["id"], tuple(row["spec"]), row["behaviour"])
    return rows


def checked() -> set[str]:
    """The ids that some expectation of the matrix or some raw check stands for."""
    from conformance import matrix
    from conformance.raw import run

    return matrix.rules() | run.rules()
