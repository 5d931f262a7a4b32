"""Changing one object of a document with as few edits as possible, and proof that nothing else changed.

`changes` compares the object that stands there with the one that should, and edits only the members that differ.
Where a document from before is given, what comes back is copied from it, comments and spelling included.
"""

from __future__ import annotations

import re
from typing import Any

from broker.hosts.document import Document, key_written, parse, written
from broker.hosts.spans import CannotRead, Edit, Member, Node, apply, column, indent

_JUST_COMMA = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")


def changes(here: Document, node: Node, new: dict[str, Any], old: tuple[Document, Node] | None = None) -> list[Edit]:
    """The edits that make the object at `node` equal to `new`. `old` is where it stood before, to copy from."""
    edits: list[Edit] = []
    gone = [member for member in node.members if member.key not in new]
    added = [key for key in new if node.member(key) is None]
    for member in node.members:
        if member.key in new and member.node.value != new[member.key]:
            edits += _changed(here, member, new[member.key], old)
    texts = [_member_text(here, node, key, new[key], old) for key in added]
    taken: Member | None = None
    if texts and gone:
        # New members stand where the first old one stood: what surrounds it belongs to them as well.
        taken = next((member for member in gone if node.layout != "lines" or member.node.layout != "lines"), None)
    if texts and taken is not None:
        gone.remove(taken)
        joint = ("," if node.layout == "braces" else "") + _lead(here, node, taken)
        edits.append(Edit(taken.start, taken.node.end, joint.join(texts)))
    elif texts:
        edits.append(_inserted(here, node, texts))
    return edits + _removed(here, node, gone)


def checked(here: Document, edits: list[Edit], wanted: Any) -> str:
    """The text with the edits, after reading it again: it must say exactly `wanted`.

    Raises:
        CannotRead: it would not, for instance because an entry is written as an alias of another.
    """
    try:
        text = apply(here.text, edits)
        same = parse(text.encode(), here.format).root.value == wanted
    except (ValueError, TypeError):
        same = False
    if not same:
        raise CannotRead("it cannot be edited in place", "write its servers plainly, without aliases or merge keys")
    return text


def _changed(here: Document, member: Member, value: Any, old: tuple[Document, Node] | None) -> list[Edit]:
    node = member.node
    before = old[1].get(member.key) if old else None
    if isinstance(value, dict) and isinstance(node.value, dict) and (node.members or node.layout == "lines"):
        return changes(here, node, value, (old[0], before) if old and before else None)
    return [Edit(node.start, node.end, _value_text(here, node, value, old[0] if old else None, before))]


def _value_text(here: Document, node: Node, value: Any, old: Document | None, before: Node | None) -> str:
    """The text of a new value for `node`: that of before, or one in the style of what stands there."""
    if old is not None and before is not None and before.value == value and before.layout != "lines":
        if "block" not in (before.layout, node.layout):
            return old.text[before.start : before.end]
        if before.layout == node.layout and column(old.text, before.start) == column(here.text, node.start):
            return old.text[before.start : before.end]
    if isinstance(value, list) and value and node.layout == "block":
        lead = here.newline + " " * column(here.text, node.start)
        return lead.join(f"- {written(item, here.format)}" for item in value)
    if not isinstance(value, list) or not node.items or "\n" not in here.text[node.start : node.end]:
        return written(value, here.format)
    lead = here.newline + " " * column(here.text, node.items[0].start)
    if _own_line(here.text, node.items[0].start):
        lead = here.newline + indent(here.text, node.items[0].start)
    last = here.newline + indent(here.text, node.end - 1)
    return "[" + ",".join(lead + written(item, here.format) for item in value) + last + "]"


def _member_text(here: Document, node: Node, key: str, value: Any, old: tuple[Document, Node] | None) -> str:
    """A new member: as it stood before, or on one line. Only in a `lines` table it has the table's prefix."""
    before = old[1].member(key) if old else None
    if old and before and before.node.value == value and before.node.layout != "lines":
        alike = old[1].layout == node.layout and old[1].prefix == node.prefix
        if node.layout == "block" and node.members:
            # Its further lines are indented by how far in it stood.
            alike = alike and column(old[0].text, before.start) == column(here.text, node.members[0].start)
        if alike:
            return old[0].text[before.start : before.node.end]
    return node.prefix + key_written(key, here.format, node.layout) + written(value, here.format)


def _inserted(here: Document, node: Node, texts: list[str]) -> Edit:
    """New members behind the command, or behind the last member."""
    if node.layout == "lines":
        at = node.insert_at
        if at < 0:
            raise CannotRead("it cannot be edited in place", "give each server a table of its own")
        lead = here.newline + indent(here.text, at)
        return Edit(at, at, "".join(lead + text for text in texts))
    if not node.members:
        return Edit(node.start, node.end, f"{{{', '.join(texts)}}}")
    anchor = next((member for member in node.members if member.key in ("command", "cmd")), node.members[-1])
    joint = ("," if node.layout == "braces" else "") + _lead(here, node, anchor)
    return Edit(anchor.node.end, anchor.node.end, "".join(joint + text for text in texts))


def _lead(here: Document, node: Node, beside: Member) -> str:
    """What stands before a new member beside another: a line of its own, if the other has one."""
    if node.layout == "block":
        return here.newline + " " * column(here.text, beside.start)
    if _own_line(here.text, beside.start):
        return here.newline + indent(here.text, beside.start)
    return " "


def _removed(here: Document, node: Node, gone: list[Member]) -> list[Edit]:
    if node.layout == "lines":
        return [edit for member in gone for edit in _lines_removed(here, member)]
    edits: list[Edit] = []
    members = list(node.members)
    first = 0
    while first < len(members):
        last = first
        while last < len(members) and members[last] in gone:
            last += 1
        if last > first:
            edits += _run_removed(here, members, first, last - 1)
        first = last + 1
    return edits


def _run_removed(here: Document, members: list[Member], first: int, last: int) -> list[Edit]:
    """Neighbours that go together, with one comma, and with what stands between them."""
    start = members[first].start
    end = members[last].comma + 1 if members[last].comma >= 0 else members[last].node.end
    if first == 0:
        return [Edit(start, members[last + 1].start if last + 1 < len(members) else end, "")]
    before = members[first - 1]
    if _JUST_COMMA.fullmatch(here.text, before.node.end, start):
        return [Edit(before.node.end, members[last].node.end, "")]
    if _own_line(here.text, start) and not here.text[end:].partition("\n")[0].strip():
        start, end = here.text.rfind("\n", 0, start) + 1, here.text.find("\n", end) + 1
    edits = [Edit(start, end, "")]
    if members[last].comma < 0 <= before.comma:
        edits.append(Edit(before.comma, before.comma + 1, ""))
    return edits


def _lines_removed(here: Document, member: Member) -> list[Edit]:
    """Whole lines, each with the line end before it; with a header the blank lines above it as well."""
    edits = []
    for start, end in member.parts:
        first = here.text.rfind("\n", 0, start)
        if first >= 0 and here.text.startswith("[", start):
            first = here.text.find("\n", len(here.text[:first].rstrip()))
        if first < 0:
            after = here.text.find("\n", end)
            edits.append(Edit(0, len(here.text) if after < 0 else after + 1, ""))
            continue
        edits.append(Edit(first - (here.text[first - 1 : first] == "\r"), end, ""))
    return edits


def _own_line(text: str, index: int) -> bool:
    return not text[text.rfind("\n", 0, index) + 1 : index].strip(" \t")
