"""One string under a plan: what is found in it, and what stands in its place.

A plan is what the rules make of one caller's clearance: each detector with its action. Where findings overlap, the
strictest action holds for the whole. What is written in their place is constant text, or digits and letters of a keyed
hash, so that nothing a backend says can shape it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from broker.hooks.sanitise_detect import INVISIBLE, Detector
from broker.hooks.sanitise_paths import Path, Paths
from broker.hooks.sanitise_places import is_text, may_be_text
from broker.hooks.sanitise_text import Finding, Scanner, canonical

Action = Literal["allow", "mask", "hash", "redact", "drop", "deny"]
ACTIONS: Final[tuple[Action, ...]] = ("allow", "mask", "hash", "redact", "drop", "deny")
"""From what leaves most to what leaves nothing."""

MASK_KEEPS: Final = 4
"""Characters a mask leaves at the end, as receipts do; of what has fewer than three times as many, none."""

MASK_LONGEST: Final = 16
"""Asterisks of a mask at most, so that it does not tell the length of a key."""

HASH_HEX: Final = 16
"""Hex digits of a hash: 64 bits tell some billion values apart."""

MAX_CLEAN: Final = 4_096
"""Names of members that are remembered to hold nothing; all revisions together define about 200."""

_DATA_URI: Final = re.compile(r"data:([^,;\s]*)((?:;[\w.+-]+=[^,;\s]*)*);base64,([A-Za-z0-9+/=_%-]*)", re.IGNORECASE)
_NUMERIC: Final = frozenset(("card", "iban", "phone"))


class DropError(Exception):
    """What holds this must be left out."""


class DenyError(Exception):
    """The message must not go on. The argument is the reason, in words that quote nothing of it."""


class Part(msgspec.Struct, frozen=True):
    """A part of a text, and what becomes of it."""

    start: int
    end: int
    action: Action
    name: str


class Plan:
    """Detectors and paths with their actions. `detectors` and `paths` hold no `allow`."""

    def __init__(
        self, detectors: Sequence[tuple[Detector, Action]], paths: Sequence[tuple[Path, Action, str]], key: bytes
    ) -> None:
        self.scanner = Scanner([detector for detector, _ in detectors])
        self.paths = Paths(path for path, _, _ in paths)
        self._actions = tuple(action for _, action in detectors)
        self._named = tuple((action, name) for _, action, name in paths)
        self._key = key
        self._clean: dict[str, None] = {}

    def known_clean(self, name: str) -> bool:
        """True for a member's name that was looked through before."""
        return name in self._clean

    def remember_clean(self, name: str) -> None:
        """Remember a member's name in which nothing was found."""
        if len(self._clean) < MAX_CLEAN and len(name) <= 64:
            self._clean[name] = None

    def at_path(self, numbers: list[int]) -> tuple[Action, str]:
        """The strictest of these paths' actions, and its name."""
        return max((self._named[number] for number in numbers), key=lambda each: ACTIONS.index(each[0]))

    def parts(self, text: str, check: Callable[[], None], *, key: str = "", encoded: bool = False) -> list[Part]:
        """What is found in a text. `key`: the member it is the value of. `encoded`: it is base64 that stays closed."""
        if encoded:
            return self._merged(self.scanner.find(text, check, lambda each: each.strong))
        found = self.scanner.find(text, check)
        if key and self.scanner.keyed:
            before = f"{key}="
            pair = self.scanner.find(before + text, check, lambda each: each.keyed)
            shift = len(before)
            found += [Finding(max(each.start - shift, 0), each.end - shift, each.detector) for each in pair]
            found = sorted((each for each in found if each.end > each.start), key=lambda each: (each.start, -each.end))
        if "base64," in text:
            found = sorted([*found, *self._in_uris(text, check)], key=lambda each: (each.start, -each.end))
        return self._merged(found)

    def across(self, texts: Sequence[str], check: Callable[[], None]) -> list[list[Part]]:
        """For each of several neighbouring texts, its part of what is only found in all of them together."""
        found: list[list[Part]] = [[] for _ in texts]
        crossing = self.scanner.find("".join(texts), check, lambda each: each.joins)
        if not crossing:
            return found
        alone = [self.scanner.find(text, check, lambda each: each.joins) for text in texts]
        for whole in crossing:
            pieces: list[tuple[int, Finding]] = []
            start = 0
            for index, text in enumerate(texts):
                low, high = max(whole.start - start, 0), min(whole.end - start, len(text))
                if low < high:
                    pieces.append((index, Finding(low, high, whole.detector)))
                start += len(text)
            # What one text holds by itself ends there: only by chance do the letters of the next one follow.
            if len(pieces) > 1 and (
                self.scanner.detectors[whole.detector].open_ended
                or not any(piece in alone[index] for index, piece in pieces)
            ):
                for index, piece in pieces:
                    found[index] += self._merged([piece])
        return found

    def _in_uris(self, text: str, check: Callable[[], None]) -> Iterator[Finding]:
        for uri in _DATA_URI.finditer(text):
            opened = opened_blob(uri.group(3), uri.group(1) or "text/plain")
            for inner in self.scanner.find(opened[0], check) if opened is not None else ():
                yield Finding(uri.start(), uri.end(), inner.detector)

    def _merged(self, found: list[Finding]) -> list[Part]:
        if not found:
            return []
        names = self.scanner.detectors
        return united(
            [Part(each.start, each.end, self._actions[each.detector], names[each.detector].name) for each in found], ()
        )

    def instead(self, action: Action, name: str, text: str) -> str:
        """What is written in place of a finding."""
        if name == INVISIBLE:
            return ""
        if action == "mask":
            return _masked(name, text)
        if action == "hash":
            return f"[{name}:{self._hash(name, text)}]"
        return f"[redacted:{name}]"

    def _hash(self, name: str, text: str) -> str:
        said = canonical(text)
        if name in _NUMERIC:
            said = "".join(char for char in said if char.isalnum()).upper()
        told = f"{name}\0{said}".encode("utf-8", "replace")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()[:HASH_HEX]


