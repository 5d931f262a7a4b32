"""What a translation does, for people: JSON patches per Change, and the table of all pairs of revisions.

Invariant: everything here is computed from the steps that the broker runs; nothing is written down a second time.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import jsonpatch
import msgspec

from protocol_versions import REVISIONS
from protocol_versions.base import Part, Side
from protocol_versions.strict import Refused, load
from translators import STEPS
from translators.loss import Noted
from translators.rows import ROWS
from translators.translation import HYGIENE, Acted, trace
from translators.translation import translate as run

if TYPE_CHECKING:
    from translators.compat import Row

VERDICTS: Final = ("identical", "rewritten", "emulated", "refused")


class Story(msgspec.Struct, frozen=True):
    """What became of a body. `body` is JSON, None if the message goes no further and `reason` says why."""

    body: bytes | None
    verdict: str
    reason: str
    losses: tuple[Noted, ...]
    acted: tuple[Acted, ...]

    def lines(self) -> list[str]:
        """One paragraph per Change that acted: what, where in the specification, and the patch."""
        found: list[str] = []
        for act in self.acted:
            place = "every reader" if act.step == HYGIENE else f"{act.direction} {act.step}"
            found.append(f"{act.change.name} [{place}] {act.change.spec}")
            if act.after is None:
                found.append("  goes no further")
                continue
            patch = jsonpatch.make_patch(act.before, act.after)
            found += [f"  {msgspec.json.encode(operation).decode()}" for operation in patch]
        return found


def explain_body(
    data: bytes, *, method: str, part: Part, client: str, server: str, toward: Side | None = None
) -> Story:
    """Translate one body, given as JSON.

    Raises:
        ValueError: not a JSON object, an unknown revision, or a method that needs `toward`.
    """
    try:
        body = load(data)
    except Refused as refused:
        raise ValueError(f"the body is not acceptable JSON: {refused.reason}") from None
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    known = [revision.id for revision in REVISIONS]
    for revision in (client, server):
        if revision not in known:
            raise ValueError(f"unknown revision {revision}; expected one of {', '.join(known)}")
    pair: dict[str, Any] = {"method": method, "part": part, "client": client, "server": server, "toward": toward}
    done = run(body, **pair)
    out = done.body if done.body is not None else done.answer
    reason = "nothing is sent" if done.refusal is None else f"{done.refusal.code} {done.refusal.message}"
    acted = tuple(trace(body, **pair))
    if out is None and acted and acted[-1].change.emulates == "conversation":
        reason += f"; between peers the broker does this itself ({acted[-1].change.name})"
    return Story(None if out is None else msgspec.json.encode(out), done.verdict, reason, done.losses, acted)


def rows() -> tuple[Row, ...]:
    """Every method of every pair.

    Raises:
        ImportError: this installation has no compatibility table.
    """
    from translators.compat import table

    return table()


def table_lines(found: tuple[Row, ...], *, markdown: bool = False) -> list[str]:
    """The square of revisions; a cell counts identical, rewritten, emulated and refused methods."""
    order = [revision.id for revision in REVISIONS]
    counts = Counter((row.client, row.server, row.verdict) for row in found)

    def cell(client: str, server: str) -> str:
        return " / ".join(str(counts[client, server, verdict]) for verdict in VERDICTS)

    head = ["client \\ server", *order]
    body = [[client, *(cell(client, server) for server in order)] for client in order]
    if markdown:
        lines = [head, ["---"] * len(head), *body]
        return [f"| {' | '.join(line)} |" for line in lines]
    widths = [max(len(line[at]) for line in [head, *body]) for at in range(len(head))]
    lines_text = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *body]
    ]
    return [*lines_text, "", f"methods: {' / '.join(VERDICTS)}"]


def pair_lines(found: tuple[Row, ...], client: str, server: str) -> list[str]:
    """Every method of one pair with its verdict and its losses, one a line; below it what stands in, or why not."""
    lines = []
    for row in found:
        if (row.client, row.server) == (client, server):
            lost = ", ".join(f"{path or 'body'} ({loss})" for path, loss in row.losses.items())
            lines.append(f"{row.verdict:10} {row.method} {row.part} toward {row.toward}{f': {lost}' if lost else ''}")
            lines += [f"{'':12}{reason}" for reason in reasons(row)]
    return lines


def reasons(row: Row) -> list[str]:
    """What the broker does in a peer's stead for this kind of message, or what refuses it; for other rows nothing."""
    if row.verdict == "refused":
        return [row.changes[-1]]
    if row.verdict != "emulated":
        return []
    changes = {change.name: change for step in STEPS for change in step.changes}
    by = {one.id: one.by for one in ROWS}
    told: set[str] = set()
    for change in (changes[name] for name in row.changes):
        # A question that is a request here and part of a result there is no Change's own emulation.
        if change.emulates or row.part != "error":
            told.update(name for name in change.rows if change.emulates == "body" or by[name] == "machine")
    return [one.about for one in ROWS if one.id in told]
