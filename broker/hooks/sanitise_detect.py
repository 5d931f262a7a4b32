"""What is looked for in texts: expressions of RE2, which take linear time, and the arithmetic that proves a number.

An expression finds candidates; `spans` of a detector, where it has one, says which parts of a candidate count: a card
number that passes Luhn (ISO/IEC 7812-1), an account number of its country's length that passes mod 97 (ISO 13616).
Invariant: no expression here needs another engine than RE2, and operators' own ones are given to RE2 alone.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from broker.hooks import sanitise_links as links

Spans = Callable[[str], Iterator[tuple[int, int]]]
"""The parts of a candidate that count, by its own offsets."""

MAX_PATTERN: Final = 1_000
"""Characters of an operator's expression; the longest here has below 200."""


class Detector(msgspec.Struct, frozen=True):
    """One expression. `group` is the part that is found; `name` stands in place of what was found.

    `strong`: it stands out so clearly that it is also looked for in base64 that is not decoded. `keyed`: it may need
    the name of a member before its value. `joins`: it is also looked for across neighbouring blocks. `open_ended`: what
    is found may go on where the text ends.
    """

    name: str
    pattern: str
    group: int = 0
    spans: Spans | None = None
    strong: bool = False
    keyed: bool = False
    joins: bool = True
    open_ended: bool = False


def own(name: str, pattern: str) -> Detector:
    """An operator's detector; its first group, if it has one, is the part that is found."""
    return Detector(name, pattern, 1 if _groups(pattern) else 0, strong=True, keyed=True)


def compiled(pattern: str) -> Any:
    """An expression ready for use.

    Raises:
        ValueError: RE2 does not take it, or it is too long, or it finds empty texts.
    """
    if not pattern or len(pattern) > MAX_PATTERN:
        raise ValueError(f"expected an expression of 1 to {MAX_PATTERN} characters")
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0]
        raise ValueError(f"not an expression of RE2: {said.decode() if isinstance(said, bytes) else said}") from None
    if found.search("") is not None:
        raise ValueError("an expression must not find empty text")
    return found


def _groups(pattern: str) -> int:
    return int(compiled(pattern).groups)


