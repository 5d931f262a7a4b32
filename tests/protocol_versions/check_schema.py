"""Compares the revision modules with the official schemas, definition by definition.

    python -m tests.protocol_versions.check_schema DIR [--write]

DIR holds <revision>/schema.json of modelcontextprotocol/modelcontextprotocol. The command checks the sha256 each
module names, that the digests beside this file say what the schemas say (`--write` writes them), and that the
modules agree with the digests but for the differences listed here. The tests do the last from the digests alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from protocol_versions import REVISIONS
from protocol_versions.base import Revision, Side, Slot
from tests.protocol_versions.normal import Form, differences, of_schema, of_shapes, of_struct, resolved

DIGESTS = Path(__file__).parent / "fixtures"
ENVELOPE = "envelope "  # marks definitions used for their method or code, not as a shape
OLD_META = "2024-11-05 2025-03-26 2025-06-18"  # their schemas spell `_meta` of params on the generic bases only

# (revisions, pattern of a difference, why it is right)
LISTED: tuple[tuple[str, str, str], ...] = (
    ("2025-11-25", "params tasks/*._meta: not in the schema", "every request's params may hold `_meta`"),
    (
        "2025-11-25",
        "notification notifications/elicitation/complete *._meta: not in the schema",
        "every notification's params may hold `_meta`",
    ),
    ("2025-06-18", "result elicitation/create *.content.*|: *", "schema.ts says number where schema.json says integer"),
    ("2025-11-25", "result elicitation/create *.content.*|: *", "as above"),
    ("2026-07-28", '*.content.*|: "integer" in the schema, "number" here', "as above"),
    (
        "2026-07-28",
        '*.resultType: "string" in the schema, {"enum": ["input_required"]} here',
        "the value that tells an interim result from a final one (basic/patterns/mrtr)",
    ),
)

# Definitions that no body is made of, and why.
UNUSED: dict[str, str] = {
    "JSONRPC*": "framing: protocol_versions/jsonrpc.py",
    "Error": "framing: protocol_versions/jsonrpc.py",
    "RequestId": "framing: protocol_versions/jsonrpc.py",
    "ClientRequest": "an index of requests, compared with the slots",
    "ServerRequest": "an index of requests, compared with the slots",
    "ClientNotification": "an index of notifications, compared with the slots",
    "ServerNotification": "an index of notifications, compared with the slots",
    "ClientResult": "an index of results",
    "ServerResult": "an index of results",
    "Request": "a generic base",
    "Notification": "a generic base",
    "Result": "a generic base",
    "PaginatedRequest": "a generic base",
    "PaginatedRequestParams": "a generic base",
    "PaginatedResult": "a generic base",
    "CacheableResult": "a generic base",
    "ResourceRequestParams": "a generic base",
    "ResourceContents": "a generic base",
    "Annotated": "a generic base",
    "BaseMetadata": "a generic base",
    "Icons": "a generic base",
    "TaskAugmentedRequestParams": "a generic base",
    "InputResponseRequestParams": "a generic base",
    "Cursor": "named only in prose of 2024-11-05",
    "EnumSchema": "a union that PrimitiveSchemaDefinition spells out",
    "SingleSelectEnumSchema": "a union that PrimitiveSchemaDefinition spells out",
    "MultiSelectEnumSchema": "a union that PrimitiveSchemaDefinition spells out",
    "RelatedTaskMetadata": "the value of a `_meta` key",
    "ResultType": "an alias",
    "EmptyResult": "an alias",
    "JSONArray": "part of JSONValue, which is any JSON",
    "JSONValue": "any JSON, wherever it is used",
    "*Error": "error objects without data",
}

RESULTS = {
    "completion/complete": "CompleteResult",
    "elicitation/create": "ElicitResult",
    "initialize": "InitializeResult",
    "logging/setLevel": "EmptyResult",
    "ping": "EmptyResult",
    "prompts/get": "GetPromptResult",
    "prompts/list": "ListPromptsResult",
    "resources/list": "ListResourcesResult",
    "resources/read": "ReadResourceResult",
    "resources/subscribe": "EmptyResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/unsubscribe": "EmptyResult",
    "roots/list": "ListRootsResult",
    "sampling/createMessage": "CreateMessageResult",
    "server/discover": "DiscoverResult",
    "subscriptions/listen": "SubscriptionsListenResult",
    "tasks/cancel": "CancelTaskResult",
    "tasks/get": "GetTaskResult",
    "tasks/list": "ListTasksResult",
    "tasks/result": "GetTaskPayloadResult",
    "tools/call": "CallToolResult",
    "tools/list": "ListToolsResult",
}
# Results that may stand in for the usual one; the schemas say so in prose or in the response definitions.
STAND_INS = {
    ("2025-11-25", "tools/call"): "CreateTaskResult",
    ("2025-11-25", "sampling/createMessage"): "CreateTaskResult",
    ("2025-11-25", "elicitation/create"): "CreateTaskResult",
    ("2026-07-28", "tools/call"): "InputRequiredResult",
    ("2026-07-28", "prompts/get"): "InputRequiredResult",
    ("2026-07-28", "resources/read"): "InputRequiredResult",
}
_JSON = {"JSONValue": "any", "JSONObject": {"map": "any"}}  # recursive, and without null: any JSON is meant


def digest(schema: bytes) -> dict[str, Any]:
    """What a schema says, without its prose: sha256 and the form of every definition."""
    tree = json.loads(schema)
    definitions = tree.get("$defs") or tree["definitions"]
    forms = {name: of_schema(definition) for name, definition in sorted(definitions.items())}
    return {
        "sha256": hashlib.sha256(schema).hexdigest(),
        "definitions": forms | {k: _JSON[k] for k in _JSON if k in forms},
    }


def read_digest(revision: Revision) -> dict[str, Any]:
    """The digest kept beside this file."""
    read: dict[str, Any] = json.loads((DIGESTS / f"{revision.id}.json").read_text(encoding="utf-8"))
    return read


def write_digest(revision: Revision, content: dict[str, Any]) -> None:
    """Keeps a digest, one definition a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(form)}" for name, form in content["definitions"].items()]
    text = f'{{"sha256": "{content["sha256"]}", "definitions": {{\n' + ",\n".join(lines) + "\n}}\n"
    DIGESTS.mkdir(exist_ok=True)
    (DIGESTS / f"{revision.id}.json").write_text(text, encoding="utf-8")


