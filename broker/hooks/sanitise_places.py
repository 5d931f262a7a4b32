"""What the strings of a message are for, as far as it decides what may become of them.

    text      is read by people and models        rewritten
    data      is free-form, names included        rewritten, names too
    fixed     must come back or be told apart     never rewritten: what holds it is left out, or the message is refused
    base64    holds a document or media           decoded if it is text, rewritten and encoded again

Names of tools and prompts, URIs, cursors and the words of a schema are fixed: a call that uses another spelling would
reach nothing. What no table here names is free-form, so that members of later revisions are looked through as well.
Follows the schemas of all revisions: tools, prompts, resources, sampling, elicitation, tasks.
"""

from __future__ import annotations

from typing import Final

DROPPABLE: Final = frozenset(
    ("tools", "prompts", "resources", "resourceTemplates", "content", "contents", "messages", "icons", "values")
)
"""Lists whose items may be left out one by one."""

PROTOCOL: Final = DROPPABLE | frozenset(
    (
        "arguments", "completion", "elicitations", "hints", "inputRequests", "modelPreferences", "notifications",
        "params", "resource", "serverInfo", "task", "tasks",
    )
)  # fmt: skip
"""Members whose inside has members of the protocol again."""

SCHEMAS: Final = frozenset(("inputSchema", "outputSchema", "requestedSchema"))

FIXED: Final = frozenset(
    (
        "audience", "cacheScope", "createdAt", "elicitationId", "id", "includeContext", "lastModified", "lastUpdatedAt",
        "level", "method", "mimeType", "mode", "nextCursor", "progressToken", "protocolVersion", "requestId",
        "requestState", "requestedRevision", "resourceSubscriptions", "resultType", "role", "src", "status",
        "supportedVersions", "taskId", "theme", "toolChoice", "toolUseId", "type", "uri", "uriTemplate", "url",
    )
)  # fmt: skip

NAMED: Final = frozenset(("tools", "prompts", "arguments"))
"""Lists whose items are called by their `name`."""

TOOL_USE: Final = "tool_use"
MEDIA: Final = frozenset(("image", "audio"))

OPTIONAL: Final = frozenset(
    ("description", "instructions", "logger", "reason", "statusMessage", "systemPrompt", "title", "websiteUrl")
)
"""Texts that may be absent."""

TEXTS: Final = frozenset(("message", "model", "name", "stopReason", "text", "version"))
"""Texts that may not."""

KNOWN: Final = PROTOCOL | SCHEMAS | FIXED | OPTIONAL | TEXTS | frozenset(
    (
        "_meta", "annotations", "blob", "capabilities", "code", "data", "hasMore", "input", "isError", "maxTokens",
        "metadata", "pollInterval", "progress", "required", "size", "sizes", "stopSequences", "structuredContent",
        "temperature", "total", "ttl", "ttlMs",
    )
)  # fmt: skip
"""Names of members that are the protocol's own, and hold nothing of anybody."""

SCHEMA_MAPS: Final = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
"""Words of a schema whose members are named by the schema's author; arguments are sent under these names."""

SCHEMA_INSIDE: Final = frozenset(
    (
        "additionalItems", "additionalProperties", "allOf", "anyOf", "contains", "contentSchema", "else", "if", "items",
        "not", "oneOf", "prefixItems", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    )
)  # fmt: skip
"""Words of a schema that hold schemas."""

SCHEMA_TEXTS: Final = frozenset(("$comment", "default", "description", "enumNames", "examples", "title"))
"""Words of a schema that say something to people; all others decide what is valid, or which header is sent."""

MIN_NUMBER: Final = 10**7
"""Integers below are no card and no telephone number."""

_TEXT_TYPES: Final = frozenset(
    (
        "ecmascript", "graphql", "javascript", "json", "ld+json", "pem-certificate-chain", "rtf", "sql", "toml",
        "x-javascript", "x-ndjson", "x-pem-file", "x-sh", "x-www-form-urlencoded", "x-yaml", "xml", "yaml",
    )
)  # fmt: skip
_MEDIA_TYPES: Final = ("image/", "audio/", "video/", "font/")


def is_text(mime: str) -> bool:
    """True for a media type whose bytes are text (RFC 6838, RFC 6839)."""
    kind = mime.partition(";")[0].strip().lower()
    return (
        kind.startswith("text/")
        or kind.endswith(("+json", "+xml", "+yaml"))
        or (kind.startswith("application/") and kind.removeprefix("application/") in _TEXT_TYPES)
    )


def may_be_text(mime: str) -> bool:
    """True for a media type that does not say what its bytes are."""
    kind = mime.partition(";")[0].strip().lower()
    return not kind.startswith(_MEDIA_TYPES)