def passes_luhn(digits: str) -> bool:
    """True if the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) << (index & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def passes_mod97(account: str) -> bool:
    """True if an account number without separators, in capitals, has the right check digits (ISO 13616)."""
    moved = account[4:] + account[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


_CARD_DIGITS: Final = (13, 19)  # ISO/IEC 7812-1; the schemes in use issue 13 to 19
_GROUP: Final = re.compile(r"[0-9]+")


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """Runs of whole digit groups that are card numbers: other numbers may stand right before and after."""
    groups = [found.span() for found in _GROUP.finditer(text)]
    first = 0
    while first < len(groups):
        digits, end = "", 0
        for start, stop in groups[first:]:
            digits += text[start:stop]
            if len(digits) > _CARD_DIGITS[1]:
                break
            if len(digits) >= _CARD_DIGITS[0] and digits[0] in "23456" and passes_luhn(digits):
                end = stop
        if end:
            yield groups[first][0], end
        first = next((at for at in range(first + 1, len(groups)) if groups[at][0] >= end), len(groups))


# Lengths by country, of the SWIFT registry of IBAN formats.
_IBAN_LENGTHS: Final = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IBAN_START: Final = re.compile(r"[A-Z]{2}[0-9]{2}", re.IGNORECASE)


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """Account numbers within a run of letters, digits and separators."""
    at = 0
    while (start := _IBAN_START.search(text, at)) is not None:
        at = start.start() + 1
        length = _IBAN_LENGTHS.get(start.group()[:2].upper())
        if length is None:
            continue
        account, end = "", start.start()
        while end < len(text) and len(account) < length:
            account += text[end].upper() if text[end].isalnum() else ""
            end += 1
        if len(account) == length and account.isascii() and passes_mod97(account):
            yield start.start(), end
            at = end


_PHONE_DIGITS: Final = (8, 15)  # E.164; shorter ones are no international numbers


def _phones(text: str) -> Iterator[tuple[int, int]]:
    digits = 0
    for index, char in enumerate(text):
        digits += char.isdigit()
        if digits == _PHONE_DIGITS[1]:
            yield 0, index + 1
            return
    if digits >= _PHONE_DIGITS[0]:
        yield 0, len(text)


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    """A token in compact form: its first part is base64url of a JSON object that names an algorithm (RFC 7515)."""
    head = text.partition(".")[0]
    try:
        opened = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return
    if b'"alg"' in opened:
        yield 0, len(text)


def _hidden(text: str) -> Iterator[tuple[int, int]]:
    """All of a run, but for the tags that make a flag of three regions (Unicode Technical Standard 51, ED-14A)."""
    if not _FLAG.fullmatch(text):
        yield (1 if text[0] == "\U0001f3f4" else 0), len(text)


_FLAG: Final = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{1,6}\U000e007f")

_KEYED: Final = r"(?i)(?:aws)?_?secret_?(?:access)?_?key[\"'\s:=]{1,8}([A-Za-z0-9/+=]{40})(?:[^A-Za-z0-9/+=]|$)"
_SECRETS: Final = (
    r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|ABIA|ACCA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bgl(?:pat|ptt|rt|dt|soat|ft|cbt)-[A-Za-z0-9_-]{20,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_+-]{20,}",
    r"\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}",
    r"\b(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}|\bwhsec_[A-Za-z0-9+/=]{24,}",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bnpm_[A-Za-z0-9]{36}|\bpypi-AgE[A-Za-z0-9_-]{50,}|\bdckr_pat_[A-Za-z0-9_-]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bSK[0-9a-f]{32}\b",
    r"\bdo[opr]_v1_[a-f0-9]{64}|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|\bdapi[a-f0-9]{32}",
    r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}|\bAGE-SECRET-KEY-1[A-Z0-9]{58}|\blin_api_[A-Za-z0-9]{32,}",
    r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}|\bAccountKey=[A-Za-z0-9+/=]{80,}",
    r"\bdgm_[A-Za-z0-9_-]{43}",
)
_URL_PASSWORD: Final = r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@\"'<>]*:([^\s/@\"'<>]+)@"  # noqa: S105 - finds them
_HEADER: Final = r"(?i)authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=-]{8,})"
_PRIVATE_KEY: Final = (
    r"(?s)-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\z)"
)
_PUTTY_KEY: Final = r"(?s)PuTTY-User-Key-File-[0-9]:.*?(?:Private-MAC:\s*[0-9a-fA-F]+|\z)"
_TOKEN: Final = r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+){0,2}"  # noqa: S105 - finds them
_EMAIL: Final = r"[\pL\pN.!#$%&'*+/=?^_`{|}~-]+@(?:[\pL\pN-]+\.)+\pL{2,}"
_PHONE: Final = r"(?:\+|\b00)[1-9](?:[ .()/-]{0,2}[0-9]){6,}"
_PHONE_NANP: Final = r"(?:\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}\b"
_HIDDEN: Final = (
    "(?:\U0001f3f4?[\U000e0000-\U000e007f]+|[\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff])+"
    "|\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\^_])"
)

SETS: Final[dict[str, tuple[Detector, ...]]] = {
    "secrets": (
        *(Detector("secret", pattern, strong=True) for pattern in _SECRETS),
        Detector("secret", _KEYED, 1, keyed=True),
        Detector("secret", _URL_PASSWORD, 1),
        Detector("secret", _HEADER, 1, keyed=True),
    ),
    "private-keys": (
        Detector("private-key", _PRIVATE_KEY, strong=True, open_ended=True),
        Detector("private-key", _PUTTY_KEY, open_ended=True),
    ),
    "jwt": (Detector("jwt", _TOKEN, spans=_tokens),),
    "email": (Detector("email", _EMAIL),),
    "card": (Detector("card", r"[0-9](?:[ .\-/]?[0-9]){12,}", spans=_cards),),
    "iban": (Detector("iban", r"(?i)[A-Z]{2}[0-9]{2}(?:[ .-]?[A-Z0-9]){11,}", spans=_ibans),),
    "phone": (Detector("phone", _PHONE, spans=_phones, joins=False), Detector("phone", _PHONE_NANP, joins=False)),
    "hidden-text": (Detector("hidden-text", _HIDDEN, spans=_hidden, joins=False),),
    "script-links": (Detector("script-link", links.SCRIPT, joins=False),),
    "odd-links": (Detector("odd-link", links.WEB, spans=links.odd, joins=False),),
    "inside-links": (Detector("inside-link", links.INSIDE, spans=links.inside, joins=False),),
}
"""The built-in sets by name. `hidden-text`: what models read and people do not see (tags, directions, ANSI codes)."""

INVISIBLE: Final = "hidden-text"
"""Findings of this name are taken out without a mark: nobody saw them."""