def module_sha256(revision: Revision) -> str:
    """The sha256 of the schema a revision's module says it was written against."""
    sha: str = import_module(f"protocol_versions.v{revision.id.replace('-', '_')}").SCHEMA_SHA256
    return sha


def compare(revision: Revision, content: dict[str, Any]) -> tuple[list[str], set[str]]:
    """The differences between a revision and its digest, and the definitions no slot needed."""
    definitions: dict[str, Form] = content["definitions"]
    seen: dict[str, Form] = {}
    found: list[str] = []
    official = dict(_slots(revision, definitions, seen))
    for slot in sorted(official.keys() | revision.types.keys()):
        label = f"{slot.part} {slot.method} toward {slot.toward}"
        if slot not in revision.types:
            found.append(f"{label}: missing here")
        elif slot not in official:
            found.append(f"{label}: not in the schema")
        else:
            form = resolved(official[slot], definitions, seen)
            found += differences(label, _with_generic_meta(revision, slot, form), of_shapes(revision.shapes(slot)))
    for code, shape in revision.errors.items():
        name = next(name for name, form in definitions.items() if _code_of(form) == code)
        form = resolved(definitions[name], definitions, seen)["object"]["error"]
        seen[f"{ENVELOPE}{name}"] = "any"
        found += differences(f"error {code}", form, of_struct(shape))
    for side in ("Client", "Server"):
        shape = revision.client_capabilities if side == "Client" else revision.server_capabilities
        found += differences(side, resolved({"ref": f"{side}Capabilities"}, definitions, seen), of_struct(shape))
    return found, definitions.keys() - {name.removeprefix(ENVELOPE) for name in seen}


