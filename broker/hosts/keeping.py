"""A host's file, the backup beside it and the record of what was written: how they change together.

Order: backup, record, file. Each is written whole and put in place by a rename, so that an interruption leaves a file
that is either old or new, and a record that tells which. A file that changed while we planned is not written over.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

import msgspec

from broker.hosts.document import Document, format_of, parse, read_bytes
from broker.hosts.plans import Record
from broker.hosts.spans import CannotRead

BACKUP = ".dragoman-backup"
RECORD = ".dragoman-record"
OLDER = ".dragoman-backup.old"


class Kept(msgspec.Struct, frozen=True):
    """A file as it is now, with what is kept beside it. `path` is the file itself, links followed."""

    path: Path
    data: bytes
    document: Document
    backup: bytes | None
    before: Document | None
    record: Record | None

    @property
    def untouched(self) -> bool:
        """True if the file is as it was written when the broker was put in."""
        return self.record is not None and digest(self.data) == self.record.sha256

    def beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)


def digest(data: bytes) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def look(path: Path) -> Kept:
    """A host's file and what is kept beside it; a backup or record that cannot be used counts as none.

    Raises:
        CannotRead: the file itself cannot be read.
    """
    kind = format_of(path)
    with contextlib.suppress(OSError, RuntimeError):  # a loop of links; reading it says so
        path = path.resolve()
    data = read_bytes(path)
    document = parse(data, kind)
    backup = before = record = None
    with contextlib.suppress(CannotRead):
        backup = read_bytes(path.with_name(path.name + BACKUP))
        before = parse(backup, kind)
    with contextlib.suppress(CannotRead, msgspec.MsgspecError):
        record = msgspec.json.decode(read_bytes(path.with_name(path.name + RECORD)), type=Record)
    return Kept(path, data, document, backup, before, record)


def connected(kept: Kept, data: bytes, without: bytes, record: Record) -> None:
    """Write the file with the broker in it, after the backup and the record.

    Raises:
        CannotRead: it may not be written, or changed in the meantime.
    """
    _writable(kept)
    if kept.backup is not None and kept.record is None and kept.backup != without:
        # Left by `disconnect` for a person to look at: not ours to write over.
        _put(kept.beside(OLDER), kept.backup, kept.path)
    _put(kept.beside(BACKUP), without, kept.path)
    _put(kept.beside(RECORD), msgspec.json.format(msgspec.json.encode(record)) + b"\n", kept.path)
    _put(kept.path, data, kept.path, kept.data)


def disconnected(kept: Kept, data: bytes, *, keep_backup: bool) -> None:
    """Write the file without the broker, then drop the record, and the backup unless it is to stay.

    Raises:
        CannotRead: it may not be written, or changed in the meantime.
    """
    if data != kept.data:
        _writable(kept)
        _put(kept.path, data, kept.path, kept.data)
    kept.beside(RECORD).unlink(missing_ok=True)
    if not keep_backup:
        kept.beside(BACKUP).unlink(missing_ok=True)


def _writable(kept: Kept) -> None:
    # The rename would succeed even on a read-only file: that it is one is somebody's decision.
    if not kept.path.stat().st_mode & stat.S_IWUSR:
        raise CannotRead("is read-only", "make it writable first, if it is yours")


def _put(path: Path, data: bytes, like: Path, expected: bytes | None = None) -> None:
    """Put a file in place whole, with the mode and owner of `like`; only if it still says `expected`."""
    try:
        status = like.stat()
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(stat.S_IMODE(status.st_mode))
            if hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):
                    os.chown(temporary, status.st_uid, status.st_gid)
            if expected is not None and path.read_bytes() != expected:
                raise CannotRead("changed while it was worked on", "close the host and try again")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CannotRead(f"cannot be written: {error.strerror}", "check who may write to it and its folder") from None
