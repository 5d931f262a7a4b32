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
from translators.loss import Noted
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
    reason = "" if done.refusal is None else f"{done.refusal.code} {done.refusal.message}"
    return Story(
        None if out is None else msgspec.json.encode(out),
        done.verdict,
        reason or "nothing is sent",
        done.losses,
        tuple(trace(body, **pair)),
    )


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
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in found:
        counts.setdefault((row.client, row.server), Counter())[row.verdict] += 1

    def cell(client: str, server: str) -> str:
        count = counts.get((client, server))
        return "-" if count is None else " / ".join(str(count[verdict]) for verdict in VERDICTS)

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
    return [*lines_text, "", f"methods: {' / '.join(VERDICTS)}; - is not spoken yet"]


def pair_lines(found: tuple[Row, ...], client: str, server: str) -> list[str]:
    """Every method of one pair with its verdict and its losses, one a line."""
    lines = []
    for row in found:
        if (row.client, row.server) == (client, server):
            lost = ", ".join(f"{path or 'body'} ({loss})" for path, loss in row.losses.items())
            lines.append(f"{row.verdict:10} {row.method} {row.part} toward {row.toward}{f': {lost}' if lost else ''}")
    return lines
