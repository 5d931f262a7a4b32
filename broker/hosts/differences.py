"""A unified diff that stays quick on files of megabytes, as Claude Code's history makes them.

`difflib` alone takes minutes where many lines are alike. Lines that are unique on both sides are matched first
(patience diff, Bram Cohen); only what lies between them is left to `difflib`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from difflib import Match, SequenceMatcher
from typing import Final

CONTEXT: Final = 3  # lines shown around a change, as every diff does
_CELLS: Final = 1_000_000  # lines times lines that `difflib` may compare at once; above it they count as replaced

Spans = tuple[int, int, int, int]


def unified(old: list[str], new: list[str], old_title: str, new_title: str) -> list[str]:
    """The unified diff of two lists of lines; empty if they are equal."""
    lines: list[str] = []
    for group in _Matched(old, new).get_grouped_opcodes(CONTEXT):
        if not lines:
            lines += [f"--- {old_title}", f"+++ {new_title}"]
        lines.append(f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@")
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                lines += [f" {line}" for line in old[old_from:old_to]]
                continue
            lines += [f"-{line}" for line in old[old_from:old_to]]
            lines += [f"+{line}" for line in new[new_from:new_to]]
    return lines


def _range(start: int, stop: int) -> str:
    length = stop - start
    first = start + 1 if length else start
    return str(first) if length == 1 else f"{first},{length}"


class _Matched(SequenceMatcher[str]):
    """`difflib`'s grouping over matches found in another way."""

    def __init__(self, old: list[str], new: list[str]) -> None:
        self.a, self.b = old, new
        self.opcodes = None
        blocks = [block for span in _gaps(old, new) for block in _matches(old, new, span)]
        self.blocks = [*_merged(blocks), Match(len(old), len(new), 0)]

    def get_matching_blocks(self) -> list[Match]:
        return self.blocks


def _gaps(old: list[str], new: list[str]) -> Iterator[Spans]:
    """Pieces of both sides that belong together, each but the first beginning with a line that is the same in both."""
    old_count, new_count = Counter(old), Counter(new)
    at = {line: index for index, line in enumerate(new) if new_count[line] == 1}
    pairs = [(index, at[line]) for index, line in enumerate(old) if old_count[line] == 1 and line in at]
    old_from = new_from = 0
    for old_to, new_to in _rising(pairs):
        yield old_from, old_to, new_from, new_to
        old_from, new_from = old_to, new_to
    yield old_from, len(old), new_from, len(new)


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs in which both sides rise."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, right) in enumerate(pairs):
        length = bisect_left(tails, right)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(right)
            ends.append(index)
        else:
            tails[length], ends[length] = right, index
    chosen = []
    at = ends[-1] if ends else -1
    while at >= 0:
        chosen.append(pairs[at])
        at = before[at]
    return chosen[::-1]


def _matches(old: list[str], new: list[str], span: Spans) -> Iterator[Match]:
    old_from, old_to, new_from, new_to = span
    head = 0
    while old_from + head < old_to and new_from + head < new_to and old[old_from + head] == new[new_from + head]:
        head += 1
    yield Match(old_from, new_from, head)
    old_from, new_from = old_from + head, new_from + head
    tail = 0
    while old_to - tail > old_from and new_to - tail > new_from and old[old_to - tail - 1] == new[new_to - tail - 1]:
        tail += 1
    old_to, new_to = old_to - tail, new_to - tail
    if (old_to - old_from) * (new_to - new_from) <= _CELLS:
        for match in SequenceMatcher(None, old[old_from:old_to], new[new_from:new_to], False).get_matching_blocks():
            yield Match(old_from + match.a, new_from + match.b, match.size)
    yield Match(old_to, new_to, tail)


def _merged(blocks: list[Match]) -> list[Match]:
    """Without empty blocks, and with those that touch as one."""
    merged: list[Match] = []
    for block in blocks:
        last = merged[-1] if merged else None
        if last and last.a + last.size == block.a and last.b + last.size == block.b:
            merged[-1] = Match(last.a, last.b, last.size + block.size)
        elif block.size:
            merged.append(block)
    return merged
