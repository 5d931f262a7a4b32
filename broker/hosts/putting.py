"""`connect` and `disconnect` on files: plan, show or write. Says what happened as data; the command prints it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from broker.hosts import keeping, plans
from broker.hosts.machine import Machine
from broker.hosts.masking import Shown, difference
from broker.hosts.plans import Connecting, Record


class Put(msgspec.Struct, frozen=True):
    """What `put_in` did: the plan, and where the backup is if one was written; or would do: the plan and its `diff`."""

    path: Path
    plan: Connecting
    diff: list[str]
    backup: Path | None


class Taken(msgspec.Struct, frozen=True):
    """What `take_out` did: `restored` if the file is byte for byte as before; else `diff` is how it differs from then,
    and `backup` the file of then. `removed` and `kept` as in the plan."""

    path: Path
    restored: bool
    removed: list[str]
    kept: dict[str, str]
    diff: list[str]
    backup: Path | None


def put_in(path: Path, broker: Sequence[str], only: Collection[str] = (), *, dry_run: bool = False) -> Put:
    """Put `broker` before the servers of a host's file, all or `only` those of these names.

    Raises:
        CannotRead: the file cannot be read, edited in place or written. Nothing was changed then.
    """
    kept = keeping.look(path)
    plan = plans.connecting(kept.document, broker, only, kept.before, kept.record)
    if dry_run:
        after = Shown(f"{kept.path} (connected)", plans.as_read(plan.text, kept.document))
        return Put(kept.path, plan, difference(Shown(str(kept.path), kept.document), after), None)
    if not plan.added:
        return Put(kept.path, plan, [], None)
    data = kept.document.data(plan.text)
    commands = [list(broker), *(command for command in (kept.record.commands if kept.record else []))]
    unique = [command for index, command in enumerate(commands) if command not in commands[:index]]
    record = Record(keeping.digest(data), unique, plan.keys)
    keeping.connected(kept, data, kept.document.data(plan.without), record)
    return Put(kept.path, plan, [], kept.beside(keeping.BACKUP))


def take_out(path: Path) -> Taken:
    """Take the broker out of a host's file again.

    Raises:
        CannotRead: the file cannot be read, edited in place or written. Nothing was changed then.
    """
    kept = keeping.look(path)
    if kept.untouched and kept.backup is not None:
        names = [name for _, name in kept.record.servers] if kept.record else []
        keeping.disconnected(kept, kept.backup, keep_backup=False)
        return Taken(kept.path, True, names, {}, [], None)
    plan = plans.disconnecting(kept.document, kept.before, kept.record)
    data = kept.document.data(plan.text)
    if kept.record is None and not plan.removed:
        return Taken(kept.path, False, [], plan.kept, [], None)
    restored = data == kept.backup
    keeping.disconnected(kept, data, keep_backup=not restored)
    diff: list[str] = []
    if kept.before is not None and not restored:
        after = Shown(str(kept.path), plans.as_read(plan.text, kept.document))
        diff = difference(Shown(f"{kept.path} (before it was connected)", kept.before), after)
    backup = kept.beside(keeping.BACKUP) if kept.backup is not None and not restored else None
    return Taken(kept.path, restored, plan.removed, plan.kept, diff, backup)


def own_command(machine: Machine) -> list[str]:
    """The command that starts this installation from anywhere: hosts have hardly any search path of their own."""
    name = "dragoman.exe" if machine.windows else "dragoman"
    script = Path(sys.executable).parent / name
    if not script.is_file():
        found = shutil.which("dragoman")
        if found is None:
            return [sys.executable, "-m", "broker"]
        script = Path(found)
    return [str(script.absolute())]