def _slots(revision: Revision, definitions: dict[str, Form], seen: dict[str, Form]) -> Iterator[tuple[Slot, Form]]:
    """Every slot the schema's indices name, with the form of its body."""
    senders: tuple[Side, Side] = ("client", "server")
    asks = "ServerRequest" if "ServerRequest" in definitions else "InputRequest"
    for index, sender in zip(("ClientRequest", asks), senders, strict=True):
        for name in _members(definitions, index):
            seen[f"{ENVELOPE}{name}"] = "any"
            members = definitions[name]["object"]
            method = members["method"]["enum"][0]
            yield Slot("params", method, _other(sender)), members.get("params", {"object": {}, "required": []})
            result: Form = {"ref": RESULTS[method]}
            stand_in = STAND_INS.get((revision.id, method))
            expects = stand_in and Slot("result", method, sender) in revision.types
            yield Slot("result", method, sender), {"either": [result, {"ref": stand_in}]} if expects else result
            seen[f"{ENVELOPE}{RESULTS[method]}Response"] = "any"
    for index, sender in zip(("ClientNotification", "ServerNotification"), senders, strict=True):
        for name in _members(definitions, index):
            seen[f"{ENVELOPE}{name}"] = "any"
            members = definitions[name]["object"]
            method = members["method"]["enum"][0]
            yield Slot("notification", method, _other(sender)), members["params"]


def _other(side: Side) -> Side:
    return "server" if side == "client" else "client"


def _members(definitions: dict[str, Form], index: str) -> list[str]:
    """The definitions an index names; an index of one is that definition itself."""
    form = definitions[index]
    if "either" in form:
        return [part["ref"] for part in form["either"]]
    return [name for name, other in definitions.items() if other == form and name != index]


def _code_of(form: Form) -> int | None:
    """The error code an error response definition is for."""
    error = form.get("object", {}).get("error", {}) if isinstance(form, dict) else {}
    for part in error.get("all", ()):
        code = part.get("object", {}).get("code")
        if code is not None:
            value: int = code["enum"][0]
            return value
    return None


def _with_generic_meta(revision: Revision, slot: Slot, form: Form) -> Form:
    """Adds the `_meta` that the older schemas spell on `Request` and `Notification` only."""
    if revision.id not in OLD_META.split() or slot.part == "result":
        return form
    token = {"object": {"progressToken": {"either": ["integer", "string"]}}, "required": []}
    meta = token if slot.part == "params" else {"map": "any"}
    return {**form, "object": dict(sorted({"_meta": meta, **form["object"]}.items()))}


def listed(revision: Revision) -> list[str]:
    """The patterns of the differences listed for a revision."""
    return [pattern for revisions, pattern, _ in LISTED if revision.id in revisions.split()]


def unlisted(revision: Revision, content: dict[str, Any]) -> list[str]:
    """Differences and unused definitions that are not listed above."""
    found, unused = compare(revision, content)
    left = [line for line in found if not any(like(line, pattern) for pattern in listed(revision))]
    left += [
        f"{name}: a definition nothing here uses"
        for name in sorted(unused)
        if not any(fnmatchcase(name, pattern) for pattern in UNUSED)
    ]
    return left


def like(line: str, pattern: str) -> bool:
    """True if a difference is the one listed; only `*` is special."""
    return fnmatchcase(line, pattern.replace("[", "[[]"))


def main(arguments: list[str]) -> int:
    """The command; 0 if everything agrees."""
    folder, write = Path(arguments[0]), "--write" in arguments[1:]
    failures = 0
    for revision in REVISIONS:
        content = digest((folder / revision.id / "schema.json").read_bytes())
        if write:
            write_digest(revision, content)
        lines = unlisted(revision, content)
        if content["sha256"] != module_sha256(revision):
            lines.append("the module names another sha256")
        if content != read_digest(revision):
            lines.append("the digest says something else than the schema")
        counts = f"{len(content['definitions'])} definitions, {len(revision.types)} slots"
        print(f"{revision.id}: {counts}, {len(lines)} unlisted differences")
        print("".join(f"  {line[:300]}\n" for line in lines), end="")
        failures += len(lines)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
