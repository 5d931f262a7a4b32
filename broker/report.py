"""What is certain to be lost between one client's revision and one server's catalogue, before any call.

Every fact is found by running the lanes the broker runs over what the server listed, and by the compatibility table of
the pair; words, paths and losses are those that are counted at run time. Invariant: nothing here decides how a message
is translated, and nothing is said of an entry that its translation did not show.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from broker.report_bridge import NO_STREAM, QUESTIONS, Bridge, announced, between, cannot_ask
from broker.report_finding import VERDICTS, Finding, Verdict, worst
from broker.report_rules import Judgement
from protocol_versions import by_id
from protocol_versions.base import Slot
from protocol_versions.shapes import members
from translators import compat
from translators.context import Context
from translators.handshake import Peers, welcome
from translators.loss import Loss, Noted
from translators.mirrored import annotations_of
from translators.session_client.machine import SESSION
from translators.stateless_client.greeting import unannounced
from translators.stateless_client.listening import LISTEN
from translators.translation import trace, translate
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_capabilities import discover_result, initialize_result

KINDS: Final = {
    "tools": ("tools/list", "tools", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "templates": ("resources/templates/list", "resourceTemplates", "uriTemplate"),
    "prompts": ("prompts/list", "prompts", "name"),
}
"""Each kind of entry: the list it is in, the member, and what names it."""

_SERVED_BY: Final = {"completion": "completions", "logging": "logging", "tasks": "tasks"} | {
    kind: kind for kind in ("tools", "prompts", "resources")
}
"""The server's capability behind the methods with this beginning."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole picture of one server for clients of one revision. `incomplete` lists were not read to their end.

    `between` is what a client without sessions meets before a server with them, whatever it calls; `caller` is whose
    rules these are, empty if there are none.
    """

    name: str
    client: str
    caller: str = ""
    server: str
    server_info: Any
    capabilities: tuple[Finding, ...]
    methods: tuple[Finding, ...]
    between: tuple[Finding, ...]
    entries: dict[str, tuple[Finding, ...]]
    incomplete: dict[str, str]


def make(
    name: str, client: str, server: str, greeting: Body, lists: dict[str, list[Body]], *,
    incomplete: dict[str, str], rules: Judgement | None = None, bridge: Bridge | None = None,
) -> Report:  # fmt: skip
    """The report on a greeting (the result of `initialize` or `server/discover`) and the lists that followed.

    `bridge` is given for a client without sessions before a server with them, `rules` where the operator has some.
    """
    rules = rules or Judgement()
    rules.learn(lists.get("tools/list", ()))
    silent = bridge is not None and not bridge.ways.standing
    shown, info = _greeted(client, server, copy.deepcopy(greeting), silent=silent)
    declared = _object(greeting.get("capabilities"))
    found = {
        kind: tuple(_entry(kind, entry, client, server, rules) for entry in lists[method])
        for kind, (method, _, _) in KINDS.items()
        if method in lists
    }
    return Report(
        name=name,
        client=client,
        caller=rules.caller,
        server=server,
        server_info=info,
        capabilities=tuple(_capabilities(declared, shown, silent=silent)),
        methods=tuple(_methods(client, server, declared, shown, found, bridge, rules)),
        between=between(bridge, server, declared, shown) if bridge is not None else (),
        entries=found,
        incomplete=incomplete,
    )


# ---- the greeting -------------------------------------------------------------------------------------------------


def _greeted(client: str, server: str, greeting: Body, *, silent: bool) -> tuple[Body, Any]:
    """(the capabilities the client is shown, who the server says it is)."""
    sessions = by_id(client).traits.sessions
    if sessions and not by_id(server).traits.sessions:
        greeting = initialize_result(greeting, SESSION)
    if not sessions and by_id(server).traits.sessions:
        shown, info = _greeted(SESSION, server, greeting, silent=silent)
        declared: Body = discover_result({"capabilities": shown})["capabilities"]
        return unannounced(declared) if silent else declared, info
    if not sessions:
        meta = greeting.get("_meta")
        info = meta.get("io.modelcontextprotocol/serverInfo") if isinstance(meta, dict) else None
        return greeting.get("capabilities") or {}, info
    info = copy.deepcopy(greeting.get("serverInfo"))
    peers = Peers(client=client, offer=str(greeting["protocolVersion"]))
    shown = welcome(peers, greeting, Context(method="initialize")) or {}
    return shown.get("capabilities") or {}, info


def _capabilities(declared: Body, shown: Body, *, silent: bool) -> Iterable[Finding]:
    for name in [*declared, *(name for name in shown if name not in declared)]:
        if name not in declared:
            yield Finding(name=name, verdict="emulated", said=("the broker declares and keeps it",))
        elif name not in shown:
            yield Finding(name=name, verdict="refused", said=("not declared to the client",))
        else:
            said = tuple(
                f"{member} {what}"
                for what, members in _differences(_object(declared[name]), _object(shown[name])).items()
                for member in members
            )
            lost = silent and any(text.endswith("dropped") for text in said)
            verdict: Verdict = "degraded" if lost else "rewritten" if said else "identical"
            yield Finding(name=name, verdict=verdict, said=(*said, NO_STREAM) if lost else said)


def _object(value: Any) -> Body:
    return value if isinstance(value, dict) else {}


# ---- methods ------------------------------------------------------------------------------------------------------


def _methods(
    client: str, server: str, declared: Body, shown: Body, entries: dict[str, tuple[Finding, ...]],
    bridge: Bridge | None, rules: Judgement,
) -> Iterable[Finding]:  # fmt: skip
    """Every method the client can meet and the server's capabilities make possible, as the table has it.

    What the entries of a list lose is known, and is said with them; of other messages it is said what they may lose.
    """
    rows: dict[str, list[compat.Row]] = {}
    known = {slot.method for slot in by_id(client).types} | set(QUESTIONS)
    for row in compat.table():
        if (row.client, row.server) == (client, server) and row.method in known and row.part != "error":
            capability = _SERVED_BY.get(row.method.partition("/")[0])
            if capability is None or capability in declared or capability in shown:
                rows.setdefault(row.method, []).append(row)
    listed = {KINDS[kind][0]: [entry.verdict for entry in found] for kind, found in entries.items()}
    for method, parts in rows.items():
        lossy = ((row, path) for row in parts for path, loss in row.losses.items() if loss is Loss.DEGRADED)
        paths = {path for row, path in lossy if _sayable(row, path)}
        verdict = worst(row.verdict for row in parts)
        said: tuple[str, ...] = ()
        if verdict == "refused":
            said = (_unasked(server),) if method in QUESTIONS else ()
        elif bridge is not None and method in QUESTIONS and cannot_ask(bridge):
            verdict, said = "refused", (f"{_unasked(server)}: {cannot_ask(bridge)}",)
        elif bridge is not None and method == LISTEN and not bridge.ways.standing and announced(declared):
            verdict, said = "degraded", (f"acknowledges nothing: {NO_STREAM}",)
        elif method in listed:
            verdict = worst((verdict, "degraded" if {"degraded", "refused"} & set(listed[method]) else "identical"))
        elif paths:
            verdict = "degraded"
            said = (f"may lose {', '.join(sorted(path or 'the whole message' for path in paths))}",)
        why = rules.refused(method, client=method not in QUESTIONS)
        verdict, said = ("refused", (why,)) if why else (verdict, said)
        changes = tuple(dict.fromkeys(change for row in parts for change in row.changes))
        yield Finding(name=method, verdict=verdict, said=said, changes=changes)


def _sayable(row: compat.Row, path: str) -> bool:
    """True unless the path is one member that no message of its writer's revision has."""
    writer = by_id(row.server if row.toward == "client" else row.client)
    shapes = writer.shapes(Slot(row.part, row.method, row.toward))
    return not shapes or not path.isidentifier() or any(path in members(shape) for shape in shapes)