def united(parts: list[Part], others: Sequence[Part]) -> list[Part]:
    """Parts in order, those that overlap as one: the strictest action, and of equal ones the name of the longest."""
    if not others and len(parts) < 2:
        return parts
    merged: list[Part] = []
    for part in sorted([*parts, *others], key=lambda each: (each.start, -each.end)):
        last = merged[-1] if merged else None
        if last is None or last.end <= part.start:
            merged.append(part)
        else:
            strict = max((last, part), key=lambda each: (ACTIONS.index(each.action), each.end - each.start))
            merged[-1] = Part(last.start, max(last.end, part.end), strict.action, strict.name)
    return merged


def replaced(plan: Plan, text: str, parts: Sequence[Part]) -> str:
    """A text with other texts for its parts, which do not overlap."""
    pieces: list[str] = []
    at = 0
    for part in parts:
        pieces += (text[at : part.start], plan.instead(part.action, part.name, text[part.start : part.end]))
        at = part.end
    return "".join((*pieces, text[at:]))


def strictest(parts: Sequence[Part]) -> Part:
    """The part whose action leaves least."""
    return max(parts, key=lambda each: ACTIONS.index(each.action))


def opened_blob(encoded: str, mime: str) -> tuple[str, str] | None:
    """The text in a base64 document and the encoding it is written in; None if it is none.

    Readers forgive line breaks, the URL alphabet and missing padding, so they count for nothing here.
    """
    said = is_text(mime)
    if not said and not may_be_text(mime):
        return None
    plain = re.sub(r"[^A-Za-z0-9+/]", "", encoded.replace("-", "+").replace("_", "/"))
    try:
        opened = base64.b64decode(plain + "=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        return None
    if opened.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decoded(opened, "utf-16")
    found = _decoded(opened, "utf-8")
    return found if found is not None or not said else (opened.decode("latin-1"), "latin-1")


def closed_blob(text: str, encoding: str) -> str:
    """The base64 of a text; what an encoding cannot write (a mark never holds such) becomes a question mark."""
    return base64.b64encode(text.encode(encoding, "replace")).decode()


def _decoded(opened: bytes, encoding: str) -> tuple[str, str] | None:
    try:
        return opened.decode(encoding), encoding
    except UnicodeDecodeError:
        return None


def _masked(name: str, text: str) -> str:
    """The end of a text; of an address its domain as well."""
    said: Any = canonical(text)
    if name == "email" and "@" in said:
        user, _, domain = said.rpartition("@")
        return f"{user[:1]}***@{domain}"
    letters = "".join(char for char in said if char.isalnum())
    kept = letters[-MASK_KEEPS:] if len(letters) >= 3 * MASK_KEEPS else ""
    return "*" * max(min(len(said) - len(kept), MASK_LONGEST), 1) + kept
