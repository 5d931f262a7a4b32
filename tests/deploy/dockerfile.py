"""A Dockerfile as its instructions: lines joined, without comments, by stages. No more of its grammar."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction, in upper case, with its text."""

    name: str
    text: str

    def words(self) -> list[str]:
        """Its arguments: the array of the exec form, or the words."""
        return json.loads(self.text) if self.text.startswith("[") else self.text.split()


def stages(path: Path) -> tuple[list[Instruction], list[list[Instruction]]]:
    """(what stands before the first FROM, each stage from its FROM on)."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    first: list[Instruction] = []
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        if name.upper() == "FROM":
            found.append([])
        (found[-1] if found else first).append(Instruction(name.upper(), rest.strip()))
    return first, found


def of(stage: list[Instruction], name: str) -> list[Instruction]:
    """The instructions of one name."""
    return [each for each in stage if each.name == name]
