"""Findings in one text, as it stands and as a reader may take it: folded, and with escapes undone.

    as it stands    always
    folded          NFKC, digits of all scripts, without what has no width, marks, and terminal codes
    unescaped       backslash, percent and character-reference escapes undone, up to `ROUNDS` times; then folded

Each view maps back to the text, so that what is replaced is what was written. Plain ASCII has one view.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from broker.hooks.sanitise_detect import Detector, compiled

ROUNDS: Final = 3
"""How often escapes are undone: JSON in JSON in JSON, as tools that call tools produce it."""

MAX_FINDINGS: Final = 10_000
"""Findings in one text; a page of addresses has hundreds."""

Check = Callable[[], None]
"""Called between findings; raises when the time is over."""

View = tuple[str, Sequence[int] | None, Sequence[int] | None]
"""A text with the offsets in the original where each character begins and ends; None: the same."""

# What has no width of its own, marks that are put over letters, control characters, and terminal codes.
_ODD: Final = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u0300-\u036f\u061c\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\u3164"
    "\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROLS: Final = bytes(each for each in range(0x20) if each not in b"\t\n\r") + b"\x7f"
_FOLDABLE: Final = re.compile(f"{_ODD.pattern}|[^\x00-\x7f]")
_OTHER_DIGIT: Final = re.compile(r"[^\D0-9]")
_ESCAPE: Final = re.compile(
    r"\\u\{[0-9A-Fa-f]{1,6}\}|(?:\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})|\\u[0-9A-Fa-f]{4}"
    r"|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[0-3][0-7]{2}|\\[abefnrtv\"'/\\]"
    r"|%[0-9A-Fa-f]{2}|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
)
_SHORT: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}


class Finding(msgspec.Struct, frozen=True):
    """A part of a text (offsets in characters) and the number of the detector that found it."""

    start: int
    end: int
    detector: int


class TooManyFindingsError(Exception):
    """The text consists of findings."""


class Scanner:
    """Looks for several detectors at once: one expression tells that there is nothing, which is the usual answer."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.detectors = tuple(detectors)
        self.keyed = any(each.keyed for each in detectors)
        self._each = tuple(compiled(each.pattern) for each in self.detectors)
        self._any = _union(self.detectors)

    def find(self, text: str, check: Check, only: Callable[[Detector], bool] | None = None) -> list[Finding]:
        """The findings in a text, in the order they begin; they may overlap. `only`: those detectors alone."""
        found: set[Finding] = set()
        for view in views(text):
            found.update(self._in(view, check, only))
        return sorted(found, key=lambda each: (each.start, -each.end, each.detector))

    def _in(self, view: View, check: Check, only: Callable[[Detector], bool] | None) -> Iterator[Finding]:
        text, starts, ends = view
        # Offsets in bytes are those in characters where all is ASCII; else the library translates them.
        subject: Any = text.encode() if text.isascii() else text.encode("utf-8", "replace").decode()
        if self._any is None or self._any.search(subject) is None:
            return
        count = 0
        for number, (detector, expression) in enumerate(zip(self.detectors, self._each, strict=True)):
            if only is not None and not only(detector):
                continue
            for match in expression.finditer(subject):
                check()
                start, end = match.span(detector.group)
                for low, high in ((0, end - start),) if detector.spans is None else detector.spans(text[start:end]):
                    count += 1
                    if count > MAX_FINDINGS:
                        raise TooManyFindingsError
                    first, last = start + low, start + high
                    if last > first >= 0:
                        yield Finding(
                            first if starts is None else starts[first], last if ends is None else ends[last - 1], number
                        )


def _union(detectors: Sequence[Detector]) -> Any:
    """One expression that matches wherever any of them does; one too large for RE2 is not used."""
    import re2

    if not detectors:
        return None
    options = re2.Options()
    options.log_errors = False
    # Not `re2.Set`: that one answers "nothing" when its memory is used up, while a single expression goes on slower.
    return re2.compile("|".join(f"(?:{each.pattern})" for each in detectors), options)


def canonical(text: str) -> str:
    """A text as the most thorough reader takes it."""
    *_, last = views(text)
    return last[0]


def views(text: str) -> Iterator[View]:
    """The text and, if they differ, what readers may take it for."""
    yield text, None, None
    plain = folded((text, None, None))
    if plain[0] is not text:
        yield plain
    view: View = (text, None, None)
    for _ in range(ROUNDS):
        if "\\" not in view[0] and "%" not in view[0] and "&" not in view[0]:
            return
        following = _unescaped(view)
        if following is None:
            return
        view = following
        yield folded(view)


def folded(view: View) -> View:
    """The view without what only changes how it looks; the same view if there is nothing of that."""
    text = view[0]
    if text.isascii():
        if len(text) == len(text.encode().translate(None, _CONTROLS)):
            return view
    elif not (_ODD.search(text) or _OTHER_DIGIT.search(text)) and unicodedata.is_normalized("NFKC", text):
        return view
    pieces = _Pieces(view)
    for found in _FOLDABLE.finditer(text):
        plain = _plain(found.group())
        if plain != found.group():
            pieces.put(plain, *found.span())
    return pieces.whole()


def _plain(char: str) -> str:
    if len(char) > 1 or char < "\x80":  # a terminal code, or a control character
        return ""
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    return _ODD.sub("", unicodedata.normalize("NFKC", char))


def _unescaped(view: View) -> View | None:
    """The view with one layer of escapes undone; None if it has none."""
    text = view[0]
    pieces = _Pieces(view)
    for found in _ESCAPE.finditer(text):
        meant = _meant(found.group())
        if meant is not None:
            pieces.put(meant, *found.span())
    return pieces.whole() if pieces.at else None


def _meant(escape: str) -> str | None:
    """What an escape stands for; None if it is none."""
    kind, rest = escape[0], escape[1:]
    if kind == "&":
        meant = html.unescape(escape)
        return None if meant == escape else _sound(meant)
    if kind == "%":
        return chr(int(rest, 16))
    if rest[0] in "uUx" and len(rest) > 1:
        if rest.count("u") == 2:
            high, low = int(rest[1:5], 16), int(rest[7:11], 16)
            return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        number = int(rest[1:].strip("{}"), 16)
        return _sound(chr(number)) if number <= 0x10FFFF else None
    if rest[0].isdigit():
        return chr(int(rest, 8))
    return _SHORT.get(rest, rest)


def _sound(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


class _Pieces:
    """A view that is made from another: what is put takes the place of a part, the rest stays."""

    def __init__(self, view: View) -> None:
        self._text, self._starts, self._ends = view
        self.at = 0
        self._texts: list[str] = []
        self._first: list[int] = []
        self._last: list[int] = []

    def put(self, text: str, start: int, end: int) -> None:
        """A text for a part of the view; parts are given in order."""
        self._keep(start)
        self._texts.append(text)
        self._first += [start if self._starts is None else self._starts[start]] * len(text)
        self._last += [end if self._ends is None else self._ends[end - 1]] * len(text)
        self.at = end

    def whole(self) -> View:
        """The view."""
        self._keep(len(self._text))
        return "".join(self._texts), self._first, self._last

    def _keep(self, end: int) -> None:
        start, self.at = self.at, end
        self._texts.append(self._text[start:end])
        self._first += range(start, end) if self._starts is None else self._starts[start:end]
        self._last += range(start + 1, end + 1) if self._ends is None else self._ends[start:end]
