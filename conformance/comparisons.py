"""Comparisons of what an application saw with what it must see: each gives None, or the difference in words.

A comparison gets the line of the cell and its `Reference`: the server's line and the client's own line,
both direct.
Invariant: no comparison passes on an empty or missing reference; it then says that there is nothing to
compare with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance import projection
from conformance.lines import Line

LINKED_URI: Final = "test://static-text"
WATCHED_URI: Final = "test://watched-resource"
STRUCTURED: Final = {"temperature": 21.5, "unit": "C"}
PROGRESS: Final = [[0.0, 100.0], [50.0, 100.0], [100.0, 100.0]]


@dataclass(frozen=True)
class Reference:
    """The direct runs a line is judged against.

    `server` is this server's line with a client of its own revision and SDK; `client` is this client's line
    with a server of its own revision and SDK; `client_revision` is the client's. Either line is None when
    that run has none.
    """

    server: Line | None
    client: Line | None
    client_revision: str


Compare = Callable[[Line, Reference], str | None]


def ok(line: Line, _reference: Reference) -> str | None:
    """The feature ran."""
    return None if line.status == "ok" else line.brief


def nothing_there(line: Line, _reference: Reference) -> str | None:
    """The server has no such thing and the client is told so, by a refusal or an error result."""
    if line.status in ("refused", "unsupported") or _is_error(line):
        return None
    return f"the feature should not exist, but: {line.brief}"


def ask_refused(line: Line, _reference: Reference) -> str | None:
    """The client's application was asked nothing, and its call ended with a refusal it can read."""
    if line.status == "unsupported":
        return None
    if line.seen.get("asked"):
        return f"the client was asked: {line.brief}"
    if line.status == "refused" or _is_error(line):
        return None
    return f"no refusal: {line.brief}"


def _is_error(line: Line) -> bool:
    """Whether the server answered with an error result; clients that wanted more say `failed` and show it."""
    if line.status == "failed":
        return bool(line.seen.get("texts"))
    return line.status == "ok" and bool(line.seen.get("isError"))


def blocks(*types: str) -> Compare:
    """A successful tool result of exactly these block types, its texts as direct."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok" or _is_error(line):
            return line.brief
        seen = line.seen.get("types")
        if seen != list(types):
            return f"block types {seen}, not {list(types)}"
        if "text" not in types or "resource" in types:
            return None
        return _equal(line, reference, "texts")

    return compare


def link_as_text(line: Line, _reference: Reference) -> str | None:
    """The linked URI is named in a text block, and no block of a newer revision is left."""
    if line.status != "ok" or _is_error(line):
        return line.brief
    if set(line.seen.get("types", ())) != {"text"}:
        return f"block types {line.seen.get('types')}, not only text"
    if not any(LINKED_URI in str(text) for text in line.seen.get("texts", ())):
        return f"no text names {LINKED_URI}: {line.brief}"
    return None


def structured(*, shown: bool) -> Compare:
    """The JSON is in exactly one text block; `structuredContent` is there when `shown`, and only then."""

    def compare(line: Line, _reference: Reference) -> str | None:
        if line.status != "ok" or _is_error(line):
            return line.brief
        said = projection.json_blocks(list(line.seen.get("texts", ())))
        if said.count(STRUCTURED) != 1:
            return f"{said.count(STRUCTURED)} text blocks carry the JSON: {line.brief}"
        value = line.seen.get("structured")
        if value != (STRUCTURED if shown else None):
            return f"structuredContent is {value!r}"
        return None

    return compare


def error_result(line: Line, reference: Reference) -> str | None:
    """A tool's own error: a result with isError and its text."""
    if not _is_error(line):
        return f"no error result: {line.brief}"
    return _equal(line, reference, "texts")


def equal(*keys: str) -> Compare:
    """These members of what was seen are as direct."""

    def compare(line: Line, reference: Reference) -> str | None:
        return _equal(line, reference, *keys)

    return compare


def _equal(line: Line, reference: Reference, *keys: str) -> str | None:
    if line.status != "ok":
        return line.brief
    direct = reference.server
    if direct is None or direct.status != "ok":
        return "nothing to compare with: the direct run did not show it"
    for key in keys:
        if line.seen.get(key) != direct.seen.get(key):
            return f"{key}: {_text(line.seen.get(key))}, direct {_text(direct.seen.get(key))}"
    return None


