"""YAML with positions, on PyYAML's own scanner: what it composes knows where it stands.

A round-trip library would rewrite indentation and quotes of the whole file; here only what is edited changes. Aliases
and merge keys are read; an edit through one would change its anchor too, which `edits.checked` finds and refuses.
"""

from __future__ import annotations

from typing import Any

import yaml

from broker.hosts.jsonc import DEPTH
from broker.hosts.spans import CannotRead, Member, Node


def parse(text: str) -> Node:
    """The tree of a YAML text of one document; of one without any value, an empty mapping.

    Raises:
        CannotRead: with line and column, where PyYAML knows them.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return Node({}, 0, len(text), "block")
        return _Builder(text, loader).node(root, 0)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be scanned"
        raise CannotRead(f"not valid YAML: {what}", "correct it there, or on the line before", where) from None
    finally:
        if loader is not None:
            loader.dispose()


class _Builder:
    def __init__(self, text: str, loader: yaml.SafeLoader) -> None:
        self.text = text
        self.loader = loader

    def node(self, node: yaml.Node, depth: int) -> Node:
        if depth > DEPTH:
            raise CannotRead(f"not valid YAML: nested deeper than {DEPTH}", "make it flatter, or end a loop of aliases")
        start = node.start_mark.index
        if isinstance(node, yaml.MappingNode):
            self.loader.flatten_mapping(node)
            members = tuple(self._member(key, value, depth) for key, value in node.value)
            values = {member.key: member.node.value for member in members}
            end, layout = self._end(node, [member.node for member in members])
            return Node(values, start, end, layout, members=members)
        if isinstance(node, yaml.SequenceNode):
            items = tuple(self.node(item, depth + 1) for item in node.value)
            end, layout = self._end(node, list(items))
            return Node([item.value for item in items], start, end, layout, items=items)
        end = node.end_mark.index
        if getattr(node, "style", None) in ("|", ">"):
            end = start + len(self.text[start:end].rstrip())
        return Node(self.loader.construct_object(node, deep=True), start, end)

    def _member(self, key: yaml.Node, value: yaml.Node, depth: int) -> Member:
        name: Any = self.loader.construct_object(key, deep=True)
        node = self.node(value, depth + 1)
        at = node.end
        while at < len(self.text) and self.text[at] in " \t\r\n":
            at += 1
        return Member(str(name), key.start_mark.index, node, at if self.text.startswith(",", at) else -1)

    def _end(self, node: Any, children: list[Node]) -> tuple[int, Any]:
        """Where a collection really ends: PyYAML's mark of a block one is where the next thing begins."""
        if node.flow_style or not children:
            return node.end_mark.index, "braces"
        return max(child.end for child in children), "block"
