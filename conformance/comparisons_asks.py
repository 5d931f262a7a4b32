"""Comparisons of what the server asks of and tells to the client: samples, forms, updates, list changes.

Follows client/{sampling,elicitation,roots} and the notifications of server/* of each revision.
"""

from __future__ import annotations

import re
from typing import Any, Final

from conformance import projection
from conformance.comparisons import Reference, difference, is_error, short, unseen
from conformance.lines import Line

WATCHED_URI: Final = "test://watched-resource"


def ask_refused(line: Line, _reference: Reference) -> str | None:
    """The client's application was asked nothing, and its call ended with a refusal it can read."""
    if line.status == "unsupported":
        return None
    if line.seen.get("asked"):
        return f"the client was asked: {line.brief}"
    if line.status == "refused" or is_error(line):
        return None
    return f"no refusal: {line.brief}"


def form_refused(line: Line, _reference: Reference) -> str | None:
    """The application was shown no form, whatever else it was asked, and its call ended with a refusal it can read."""
    if any("requestedSchema" in ask for ask in projection.camel(line.seen.get("asked") or [])):
        return f"the client was shown a form: {line.brief}"
    if line.status == "refused" or is_error(line):
        return None
    return f"no refusal: {line.brief}"


def updated(line: Line, _reference: Reference) -> str | None:
    """The subscriber hears of the resource it watches."""
    if line.status != "ok":
        return line.brief
    uris = [str(uri) for uri in line.seen.get("updated", ())]
    return None if uris and set(uris) == {WATCHED_URI} else f"updates {uris}"


def got(line: Line, _reference: Reference) -> str | None:
    """The notification arrived."""
    return None if line.status == "ok" and line.seen.get("got") is True else line.brief


def completion_found(line: Line, reference: Reference) -> str | None:
    """The server's values, or none where the server answers that it completes nothing."""
    direct = reference.server
    if direct is not None and direct.status == "refused":
        return None if line.status == "ok" and line.seen.get("values") == [] else line.brief
    return difference(line, reference, "values")


def asked_as_direct(line: Line, reference: Reference) -> str | None:
    """The application was asked, and its answer reached the server."""
    if (found := difference(line, reference, "texts")) is not None:
        return found
    asked = projection.camel(line.seen.get("asked") or {})
    if not asked:
        return f"the application was not asked: {line.brief}"
    assert reference.server is not None
    direct = projection.camel(reference.server.seen.get("asked") or {})
    # `mode` is the default spelled out in one revision and unknown in the one before.
    return unseen({key: value for key, value in direct.items() if key != "mode"}, asked, "asked")


def defaults_dropped(line: Line, _reference: Reference) -> str | None:
    """The form arrives with defaults on booleans alone, and its answer reaches the server."""
    if line.status != "ok" or is_error(line):
        return line.brief
    for name, schema in _properties(line).items():
        if "default" in schema and schema.get("type") != "boolean":
            return f"{name} has a default that the revision does not know"
    return None if _properties(line) else f"no form was shown: {line.brief}"


def enums_rewritten(line: Line, reference: Reference) -> str | None:
    """The form arrives in enum forms of the client's revision, or the server's ask is refused."""
    if ask_refused(line, reference) is None:
        return None
    if line.status != "ok" or is_error(line):
        return line.brief
    for name, schema in _properties(line).items():
        if schema.get("type") not in ("string", "number", "integer", "boolean") or {"oneOf", "anyOf"} & set(schema):
            return f"{name} has a form that the revision does not know: {short(schema)}"
    return None if _properties(line) else f"no form was shown: {line.brief}"


def _properties(line: Line) -> dict[str, dict[str, Any]]:
    asked = projection.camel(line.seen.get("asked") or {})
    schema = asked.get("requestedSchema") if isinstance(asked, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return {key: value for key, value in (properties or {}).items() if isinstance(value, dict)}


def nothing_stray(line: Line, reference: Reference) -> str | None:
    """The SDK met nothing it could not read, beyond what it meets directly."""
    runs = [run for run in (reference.client, reference.server) if run is not None]
    direct = {_numberless(each) for run in runs for each in run.seen.get("errors", ())}
    new = [each for each in line.seen.get("errors", ()) if _numberless(each) not in direct]
    return None if not new else f"{len(new)} unreadable: {short(new[0])}"


def _numberless(error: Any) -> str:
    """An SDK's complaint without the ids in it."""
    return re.sub(r"\d+", "#", str(error))