def as_direct(line: Line, reference: Reference) -> str | None:
    """Everything seen directly is seen, as far as the client's revision can show it; nothing newer is."""
    if line.status != "ok":
        return line.brief
    direct = reference.server
    if direct is None or direct.status != "ok":
        return "nothing to compare with: the direct run did not show it"
    seen = projection.camel(line.seen)
    unseen = _unseen(projection.visible(projection.camel(direct.seen), reference.client_revision), seen, "")
    if unseen:
        return unseen
    newer = _unseen(seen, projection.visible(seen, reference.client_revision), "")
    return f"of a newer revision: {newer}" if newer else None


def _unseen(wanted: Any, seen: Any, path: str) -> str | None:
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        for key, value in wanted.items():
            if key not in seen:
                if value in (None, {}, []):
                    continue
                return f"{path}/{key} is missing"
            if (found := _unseen(value, seen[key], f"{path}/{key}")) is not None:
                return found
        return None
    if isinstance(wanted, list) and isinstance(seen, list):
        if len(wanted) != len(seen):
            return f"{path}: {len(seen)} items, not {len(wanted)}"
        for number, (one, other) in enumerate(zip(wanted, seen, strict=True)):
            if (found := _unseen(one, other, f"{path}/{number}")) is not None:
                return found
        return None
    return None if wanted == seen else f"{path}: {_text(seen)}, not {_text(wanted)}"


def refused_as_direct(line: Line, reference: Reference) -> str | None:
    """The refusal is the server's own: the same code, or the same kind of error result."""
    direct = reference.server
    if direct is None or direct.status not in ("refused", "ok"):
        return "nothing to compare with: the direct run did not show it"
    if direct.status == "ok":
        return None if _is_error(line) == _is_error(direct) and line.status == "ok" else line.brief
    if line.status != "refused":
        return f"not refused: {line.brief}"
    return None if line.code == direct.code else f"code {line.code}, direct {direct.code}"


def progress(line: Line, reference: Reference) -> str | None:
    """Every report, in order, with its message where the server's revision has one and the SDK shows it."""
    if (found := _progress_numbers(line)) is not None:
        return found
    direct = reference.server
    if direct is None or direct.status != "ok":
        return "nothing to compare with: the direct run did not show it"
    wanted, seen = _messages(direct), _messages(line)
    if wanted != seen and any(_messages(reference.client) if reference.client else ()):
        return f"messages {seen}, direct {wanted}"
    return None


def progress_bare(line: Line, _reference: Reference) -> str | None:
    """Every report, in order, without messages."""
    if (found := _progress_numbers(line)) is not None:
        return found
    return f"messages {_messages(line)} of a newer revision" if any(_messages(line)) else None


def _progress_numbers(line: Line) -> str | None:
    if line.status != "ok":
        return line.brief
    seen = [[float(value) for value in report[:2]] for report in line.seen.get("progress", ())]
    return None if seen == PROGRESS else f"reports {seen}, not {PROGRESS}"


def _messages(line: Line) -> list[Any]:
    return [report[2] if len(report) > 2 else None for report in line.seen.get("progress", ())]


def cancelled(line: Line, _reference: Reference) -> str | None:
    """The server's own work was cancelled, once."""
    if line.status != "ok":
        return line.brief
    return None if str(line.seen.get("count")) == "1" else f"{line.seen.get('count')} cancelled, not 1"


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
    return _equal(line, reference, "values")


def asked_as_direct(line: Line, reference: Reference) -> str | None:
    """The application was asked, and its answer reached the server."""
    if (found := _equal(line, reference, "texts")) is not None:
        return found
    asked = projection.camel(line.seen.get("asked") or {})
    if not asked:
        return f"the application was not asked: {line.brief}"
    assert reference.server is not None
    direct = projection.camel(reference.server.seen.get("asked") or {})
    # `mode` is the default spelled out in one revision and unknown in the one before.
    return _unseen({key: value for key, value in direct.items() if key != "mode"}, asked, "asked")


def defaults_dropped(line: Line, _reference: Reference) -> str | None:
    """The form arrives with defaults on booleans alone, and its answer reaches the server."""
    if line.status != "ok" or _is_error(line):
        return line.brief
    for name, schema in _properties(line).items():
        if "default" in schema and schema.get("type") != "boolean":
            return f"{name} has a default that the revision does not know"
    return None if _properties(line) else f"no form was shown: {line.brief}"