def _unasked(server: str) -> str:
    """What comes of a question that the client's revision does not have."""
    if by_id(server).traits.sessions:
        return "the server is told that this client cannot be asked"
    return "a tool that asks fails, and says in plain text what the client lacks"


# ---- entries ------------------------------------------------------------------------------------------------------


def _entry(kind: str, entry: Body, client: str, server: str, rules: Judgement) -> Finding:
    method, member, key = KINDS[kind]
    name = str(entry.get(key, ""))
    why = rules.hidden(kind, name)
    if why:
        return Finding(name=name, verdict="refused", said=(why,))
    if kind == "tools" and not by_id(server).traits.sessions and annotations_of(entry.get("inputSchema")) is None:
        return Finding(name=name, verdict="refused", said=("left out: its header annotations break the rules",))
    pair: dict[str, Any] = {"method": method, "part": "result", "client": client, "server": server}
    done = translate({member: [entry]}, **pair)
    kept = done.body[member] if isinstance(done.body, dict) and isinstance(done.body.get(member), list) else []
    touched = _touched(member, entry, pair)
    verdicts: list[Verdict] = ["refused" if not kept else "identical" if kept[0] == entry else "rewritten"]
    said = [f"left out ({', '.join(touched.get('', ['repair']))})"] if not kept else [*rules.called(kind, name)]
    losses = list(done.losses)
    for what, names in _differences(entry, kept[0]).items() if kept else ():
        said += [f"{name} {what} ({', '.join(touched.get(name, [])) or 'repair'})" for name in names]
    if kept and kind == "tools" and "outputSchema" in entry:
        output, lost = _output(entry, client, server)
        said += output
        losses += lost
        verdicts += ["rewritten"] if output else []
    verdicts += ["degraded"] if kept and any(noted.loss is Loss.DEGRADED for noted in losses) else []
    return Finding(name=name, verdict=worst(verdicts), said=tuple(said), losses=tuple(losses))


def _touched(member: str, entry: Body, pair: dict[str, Any]) -> dict[str, list[str]]:
    """The Changes that acted on each member of an entry; "" names the one that left it out."""
    found: dict[str, list[str]] = {}
    for act in trace({member: [entry]}, **pair):
        before, after = _only(act.before, member), _only(act.after, member)
        if after is None:
            return {"": [act.change.name]}
        for what, names in _differences(before, after).items():
            for name in names:
                # What is gone in the end was taken by one Change; what others did to it before does not matter.
                found[name] = [] if what == "dropped" else found.get(name, [])
                found[name].append(act.change.name)
    return found


def _only(body: Body | None, member: str) -> Any:
    found = body.get(member) if body is not None else None
    return found[0] if isinstance(found, list) and found else None


def _output(tool: Body, client: str, server: str) -> tuple[list[str], list[Noted]]:
    """What becomes of structured output, found out with an empty value of the kind its schema describes."""
    value = _sample(tool["outputSchema"])
    context = Context(
        method="tools/call", request={"name": tool.get("name")}, facts={"tools": {tool.get("name"): tool}}
    )
    body: Body = {"content": [], "structuredContent": value}
    done = translate(body, method="tools/call", part="result", client=client, server=server, context=context)
    if not isinstance(done.body, dict):
        return ["its structured output is refused"], list(done.losses)
    shown = done.body.get("structuredContent", msgspec.UNSET)
    losses = [noted for noted in done.losses if noted.path.startswith(("structuredContent", "content"))]
    said = []
    if shown is msgspec.UNSET:
        said.append("structured output is said as text" if done.body.get("content") else "structured output is dropped")
    elif shown != value:
        said.append("structured output is wrapped in an object")
    return said, losses


_EMPTY: Final[dict[str, Any]] = {
    "array": [], "string": "", "number": 0, "integer": 0, "boolean": False, "null": None
}  # fmt: skip


def _sample(schema: Any) -> Any:
    """An empty value of a schema's type; of a choice, of the first that is not an object."""
    kinds = schema.get("type", "object") if isinstance(schema, dict) else "object"
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return next((copy.copy(_EMPTY[kind]) for kind in kinds if kind in _EMPTY), {})


def _differences(before: Body, after: Body) -> dict[str, list[str]]:
    """Members by what happened to them: dropped, added, rewritten."""
    return {
        "dropped": [name for name in before if name not in after],
        "added": [name for name in after if name not in before],
        "rewritten": [name for name in before if name in after and before[name] != after[name]],
    }


__all__ = ["KINDS", "VERDICTS", "Finding", "Report", "Verdict", "make", "worst"]
