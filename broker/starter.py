"""What `dragoman init` writes: a configuration with comments, and the JSON schema that editors check it with.

The schema is generated from the settings (`dragoman schema`), and a copy is published with the package as
`broker/dragoman.schema.json`. The configuration names the schema beside it, so that neither needs the other's source.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any, Final

SCHEMA: Final = "dragoman.schema.json"

STARTER: Final = f"""\
# yaml-language-server: $schema=./{SCHEMA}
#
# Configuration of the broker: `dragoman serve FILE` serves it, `dragoman validate FILE` checks it.
# ${{NAME}} anywhere in a text is replaced from the environment.

# Where to listen. Others than this machine can reach it only with `keys`, or with `anonymous: allow`.
host: 127.0.0.1
port: 8808

# Who may call: a name and the SHA-256 of the caller's key; `dragoman key new` makes both.
# keys:
#   alice: "0000000000000000000000000000000000000000000000000000000000000000"

# Each server is served at /servers/NAME/mcp, to clients of every revision.
servers:
  example:
    url: http://127.0.0.1:3000/mcp
    # The revision it speaks is found out; pin it if it must not be asked.
    # revision: "2025-06-18"
    # Sent with every request: text, env:NAME or file:PATH (mode 0600).
    # headers:
    #   Authorization: env:EXAMPLE_AUTHORIZATION
    # What of it may be seen; a hidden tool looks as if it did not exist.
    # filter:
    #   tools: {{deny: ["delete_*"]}}

# Deadlines and limits; every one has a default.
# limits:
#   session_ttl_s: 1800

# log:
#   format: auto
#   level: info
"""


def write(path: Path) -> Path:
    """Write a new configuration and the schema beside it; the schema's path.

    Raises:
        OSError: one of them cannot be written; FileExistsError if the configuration, or another schema, is there.
    """
    beside = path.with_name(SCHEMA)
    if beside.exists() and not _is_ours(beside):
        raise FileExistsError(None, f"{beside} is there already, and is not the broker's schema")
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(STARTER)
    beside.write_text(published(), encoding="utf-8", newline="\n")
    return beside


def published() -> str:
    """The schema as it comes with the package."""
    return resources.files("broker").joinpath(SCHEMA).read_text(encoding="utf-8")


def generated() -> str:
    """The schema as the settings give it now."""
    from broker.settings import Settings

    schema: dict[str, Any] = Settings.model_json_schema(mode="validation")
    # Not a key of a file: the command line's form of one server.
    del schema["properties"]["single"]
    schema["properties"]["$schema"] = {"description": "This schema, for editors.", "type": "string"}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Dragoman configuration"}
    return json.dumps(_tidied(schema, top=True), indent=2, ensure_ascii=False) + "\n"


def _is_ours(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")).get("title") == "Dragoman configuration")
    except (OSError, ValueError, AttributeError):
        return False


def _tidied(node: Any, *, top: bool = False) -> Any:
    """Without titles that only repeat names; and closed, as the settings are, to names that match no pattern."""
    if isinstance(node, list):
        return [_tidied(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidied(each) for key, each in node.items() if top or key != "title" or not isinstance(each, str)}
    if "patternProperties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept
