"""Messages before the sanitiser: rules, callers and slots, and where in a body its strings are."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import msgspec

from broker.hooks.base import Caller, CallInfo, Deny, Hook, Pass, Replace, Verdict
from broker.hooks.clearance import Clearance, Grant
from broker.hooks.runner import Runner
from broker.hooks.sanitise import Rule, Sanitise
from broker.hooks.sanitise_detect import SETS, Detector, own
from broker.hooks.sanitise_paths import path_of
from protocol_versions import REVISIONS
from protocol_versions.base import Slot
from protocol_versions.jsonrpc import DEFAULT_LIMITS

CANARY = "canary4711secret"
AWS = "AKIAIOSFODNN7EXAMPLE"
CARD = "4111 1111 1111 1111"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----"
IBAN = "DE89 3704 0044 0532 0130 00"

LEVELS = ("public", "internal", "secret")
CLEARANCE = Clearance(LEVELS, 0, (Grant(2, principals=("key:cleared",)),))
CALL = "tools/call"

Json = dict[str, Any]


def finds(*names: str) -> tuple[Detector, ...]:
    """The detectors of built-in sets; any other name finds itself."""
    return tuple(each for name in names for each in SETS.get(name, (own("own", name),)))


def rule(*names: str, action: Any = "redact", paths: tuple[str, ...] = (), **more: Any) -> Rule:
    """A rule for all but those who are cleared for everything."""
    actions: Any = (action, action, "allow") if isinstance(action, str) else action
    return Rule(actions, finds(*names), tuple(map(path_of, paths)), **more)


def hook(*rules: Rule, **more: Any) -> Sanitise:
    return Sanitise(rules, CLEARANCE, key=b"k" * 32, **more)


def info(method: str = CALL, target: str | None = "x", who: str = "key:other") -> CallInfo:
    return CallInfo(method, target, who, "default", caller=Caller(principal=who, kind="key"))


def judged(sanitise: Hook, body: Json, slot: Slot | None = None, told: CallInfo | None = None) -> Verdict:
    """The verdict on a message as the runner gets it, its members bytes."""
    slot = slot or Slot("result", CALL, "client")
    runner = Runner([sanitise], DEFAULT_LIMITS)
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}
    verdict = runner.judge(slot.part, slot.method, slot.toward, raw, told or info())
    if inspect.isawaitable(verdict):

        async def wait() -> Verdict:
            return await verdict

        return asyncio.run(wait())
    assert isinstance(verdict, Verdict)
    return verdict


def shown(sanitise: Hook, body: Json, slot: Slot | None = None, told: CallInfo | None = None) -> Json:
    """What a client is shown of a body; {"denied": reason} if nothing."""
    verdict = judged(sanitise, body, slot, told)
    if isinstance(verdict, Deny):
        return {"denied": verdict.reason}
    if isinstance(verdict, Replace):
        found: Json = msgspec.json.decode(msgspec.json.encode(verdict.body))
        return found
    assert isinstance(verdict, Pass)
    return body


def text(*texts: str) -> Json:
    return {"content": [{"type": "text", "text": each} for each in texts]}


def texts(result: Json) -> list[str]:
    return [block["text"] for block in result["content"]]


READ = sorted(
    {(revision, slot) for revision in REVISIONS for slot in revision.types if slot.toward == "client"},
    key=lambda each: (each[0].id, each[1]),
)
"""Every body a client may be sent, by revision."""

Place = tuple[str | int, ...]


def leaves(tree: Any, at: Place = ()) -> Iterator[Place]:
    """Where the strings of a tree are; a name of a member is the place of its value with a None behind it."""
    if isinstance(tree, str):
        yield at
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from leaves(value, (*at, name))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*at, index))


def planted(tree: Any, place: Place, value: Any) -> Any:
    """A tree with another value at a place."""
    if not place:
        return value
    first, *rest = place
    if isinstance(tree, list):
        return [planted(each, tuple(rest), value) if index == first else each for index, each in enumerate(tree)]
    return {name: planted(each, tuple(rest), value) if name == first else each for name, each in tree.items()}
