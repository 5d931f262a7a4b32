"""What the sources say of themselves: reasons of errors, kinds of notes, losses, as they stand in calls.

Read from the syntax tree, so that a reason that is new in the code is new on the page. Invariant: only texts that stand
in the code as constants are found; what is put together while running is said on the pages by hand.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from protocol_versions import jsonrpc

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("protocol_versions", "translators", "broker")
WITHOUT: Final = ("broker/reference", "broker/demo", "broker/hosts", "broker/signin", "broker/backends/http1",
                  "broker/backends/via_proxy")  # fmt: skip
"""Where such calls are about something else than errors to clients: how an answer broke HTTP, an issuer, a file."""

SLUG: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
REFUSERS: Final = frozenset(
    ("Refused", "Refusal", "Reject", "bad", "broken", "deny", "refuse", "refuse_if", "_Refusal", "_deny",
     "_refusal", "_refuse", "_refused")
)  # fmt: skip
"""Names of what makes an error of a reason, wherever it is defined."""


class Site(NamedTuple):
    """One place where an error is made. `code` and `status` are 0 where it does not say."""

    reason: str
    code: int
    status: int
    text: str
    file: str


class Noted(NamedTuple):
    """One kind of note, and a reason of it, empty where the reason is not a constant."""

    kind: str
    reason: str


class Lost(NamedTuple):
    """A loss outside of the declared operations."""

    change: str
    path: str
    loss: str


@functools.cache
def trees() -> tuple[tuple[str, ast.Module], ...]:
    """Every source file, by its path in the repository."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            found.append((path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))))  # noqa: PERF401
    return tuple(found)


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """(file, name of what is called, the call) of every call."""
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield file, _called(node.func), node


def errors() -> list[Site]:
    """Where errors are made of a reason that is a constant."""
    found = []
    for file, name, call in calls():
        if name not in REFUSERS or file.startswith(WITHOUT):
            continue
        given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg in _MEMBERS)]
        named = next((keyword.value for keyword in call.keywords if keyword.arg == "reason"), None)
        texts = [_text(each) for each in ([named] if named is not None else given)]
        reasons = [text for text in texts if SLUG.fullmatch(text)]
        if len(reasons) != 1:
            continue
        numbers = [number for number in map(_number, given) if number is not None]
        code = next((number for number in numbers if number < 0), 0)
        status = next((number for number in numbers if 400 <= number < 600), 0)
        text = next((text for text in map(_text, given) if " " in text and '"' not in text), "")
        if name == "Refused" and file.startswith("broker/identity/"):
            status = status or 401
        usual = 0 if _strict(file) else _USUAL[bool(status) and status != 503]
        found.append(Site(reasons[0], code or usual, status, text, file))
    return found


def notes() -> set[Noted]:
    """Every kind of note that is a constant."""
    found = set()
    for _file, name, call in calls():
        texts = [_text(each) for each in call.args]
        reason = next((_text(each.value) for each in call.keywords if each.arg == "reason"), "")
        if name == "Note" and texts and texts[0]:
            found.add(Noted(texts[0], reason or "".join(texts[2:3])))
        elif name in ("note", "audit") and isinstance(call.func, ast.Attribute):
            ours = isinstance(call.func.value, ast.Name) and call.func.value.id == "telemetry"
            kind = "".join(texts[:1] if ours else texts[1:2])
            if SLUG.fullmatch(kind):
                found.add(Noted(kind, reason or ("" if ours else "".join(texts[3:4]))))
    for _file, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Subscript)
                and _called(node.value) == "counts"
                and isinstance(node.slice, ast.Tuple)
            ):
                kind = _text(node.slice.elts[0])
                if SLUG.fullmatch(kind):
                    found.add(Noted(kind, ""))
    return {each for each in found if SLUG.fullmatch(each.kind)}


def losses() -> set[Lost]:
    """Losses that a machine or an operation notes itself."""
    found = set()
    for _file, name, call in calls():
        if name == "Noted" and len(call.args) == 3 and (loss := _loss(call.args[2])):
            found.add(Lost(_text(call.args[0]), _text(call.args[1]), loss))
        elif name == "note" and len(call.args) == 3 and (loss := _loss(call.args[1])):
            found.add(Lost(_text(call.args[2]), _text(call.args[0]), loss))
    return {each for each in found if each.change}


def _strict(file: str) -> bool:
    """True for the reader of messages, whose reasons have their codes in a table."""
    return file.startswith("protocol_versions/")


_USUAL: Final = {True: jsonrpc.INVALID_REQUEST, False: jsonrpc.INTERNAL_ERROR}
"""The code of an error that names none: of the door, which has a status, and of a call."""

_MEMBERS: Final = frozenset(("code", "message", "status"))


def _loss(node: ast.expr) -> str:
    known = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Loss"
    return node.attr.lower() if known and isinstance(node, ast.Attribute) else ""


def _called(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    """A text, with `...` for what is put into it while running."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "..." for part in node.values)
    return ""


def _number(node: ast.expr) -> int | None:
    """A number, also behind a minus sign or under one of the names of codes."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand)
        return None if number is None else -number
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    value: Any = _CODES.get(_called(node))
    return value if type(value) is int else None


def _codes() -> dict[str, int]:
    from broker.faces import classify
    from translators import errors as declared

    found: dict[str, int] = {}
    for module in (declared, classify, jsonrpc):
        found |= {name: value for name, value in vars(module).items() if name.isupper() and type(value) is int}
    return found


_CODES: Final = _codes()
