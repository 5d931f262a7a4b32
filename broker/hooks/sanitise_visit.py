"""A walk over every leaf of one message: a message like it, without what its reader may not see.

The protocol's own objects are walked here, by the tables of `sanitise_places`; what they hold is walked by
`sanitise_free`. What may not be rewritten takes the nearest item of a list with it, or the message.
A text block that is the JSON of the structured content stays that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from broker.hooks import sanitise_places as places
from broker.hooks.sanitise_free import GONE, Bounds, Leaves, written
from broker.hooks.sanitise_leaf import DenyError, DropError, Part, Plan
from broker.hooks.sanitise_paths import States
from protocol_versions.base import Slot
from protocol_versions.jsonrpc import WireLimits

TWIN: Final = "structuredContent"


class Visit:
    """One message. `leaves.spent` counts what was done, by action and name."""

    def __init__(
        self, plan: Plan, slot: Slot, target: str | None, bounds: Bounds, limits: WireLimits, clock: Callable[[], float]
    ) -> None:
        self.leaves = Leaves(plan, target, bounds, limits, clock)
        self._plan = plan
        self._slot = slot
        self._lists = 0  # lists around us whose items may be left out
        self._across: dict[int, list[Part]] = {}  # by a block's identity: its part of what several hold together

    def body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The message's body, the same object if nothing was found.

        Raises:
            DenyError: a rule refuses it, it cannot do without what was found, or a bound is reached.
        """
        try:
            return self._protocol(body, "", self._plan.paths.start)
        except DropError:
            raise DenyError("fixed") from None

    def _protocol(self, tree: dict[str, Any], within: str, states: States) -> dict[str, Any]:
        twins = TWIN in tree and type(tree.get("content")) is list
        changed: dict[str, Any] = {}
        for name, value in tree.items():
            if twins and name == "content":
                continue  # after what some of its blocks repeat
            new = self._member(tree, name, value, within, self.leaves.step(states, name))
            if new is not value:
                changed[name] = new
        if twins:
            structured = changed.get(TWIN, tree[TWIN])
            told = self._told(tree["content"], tree[TWIN], structured)
            new = self._list(told, "content", self.leaves.step(states, "content"), repeats=structured)
            if new is not tree["content"]:
                changed["content"] = new
        if not changed:
            return tree
        return {name: new for name, value in tree.items() if (new := changed.get(name, value)) is not GONE}

    def _member(self, tree: dict[str, Any], name: str, value: Any, within: str, states: States) -> Any:
        if name not in places.KNOWN and self.leaves.name(name) is not name:
            return GONE
        if states and (ends := self._plan.paths.ends(states)):
            return self.leaves.named("id" if name == "name" and self._called(tree, within) else name, value, ends)
        kind = type(value)
        if name in places.SCHEMAS:
            return self.leaves.schema(value, states)
        if name == "inputRequests" and kind is dict:
            return self._questions(value, states)
        if kind is str and (name == "blob" or (name == "data" and within == "content" and _is_media(tree))):
            return self.leaves.base64(value, tree.get("mimeType"))
        if name in places.FIXED or (name == "name" and self._called(tree, within)):
            # What was sealed as a state comes back to its server alone; no reader sees it.
            sealed = name == "requestState" and tree.get("resultType") == "input_required"
            return value if sealed else self.leaves.fixed(value)
        if name in places.PROTOCOL and kind is list:
            return self._list(value, name, states)
        if name in places.PROTOCOL and kind is dict:
            return self._protocol(value, name, states)
        if kind is not str:
            return self.leaves.data(value, name, states)
        optional = name in places.OPTIONAL or (name == "message" and self._slot.part == "notification")
        across = self._across.get(id(tree), ()) if name == "text" else ()
        try:
            return self.leaves.leaf(value, name, across, stays=not (optional or self._lists))
        except DropError:
            if optional:
                return GONE
            raise

    def _called(self, tree: dict[str, Any], within: str) -> bool:
        return within in places.NAMED or tree.get("type") == places.TOOL_USE

    def _list(self, items: list[Any], name: str, states: States, repeats: Any = GONE) -> list[Any]:
        droppable = name in places.DROPPABLE
        self._join(items)
        self._lists += droppable
        found: list[Any] = []
        changed = False
        for index, item in enumerate(items):
            try:
                new = self._item(item, name, self.leaves.step(states, index), repeats)
            except DropError:
                if not droppable:
                    raise
                self.leaves.spent["drop", name] += 1
                new = GONE
            changed |= new is not item
            if new is not GONE:
                found.append(new)
        self._lists -= droppable
        return found if changed else items

    def _item(self, item: Any, name: str, states: States, repeats: Any) -> Any:
        if states and (ends := self._plan.paths.ends(states)):
            return self.leaves.named("", item, ends)
        if type(item) is dict:
            new = self._protocol(item, name, states)
            return item if new is not item and repeats is not GONE and _is_twin(item, repeats) else new
        return self.leaves.leaf(item) if type(item) is str else self.leaves.data(item, name, states)

    def _told(self, content: list[Any], before: Any, after: Any) -> list[Any]:
        """Content whose blocks say of the structured content what it says now."""
        if before is after:
            return content
        return [
            {**block, "text": written(after, block["text"])} if _is_twin(block, before) else block
            for block in content
            if after is not GONE or not _is_twin(block, before)
        ]

    def _join(self, items: list[Any]) -> None:
        """Look for what begins in one text block and ends in another one."""
        run: list[dict[str, Any]] = []
        for item in [*items, None]:
            if type(item) is dict and item.get("type") == "text" and type(item.get("text")) is str:
                run.append(item)
                continue
            if len(run) > 1:
                texts = [block["text"] for block in run]
                self.leaves.count(sum(map(len, texts)), 0)
                for block, parts in zip(run, self._plan.across(texts, self.leaves.check), strict=True):
                    if parts:
                        self._across[id(block)] = parts
            run = []

    def _questions(self, asked: dict[str, Any], states: States) -> dict[str, Any]:
        """Questions by keys under which their answers come back."""
        for key in asked:
            self.leaves.fixed(key)
        new = {
            key: self._protocol(question, "inputRequests", self.leaves.step(states, key))
            if type(question) is dict
            else self.leaves.data(question, key, self.leaves.step(states, key))
            for key, question in asked.items()
        }
        return new if any(new[key] is not asked[key] for key in asked) else asked


def _is_media(block: dict[str, Any]) -> bool:
    kind = block.get("type")
    return isinstance(kind, str) and kind in places.MEDIA


def _is_twin(block: Any, structured: Any) -> bool:
    """True for a text block that says what the structured content says."""
    if type(block) is not dict or block.get("type") != "text":
        return False
    text = block.get("text")
    if type(text) is not str or text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        return bool(msgspec.json.decode(text) == structured)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