def enums_rewritten(line: Line, reference: Reference) -> str | None:
    """The form arrives in enum forms of the client's revision, or the server's ask is refused."""
    if ask_refused(line, reference) is None:
        return None
    if line.status != "ok" or _is_error(line):
        return line.brief
    for name, schema in _properties(line).items():
        if schema.get("type") not in ("string", "number", "integer", "boolean") or {"oneOf", "anyOf"} & set(
            schema
        ):
            return f"{name} has a form that the revision does not know: {_text(schema)}"
    return None if _properties(line) else f"no form was shown: {line.brief}"


def _properties(line: Line) -> dict[str, dict[str, Any]]:
    asked = projection.camel(line.seen.get("asked") or {})
    schema = asked.get("requestedSchema") if isinstance(asked, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return {key: value for key, value in (properties or {}).items() if isinstance(value, dict)}


def initialized(client: str, server: str) -> Compare:
    """The client negotiated exactly its own revision and sees the server's capabilities, projected."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        if line.seen.get("protocolVersion") != client:
            return f"the client negotiated {line.seen.get('protocolVersion')}, not {client}"
        if reference.server is None or reference.server.status != "ok":
            return "nothing to compare with: the direct run did not show it"
        declared = projection.camel(reference.server.seen.get("capabilities") or {})
        seen = projection.camel(line.seen.get("capabilities") or {})
        must, never = projection.server_capabilities(declared, client, server)
        return _capability_difference(seen, must, never) or _flags_lost(declared, seen)

    return compare


def introduced(client: str, server: str) -> Compare:
    """The server was spoken to in exactly its own revision and saw the client's capabilities, projected."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        if line.seen.get("protocolVersion") != server:
            return f"the server saw {line.seen.get('protocolVersion')}, not {server}"
        if reference.client is None or reference.client.status != "ok":
            return "nothing to compare with: the direct run did not show it"
        declared = projection.camel(reference.client.seen.get("capabilities") or {})
        must, never = projection.client_capabilities(declared, client, server)
        return _capability_difference(projection.camel(line.seen.get("capabilities") or {}), must, never)

    return compare


def _capability_difference(seen: Mapping[str, Any], must: set[str], never: set[str]) -> str | None:
    missing = sorted(key for key in must if not projection.holds(seen, key))
    wrong = sorted(key for key in never if projection.holds(seen, key))
    if missing or wrong:
        return f"capabilities missing {missing}, undue {wrong}, seen {_text(seen)}"
    return None


def _flags_lost(declared: Mapping[str, Any], seen: Mapping[str, Any]) -> str | None:
    for key, flags in declared.items():
        for flag, value in flags.items() if isinstance(flags, Mapping) else ():
            if key in seen and value is True and not projection.holds(seen, f"{key}.{flag}"):
                return f"capability {key}.{flag} is lost"
    return None


def tools(client: str, server: str) -> Compare:
    """The server's tools, each with the members that the client's revision has."""

    def compare(line: Line, reference: Reference) -> str | None:
        if line.status != "ok":
            return line.brief
        if reference.server is None or reference.client is None or not reference.server.seen.get("tools"):
            return "nothing to compare with: the direct run did not show it"
        shows = projection.tool_members_shown(list(reference.client.seen.get("tools", ())))
        differences = projection.tool_differences(
            list(line.seen.get("tools", ())), list(reference.server.seen["tools"]), client, server, shows
        )
        return "; ".join(differences[:4]) or None

    return compare


def nothing_stray(line: Line, reference: Reference) -> str | None:
    """The SDK met nothing it could not read, beyond what it meets directly."""
    runs = [run for run in (reference.client, reference.server) if run is not None]
    direct = {_numberless(each) for run in runs for each in run.seen.get("errors", ())}
    new = [each for each in line.seen.get("errors", ()) if _numberless(each) not in direct]
    return None if not new else f"{len(new)} unreadable: {_text(new[0])}"


def _numberless(error: Any) -> str:
    """An SDK's complaint without the ids in it."""
    return re.sub(r"\d+", "#", str(error))


def _text(value: Any, limit: int = 200) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"
