"""The pages, as Markdown. Made anew by `python -m broker.reference`; a test says when that is due."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from broker.audit.fields import reference as audit
from broker.backends.legs import REASONS as OF_LEGS
from broker.metering.catalogue import METRICS
from broker.quotas.meter import REASONS as OF_QUOTAS
from broker.quotas.meter import TEXT as OVER
from broker.reference import scan
from broker.reference.said import NOTES
from broker.starter import generated
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import INTERNAL_ERROR
from protocol_versions.strict import REASONS as OF_READING
from translators import STEPS
from translators.change import Gate
from translators.loss import Loss
from translators.reply import TEXTS

FOLDER: Final = Path(__file__).parent
_MADE: Final = "Made from the code by `python -m broker.reference`; do not edit."


class Page(NamedTuple):
    """One page: its file beside this one, and what makes its text."""

    file: str
    render: Callable[[], str]


def errors() -> str:
    """Every reason, with codes, statuses and texts."""
    found: dict[str, list[scan.Site]] = defaultdict(list)
    for site in scan.errors():
        found[site.reason].append(site)
    for reason, (code, text) in OF_READING.items():
        found[reason].append(scan.Site(reason, code, 0, text, ""))
    for reason in {*OF_LEGS.values(), *TEXTS}:
        found[reason].append(scan.Site(reason, 0, 0, TEXTS.get(reason, ""), ""))
    for reason in OF_QUOTAS.values():
        found[reason].append(scan.Site(reason, INTERNAL_ERROR, 429, OVER, ""))
    rows = []
    for reason, sites in sorted(found.items()):
        codes = {site.code for site in sites if site.code} or {_usual(TEXTS.get(reason, ""))}
        statuses = {site.status for site in sites if site.status}
        texts = {site.text or TEXTS.get(reason, "") for site in sites} - {""}
        rows.append((f"`{reason}`", _each(codes), _each(statuses), " / ".join(sorted(texts))))
    head = _head(
        "Errors",
        'An error that the broker makes says so: `data` is `{"origin": "broker", "reason": REASON}`. Texts are',
        "fixed and quote nobody; `...` stands for a name or number. A call of a live session is answered in HTTP 200",
        "whatever its error; the statuses are those of requests that never became one, and of 2026-07-28, whose pages",
        "demand them. An error without that `data` is the server's own. In the log, reasons of rules are",
        "`policy:RULE` and `policy-error:RULE`, and `denied` to clients.",
    )
    return "\n".join([head, _table(("reason", "JSON-RPC code", "HTTP status", "text"), rows)])


def notes() -> str:
    """Every kind of note and its reasons."""
    reasons: dict[str, set[str]] = defaultdict(set)
    for note in scan.notes():
        reasons[note.kind] |= {note.reason} - {""}
    rows = [
        (f"`{kind}`", NOTES.get(kind, ""), _each(f"`{reason}`" for reason in reasons[kind])) for kind in sorted(reasons)
    ]
    head = _head(
        "Notes",
        "What operators are told: a line of the log whose `event` is the kind (the first few, then samples), and the",
        "counter `dragoman_notes_total`. `refused`, `failed` and `denied` have the reasons of [errors](ERRORS.md)",
        "and of rules besides those listed; `failed` has `internal:TYPE` for a bug of the broker.",
    )
    return "\n".join([head, _table(("kind", "meaning", "reasons in the code"), rows)])


def losses() -> str:
    """Every kind of loss, and every Change that loses something."""
    kinds = {
        Loss.NONE: "Nothing.",
        Loss.COSMETIC: "For display, or a hint.",
        Loss.CARRIED: "The same fact is still elsewhere in the message.",
        Loss.STASHED: "Kept by the conversation, and put back if the message returns.",
        Loss.DEGRADED: "An approximation: counted, logged, reported.",
    }
    parts = [
        _head(
            "Losses",
            "`down` is towards the older revision of a step, `up` towards the newer. `dragoman report` says which of",
            "these a server meets.",
        ),
        _table(("loss", "meaning"), [(f"`{kind}`", kinds[kind]) for kind in Loss]),
    ]
    for step in STEPS:
        parts += [f"## {step.older.id} and {step.newer.id}\n", _table(("Change", "way", "where", "loss"), _lost(step))]
    rows = [(lost.change, f"`{lost.path}`" if lost.path else "", f"`{lost.loss}`") for lost in sorted(scan.losses())]
    parts += ["## Beside the declared operations\n", _table(("Change", "where", "loss"), rows)]
    return "\n".join(parts)


def metrics() -> str:
    """Every metric."""
    rows = [
        (f"`{metric.name}`", metric.kind, _each((f"`{label}`" for label in metric.labels), keep=True), metric.text)
        for metric in METRICS
    ]
    head = _head(
        "Metrics",
        "Served at `/metrics` of the status port. Histograms are in seconds. Labels that are not known in advance are",
        "`other`, and a metric has at most 2,000 sets of labels. Over OpenTelemetry the names have dots, and labels",
        "are attributes; gauges are at `/metrics` alone.",
    )
    return "\n".join([head, _table(("metric", "kind", "labels", "meaning"), rows)])


def configuration() -> str:
    """Every key, with its type, default and meaning."""
    schema: dict[str, Any] = json.loads(generated())
    rows = list(_keys(schema, schema, ""))
    head = _head("Configuration", "The JSON schema is `dragoman schema`. NAME is a name of yours, `[]` an entry.")
    return "\n".join([head, _table(("key", "type", "default", "meaning"), rows)])


PAGES: Final = {
    "errors": Page("ERRORS.md", errors),
    "notes": Page("NOTES.md", notes),
    "losses": Page("LOSSES.md", losses),
    "metrics": Page("METRICS.md", metrics),
    "audit": Page("../audit/FIELDS.md", audit),
    "configuration": Page("CONFIGURATION.md", configuration),
}
"""By the names of `said.SECTIONS`."""


def _head(title: str, *lines: str) -> str:
    return "\n".join([f"# {title}", "", _MADE, "", *lines, ""])


def _usual(text: str) -> int:
    """The code that a text of JSON-RPC begins with the name of."""
    return next((code for name, code in _NAMES.items() if text.startswith(name)), INTERNAL_ERROR)


_NAMES: Final = {
    "Invalid Request": jsonrpc.INVALID_REQUEST,
    "Invalid params": jsonrpc.INVALID_PARAMS,
    "Method not found": jsonrpc.METHOD_NOT_FOUND,
}


def _lost(step: Any) -> list[tuple[str, ...]]:
    rows: dict[tuple[str, ...], None] = {}
    for change in step.changes:
        for way in ("down", "up"):
            for slot, action in change.actions(way).items():
                where = f"{slot.part} `{slot.method}`"
                if isinstance(action, Gate):
                    rows[change.name, way, where, f"{action.verdict}: `{action.reason}`"] = None
                    continue
                for op in action:
                    if op.loss is not Loss.NONE:
                        rows[change.name, way, f"{where} `{op.path}`", f"`{op.loss}`"] = None
    return list(rows)


def _keys(schema: dict[str, Any], node: dict[str, Any], path: str) -> Iterator[tuple[str, ...]]:
    for name, member in node.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        yield (f"`{place}`", _type(schema, member), _default(member), " ".join(member.get("description", "").split()))
        for end, inner in _inside(schema, member, ""):
            yield from _keys(schema, inner, place + end)


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found if isinstance(found, dict) else {}


def _inside(schema: dict[str, Any], node: dict[str, Any], end: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Sections within a member, and how the path to them goes on."""
    node = _resolved(schema, node)
    if "properties" in node:
        yield end, node
    for part in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from _inside(schema, part, end)
    for key in ("additionalProperties", "items"):
        if isinstance(node.get(key), dict):
            yield from _inside(schema, node[key], end + (".NAME" if key == "additionalProperties" else "[]"))
    for part in node.get("patternProperties", {}).values():
        yield from _inside(schema, part, end + ".NAME")


def _type(schema: dict[str, Any], node: dict[str, Any]) -> str:
    node = _resolved(schema, node)
    if "enum" in node or "const" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    parts = [_type(schema, part) for part in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ()))]
    if parts:
        return " or ".join(dict.fromkeys(part for part in parts if part != "null"))
    if node.get("type") == "array" and isinstance(node.get("items"), dict):
        return f"list of {_type(schema, node['items'])}"
    if node.get("type") == "object":
        return "section" if "properties" in node else "names"
    low, high = node.get("minimum", node.get("exclusiveMinimum")), node.get("maximum", node.get("exclusiveMaximum"))
    bounds = f", {'' if low is None else low} to {'' if high is None else high}" if (low, high) != (None, None) else ""
    return f"{node.get('type', 'any')}{bounds}"


def _default(node: dict[str, Any]) -> str:
    value = node.get("default")
    return "" if value in (None, "", [], {}) or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _each(values: Iterable[Any], *, keep: bool = False) -> str:
    found = [str(value) for value in values]
    return ", ".join(found if keep else sorted(found))


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([*lines, ""])
