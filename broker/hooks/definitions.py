"""What tools are said to be: a definition that changes, and names that only look like another's.

A person approves a tool by its name and description; a server that describes it otherwise later, or lists one beside it
whose name looks the same, speaks to a model that trusts what was approved. Each tool of each list is compared with its
pinned digests, or else with how it was first listed here, in the same revision; everything counts but `_meta`. A name
looks like another where both are equal once width, case, ligatures, marks that are not seen and the letters of other
scripts are set aside; the one that was listed first, or is pinned, is meant.

    changed, look_alike    note    operators are told, once of each definition and each name
                           hold    and it is listed no more, and unknown to whoever calls it, until it is what it was

Invariants: what is compared is the list as the server wrote it, before any other hook; names themselves are never
normalised, each is judged by its own bytes.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from broker.hooks.base import PASS, Body, Caller, CallInfo, Pattern, Replace, Verdict
from broker.hooks.names import HiddenNames
from protocol_versions.base import Slot

Action = Literal["pass", "note", "hold"]

MAX_TOOLS: Final = 4_096
"""Tools whose definitions and names are remembered; as many as those whose annotations are. What comes after them is
held with what has changed: nothing that was seen is forgotten for it."""

MAX_NAME: Final = 512
"""Characters of a name that is remembered; "SHOULD be between 1 and 128" (2025-11-25 server/tools). A longer one is
held with what has changed."""

SAID: Final = 128
"""Characters of such a name that operators are told."""

MAX_TOLD: Final = 4_096
"""Findings that are not told again."""

CHANGED: Final = "definition-changed"
LOOK_ALIKE: Final = "look-alike"

_ALIKE: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455\u0501"
    "\u04bb\u051b\u051d\u043a\u043c\u0442\u043d\u0432\u0433\u043f\u0438"
    "\u03b1\u03b2\u03b3\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9"
    "01\u0261\u0131",
    "aeopcxyijsdhqwkmthbrnuabyenikvoptuxwolgi",
)
"""Small letters that look like one of ASCII: Cyrillic, Greek, and a few others (Unicode TR 39, the common ones)."""

Tell = Callable[[str, str, str], None]
"""Told of each finding once: CHANGED or LOOK_ALIKE, the tool's name, its digest or the name it looks like."""


class Seen:
    """What was seen of one server's tools; outlives a change of its hooks."""

    def __init__(self) -> None:
        self.first: dict[str, dict[str, str]] = {}
        """Revision -> name -> digest, as first listed."""
        self.wrong: dict[str, str] = {}
        """Name -> what is wrong with it, as last listed."""
        self.names: dict[str, str] = {}
        """How a name looks -> the name."""
        self.full = False
        """Whether more is wrong than can be remembered: then nothing is right."""
        self.told: dict[tuple[str, str, str], None] = {}


class Definitions(HiddenNames):
    """The hook of one backend. `pinned`: name -> the digests that are approved."""

    again = True  # what later hooks replaced is judged once more

    def __init__(
        self, changed: Action, look_alike: Action, pinned: Mapping[str, frozenset[str]], seen: Seen, tell: Tell
    ) -> None:
        super().__init__({"tools"} if "hold" in (changed, look_alike) else frozenset())
        if not self.slots:
            self.slots = (Pattern("result", "tools/list", "client", ("tools",)),)
        self.seen = seen
        self._held = frozenset(
            what for what, action in ((CHANGED, changed), (LOOK_ALIKE, look_alike)) if action == "hold"
        )
        self._changed = changed != "pass"
        self._look_alike = look_alike != "pass"
        self._beyond = CHANGED if self._changed else LOOK_ALIKE
        self._pinned = pinned
        self._tell = tell

    def hides(self, kind: str, name: Any, method: str, info: CallInfo) -> str:  # noqa: ARG002
        """Why a tool is held, as it was last listed."""
        if kind != "tools" or not isinstance(name, str):
            return ""
        wrong = self._beyond if len(name) > MAX_NAME else self.seen.wrong.get(name, CHANGED if self.seen.full else "")
        return wrong if wrong in self._held else ""

    def shown(self, method: str, caller: Caller) -> Any:  # noqa: ARG002
        """What is held, and by which pins."""
        return (self._held, self._pinned) if self._held and method == "tools/list" else None

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        """Lists lose what is held; calls of it are answered as for what does not exist."""
        if slot.part != "result" or slot.method != "tools/list":
            return super().judge(slot, body, info)
        tools = body.get("tools")
        if not isinstance(tools, list):
            return PASS
        here: set[str] = set()
        shown = [tool for tool in tools if self._look(tool, here, info.caller.backend_revision) not in self._held]
        return PASS if len(shown) == len(tools) else Replace({**body, "tools": shown})

    def _look(self, tool: Any, here: set[str], revision: str) -> str:
        """What is wrong with a tool, as it is listed; "" if nothing is. `here` are the names before it in its list."""
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str):
            return ""
        if len(name) > MAX_NAME:
            self._once(self._beyond, name[:SAID], f"{len(name)} characters")
            return self._beyond
        twice = name in here
        wrong = self._name(name, twice=twice) or self._definition(name, tool, revision)
        here.add(name)
        if twice:
            return wrong  # what it is called by is the one before it
        known = self.seen.wrong
        if not wrong:
            known.pop(name, None)
        elif name in known or len(known) < MAX_TOOLS:
            known[name] = wrong
        else:
            self.seen.full = True
        return wrong

    def _name(self, name: str, *, twice: bool) -> str:
        if not self._look_alike:
            return ""
        names, look = self.seen.names, looks(name)
        if name in self._pinned and not twice:
            names[look] = name
            return ""
        full = len(names) >= MAX_TOOLS and look not in names
        other = "" if full else names.setdefault(look, name)
        if other == name and not twice and _plain(name):
            return ""
        self._once(LOOK_ALIKE, name, other)
        return LOOK_ALIKE

    def _definition(self, name: str, tool: Body, revision: str) -> str:
        if not self._changed:
            return ""
        digest, approved = digest_of(tool), self._pinned.get(name)
        if approved is None:
            first = self.seen.first.setdefault(revision, {})
            full = len(first) >= MAX_TOOLS and name not in first
            approved = frozenset() if full else frozenset((first.setdefault(name, digest),))
        if digest in approved:
            return ""
        self._once(CHANGED, name, digest)
        return CHANGED

    def _once(self, what: str, name: str, other: str) -> None:
        told = self.seen.told
        if (what, name, other) in told:
            return
        if len(told) >= MAX_TOLD:
            del told[next(iter(told))]
        told[what, name, other] = None
        self._tell(what, name, other)


def digest_of(tool: Body) -> str:
    """`sha256:` and the digest of a definition, whatever the order of its members."""
    told = {member: value for member, value in tool.items() if member != "_meta"}
    return "sha256:" + hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()


def looks(name: str) -> str:
    """How a name looks to somebody who does not look closely."""
    text = unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)
    return "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cc", "Mn", "Zs"))


def _plain(name: str) -> bool:
    """Whether there is nothing in it that is not seen."""
    return not any(unicodedata.category(char) in ("Cf", "Cc") for char in name)
