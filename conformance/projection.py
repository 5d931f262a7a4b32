"""What of a server's own picture a client of some revision may see, written from the specification's pages.

Works on what the *server's own* client saw directly, so that no value has to be repeated here.
Invariant: nothing here reads the broker's tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from conformance.revisions import has

_CAPABILITIES: Final = {
    "tools": "tools",
    "resources": "resources",
    "prompts": "prompts",
    "logging": "logging",
    "completions": "completions capability",
    "tasks": "tasks",
}
_TOOL_MEMBERS: Final = {
    "title": "titles",
    "annotations": "tool annotations",
    "outputSchema": "structured output",
    "icons": "icons",
    "execution": "execution",
    "meta": "item meta",
}
_MEMBERS: Final = {
    "title": "titles",
    "icons": "icons",
    "meta": "item meta",
    "_meta": "item meta",
    "lastModified": "titles",
    "websiteUrl": "icons",
}


def camel(value: Any) -> Any:
    """The value with absent members (null) left out and Python spellings of wire names made the wire's."""
    if isinstance(value, Mapping):
        return {_camel_key(key): camel(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [camel(each) for each in value]
    return value


def _camel_key(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])_([a-z])", lambda match: match.group(1).upper(), key)


def visible(value: Any, client: str) -> Any:
    """The value without the members that only newer revisions than the client's declare."""
    if isinstance(value, Mapping):
        return {
            key: visible(each, client)
            for key, each in value.items()
            if key not in _MEMBERS or has(client, _MEMBERS[key])
        }
    if isinstance(value, list):
        return [visible(each, client) for each in value]
    return value


def server_capabilities(declared: Mapping[str, Any], client: str, server: str) -> tuple[set[str], set[str]]:
    """The capability keys that a client must see, and those it must not see, of what the server declared."""
    must = {key for key in declared if key in _CAPABILITIES and has(client, _CAPABILITIES[key])}
    completes = has(client, "completions capability") and not has(server, "completions capability")
    # The older revision completes without a capability; a newer client only asks when it is declared.
    if completes and ("prompts" in declared or "resources" in declared):
        must.add("completions")
    never = {key for key, word in _CAPABILITIES.items() if not has(client, word)}
    if not has(server, "tasks"):
        never.add("tasks")
    return must, never


def client_capabilities(declared: Mapping[str, Any], client: str, server: str) -> tuple[set[str], set[str]]:
    """Dotted capability keys that a server must see, and those it must not see, of what the client
    declared."""
    must = {key for key in ("roots", "sampling") if key in declared}
    never = {"tasks"} if not (has(client, "tasks") and has(server, "tasks")) else set()
    if not (has(client, "roots list changes") and has(server, "roots list changes")):
        never.add("roots.listChanged")
    if not (has(client, "elicitation") and has(server, "elicitation")):
        never.add("elicitation")
    elif "elicitation" in declared and _asks_by_form(declared["elicitation"]):
        must.add("elicitation")
    both_newest = has(client, "url elicitation") and has(server, "url elicitation")
    for key, parent in (("url", "elicitation"), ("tools", "sampling"), ("context", "sampling")):
        if not both_newest:
            never.add(f"{parent}.{key}")
        elif isinstance(declared.get(parent), Mapping) and declared[parent].get(key) is not None:
            must.add(f"{parent}.{key}")
    if client == server:  # what an SDK says beyond its revision is its own affair
        never = {key for key in never if not holds(declared, key)}
    return must, never


def _asks_by_form(elicitation: Any) -> bool:
    return not isinstance(elicitation, Mapping) or "url" not in elicitation or "form" in elicitation


def holds(capabilities: Mapping[str, Any], dotted: str) -> bool:
    """Whether the dotted key is there; null is absence, as SDKs print absent members so."""
    value: Any = capabilities
    for key in dotted.split("."):
        if not isinstance(value, Mapping) or value.get(key) is None:
            return False
        value = value[key]
    return True


def tool_differences(
    seen: list[Mapping[str, Any]], direct: list[Mapping[str, Any]], client: str, server: str, shows: set[str]
) -> list[str]:
    """How a tool list differs from what the client's revision lets it see of the server's own list.

    `shows` are the members which this client's SDK hands to the application at all.
    """
    by_name = {tool.get("name"): tool for tool in seen}
    wanted = {tool.get("name"): tool for tool in direct}
    found: list[str] = []
    if set(by_name) != set(wanted):
        found.append(f"names differ: {sorted(set(by_name) ^ set(wanted), key=str)}")
    for name in sorted(set(by_name) & set(wanted), key=str):
        found.extend(
            f"{name}: {text}" for text in _tool(camel(by_name[name]), camel(wanted[name]), client, server, shows)
        )
    return found


def _tool(seen: Mapping[str, Any], direct: Mapping[str, Any], client: str, server: str, shows: set[str]) -> list[str]:
    found: list[str] = []
    for member, word in _TOOL_MEMBERS.items():
        if not has(client, word) and seen.get(member):
            found.append(f"{member} of a newer revision is shown")
    title = direct.get("title")
    annotations = direct.get("annotations") or {}
    if title and has(client, "titles") and "title" in shows and seen.get("title") != title:
        found.append(f"title is {seen.get('title')!r}, not {title!r}")
    if has(client, "tool annotations") and "annotations" in shows:
        shown = seen.get("annotations") or {}
        for key, value in annotations.items():
            if shown.get(key) != value:
                found.append(f"annotations.{key} is {shown.get(key)!r}, not {value!r}")
        if title and not has(client, "titles") and shown.get("title") != annotations.get("title", title):
            found.append(f"annotations.title is {shown.get('title')!r}; the title has nowhere else to go")
    for member in ("outputSchema", "icons", "execution", "meta"):
        word = _TOOL_MEMBERS[member]
        wanted = bool(direct.get(member)) and has(client, word) and has(server, word)
        if wanted and member in shows and not seen.get(member):
            found.append(f"{member} is lost")
    return found


def tool_members_shown(lists: list[Mapping[str, Any]]) -> set[str]:
    """The members some tool of the list has: what an SDK lets its application see."""
    return {member for tool in lists for member, value in camel(tool).items() if value}


def json_blocks(texts: list[Any]) -> list[Any]:
    """The values of those texts that are JSON."""
    values = []
    for text in texts:
        try:
            values.append(json.loads(text))
        except (TypeError, ValueError):
            continue
    return values
