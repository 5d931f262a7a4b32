"""A report for people: what stays as it is in a line, what does not one by one.

Text of servers is escaped, so that it can neither forge a line nor drive a terminal.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from broker.report import Report
from broker.report_finding import VERDICTS, Finding

LONGEST: Final = 200  # characters of a server's own text in a line; a log value has as many
NOUNS: Final = {"tools": "tool", "resources": "resource", "templates": "template", "prompts": "prompt"}


def lines(report: Report) -> list[str]:
    """The report as lines of text."""
    info = report.server_info if isinstance(report.server_info, dict) else {}
    title = clean(f"{info.get('name', 'a server')} {info.get('version', '')}".strip())
    who = f", as {clean(report.caller)}" if report.caller else ""
    found = [f"{report.name}: {title} speaks {report.server}; a client speaks {report.client}{who}", ""]
    found += _section("capabilities", report.capabilities)
    found += _section("methods", report.methods)
    found += _section("between them", report.between)
    for kind, entries in report.entries.items():
        found += _section(kind, entries)
    found += [f"not read to its end: {method} ({why})" for method, why in report.incomplete.items()]
    return [*found, summary(report)]


def losses(report: Report) -> list[str]:
    """What is degraded or refused, one by one, each line with what it is of."""
    sections = {"capability": report.capabilities, "method": report.methods, "between them": report.between}
    sections |= {NOUNS[kind]: entries for kind, entries in report.entries.items()}
    found = []
    for title, findings in sections.items():
        for finding in findings:
            if finding.verdict in ("degraded", "refused"):
                said = f": {'; '.join(map(clean, finding.said))}" if finding.said else ""
                found.append(f"{finding.verdict:9} {title} {clean(finding.name)}{said}")
    return [*found, *(f"not read to its end: {method} ({why})" for method, why in report.incomplete.items())]


def summary(report: Report) -> str:
    """How many entries of each kind there are of each verdict, in a line."""
    parts = []
    for kind, entries in report.entries.items():
        counts = Counter(entry.verdict for entry in entries)
        several = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        parts.append(f"{kind}: {several or 'none'}")
    return "; ".join(parts) or "the server lists nothing"


def clean(value: Any) -> str:
    """Short text without control characters."""
    text = str(value)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _section(title: str, findings: tuple[Finding, ...]) -> list[str]:
    """One line for all of a verdict that nothing more is to be said of, and one each for the others."""
    if not findings:
        return []
    rows = [title]
    for verdict in VERDICTS:
        meant = [finding for finding in findings if finding.verdict == verdict]
        short = [clean(finding.name) for finding in meant if not finding.said]
        rows += [f"  {verdict:11} {', '.join(short)}"] if short else []
        for finding in meant:
            rows += (
                [f"  {verdict:11} {clean(finding.name)}: {'; '.join(map(clean, finding.said))}"] if finding.said else []
            )
    return [*rows, ""]
