"""What a file says once the broker stands in it, and what it says once the broker is out again: texts, no files.

Invariant: a plan's text differs from the file only in the broker's own entries, which is proven by reading it again.
Taking out an entry that nobody touched gives back its old text, comments included; of one that was changed since, what
was changed stays.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any

import msgspec

from broker.hosts.document import Document, parse
from broker.hosts.edits import changes, checked
from broker.hosts.servers import HostServer, server
from broker.hosts.shapes import Entry, entries
from broker.hosts.spans import Edit, Node, Problem, column
from broker.hosts.wrapping import broker_word, unwrapped, why_not, words_of, wrapped

Key = tuple[tuple[str | int, ...], str]


class Record(msgspec.Struct, frozen=True):
    """What was written when the broker was put in: the SHA-256 of the file, the commands that start the broker, newest
    first, and the servers, each as its place and its name."""

    sha256: str
    commands: list[list[str]]
    servers: list[tuple[list[str | int], str]]
    version: int = 1

    def names(self, entry: Entry) -> bool:
        """Whether an entry is one of the servers."""
        return key_of(entry) in {(tuple(place), name) for place, name in self.servers}


class Connecting(msgspec.Struct, frozen=True):
    """`text` is the file with the broker, `without` the file without; `added` and `already` are servers by name, `left`
    says of others why they stay as they are, `keys` are all that go through the broker now."""

    text: str
    without: str
    added: list[str]
    already: list[str]
    left: dict[str, str]
    problems: list[Problem]
    keys: list[tuple[list[str | int], str]]


class Disconnecting(msgspec.Struct, frozen=True):
    """`text` is the file without the broker; `removed` are the servers it was taken from, `kept` says of others why it
    was not."""

    text: str
    removed: list[str]
    kept: dict[str, str]


def key_of(entry: Entry) -> Key:
    """What an entry is known by: where its neighbours stand, and its name, for positions in a list may change."""
    return entry.where[:-1], entry.name


def connecting(
    here: Document,
    broker: Sequence[str],
    only: Collection[str] = (),
    before: Document | None = None,
    record: Record | None = None,
) -> Connecting:
    """The plan that puts `broker` before every server, or `only` before those of these names.

    Raises:
        CannotRead: the file cannot be edited in place.
    """
    found, problems = entries(here)
    known_commands = record.commands if record else []
    wanted = deepcopy(here.root.value)
    edits: list[Edit] = []
    added, already, left, keys = [], [], {}, []
    for entry in found:
        if broker_word(words_of(entry.node.value), broker, *known_commands) >= 0:
            already.append(entry.name)
            if record and record.names(entry):
                keys.append((list(entry.where[:-1]), entry.name))
            continue
        if only and entry.name not in only:
            continue
        known, wrong = server(entry)
        problems += wrong
        if known is None:
            left[entry.name] = next(problem.what for problem in wrong if problem.fatal)
        elif (reason := why_not(known)) is not None:
            left[entry.name] = reason
        else:
            new = wrapped(entry.node.value, known, entry.shape, broker)
            edits += changes(here, entry.node, new)
            _put(wanted, entry.where, new)
            added.append(entry.name)
            keys.append((list(entry.where[:-1]), entry.name))
    without = disconnecting(here, before, record).text if record and already else here.text
    return Connecting(checked(here, edits, wanted), without, added, already, left, problems, keys)


def disconnecting(here: Document, before: Document | None = None, record: Record | None = None) -> Disconnecting:
    """The plan that takes the broker out of the entries that `record` names, or without one out of all; `before` is
    the file as it was, to restore from.

    Raises:
        CannotRead: the file cannot be edited in place.
    """
    originals, by_words = _originals(before, record)
    commands = record.commands if record else []
    wanted = deepcopy(here.root.value)
    edits: list[Edit] = []
    removed, kept = [], {}
    for entry in entries(here)[0]:
        value = entry.node.value
        at = broker_word(words_of(value), *commands)
        original = originals.get(key_of(entry)) or by_words.get(tuple(words_of(value)))
        if at < 0:
            continue
        if record and not record.names(entry) and original is None:
            kept[entry.name] = "it was not connected by this command"
            continue
        new, edit = _restored(here, entry, at, before, original, commands)
        if new is None:
            kept[entry.name] = "it starts the broker in another way than this command writes it"
            continue
        edits += edit
        _put(wanted, entry.where, new)
        removed.append(entry.name)
    return Disconnecting(checked(here, edits, wanted), removed, kept)


def _originals(before: Document | None, record: Record | None) -> tuple[dict[Key, Entry], dict[tuple[str, ...], Entry]]:
    """The entries of before, by key, and by the command that was written for them, which also finds a renamed one."""
    if before is None or record is None:
        return {}, {}
    found = {key_of(entry): entry for entry in entries(before)[0] if record.names(entry)}
    words = {}
    for entry in found.values():
        known, _ = server(entry)
        for command in record.commands if known else []:
            words[tuple(words_of(_written(entry, known, command)))] = entry
    return found, words


def _written(entry: Entry, known: HostServer | None, command: Sequence[str]) -> dict[str, Any]:
    assert known is not None
    return wrapped(entry.node.value, known, entry.shape, command)


def _restored(
    here: Document,
    entry: Entry,
    at: int,
    before: Document | None,
    original: Entry | None,
    commands: Sequence[Sequence[str]],
) -> tuple[dict[str, Any] | None, list[Edit]]:
    """The entry without the broker, and the edits that make it so."""
    node, value = entry.node, entry.node.value
    if before is None or original is None:
        new = unwrapped(value, entry.shape, at, None)
        return new, changes(here, node, new) if new is not None else []
    old = original.node
    known, _ = server(original)
    if known and any(value == _named(_written(original, known, command), value) for command in commands):
        new = _named(old.value, value)
        alike = old.layout == node.layout and old.whole and node.whole and new == old.value
        if old.layout == "block":
            alike = alike and column(before.text, old.start) == column(here.text, node.start)
        if old.layout == "lines":  # a comment may have stood before a line that went, and stands outside now
            alike = alike and _comments(before, old) == _comments(here, node)
        if known.command is None and alike:
            return new, [Edit(node.start, node.end, before.text[old.start : old.end])]
    else:
        new = unwrapped(value, entry.shape, at, old.value)
        if new is None:
            return None, []
    return new, changes(here, node, new, (before, old))


def _comments(document: Document, node: Node) -> list[str]:
    return [line for line in document.text[node.start : node.end].splitlines() if line.lstrip().startswith("#")]


def _named(value: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """The entry under the name that it has now, where names are members."""
    return {**value, "name": like["name"]} if "name" in value and "name" in like else value


def _put(tree: Any, where: Sequence[str | int], value: Any) -> None:
    for part in where[:-1]:
        tree = tree[part]
    tree[where[-1]] = value


def as_read(text: str, here: Document) -> Document:
    """Another text of the same file."""
    return parse(here.data(text), here.format)
