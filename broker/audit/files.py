"""The audit file: appended to by one process, rotated by size and age, for its owner alone.

Invariants: a batch of lines is in the file whole or not at all, also when the disk fills up in its middle; no two
processes write one file; a renamed file is never written again.

    audit.jsonl                                what is written now; `audit.jsonl.lock` says by whom
    audit-20261128T170443Z-3f2a9c-812.jsonl    what was, by the time it was renamed, process and sequence
    audit.2.jsonl                              that of a second process with the same configuration
    audit.jsonl.torn                           last lines that were not written whole
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from broker.audit.recovery import renamed

MAX_SLOTS: Final = 64
"""Processes that may write beside each other; a machine has that many hosts at most."""

_FLAGS: Final = (
    os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)  # fmt: skip

Fsync = str
"""`off`: when the system likes; `interval`: every so often, beside the calls; `each`: before a call goes on."""


def slot(path: Path, number: int) -> Path:
    """The file of the process that came as the `number`th, from 1."""
    return path if number == 1 else path.with_name(f"{path.stem}.{number}{path.suffix}")


def claim(path: Path) -> tuple[Path, int]:
    """The first of the files that no living process writes, and the descriptor that keeps it ours.

    Raises:
        OSError: the directory cannot be written, or all are taken.
    """
    for number in range(1, MAX_SLOTS + 1):
        own = slot(path, number)
        descriptor = os.open(own.with_name(own.name + ".lock"), _FLAGS, 0o600)
        if _locked(descriptor):
            return own, descriptor
        os.close(descriptor)
    raise OSError(f"{path} and its {MAX_SLOTS - 1} neighbours are written by other processes")


def _locked(descriptor: int) -> bool:
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:  # pragma: no cover
            import msvcrt

            lock: Any = msvcrt
            lock.locking(descriptor, lock.LK_NBLCK, 1)
    except OSError:
        return False
    return True


class AuditFile:
    """One process's file. `rotate_bytes` and `rotate_s` of 0: never; `keep` of 0: every renamed file."""

    name = "file"
    whole = True

    def __init__(
        self,
        path: Path,
        *,
        fsync: Fsync = "interval",
        interval_s: float = 1.0,
        rotate_bytes: int = 0,
        rotate_s: float = 0.0,
        keep: int = 0,
        lock: int | None = None,
        clock: Callable[[], float],
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        """Open `path`; `write` is the system's.

        Raises:
            OSError: it cannot be opened.
            ValueError: it exists and others may read it.
        """
        self.path = path
        self.fsync = fsync
        self._rotate_bytes = rotate_bytes
        self._rotate_s = rotate_s
        self._keep = keep
        self._lock = lock
        self._clock = clock
        self._write = write
        self._guard = threading.Lock()
        self._fd: int | None = None
        self._open()
        self._dirty = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        if fsync == "interval":
            self._thread = threading.Thread(target=self._sync_often, args=(interval_s,), name="audit", daemon=True)
            self._thread.start()

    def _open(self) -> None:
        descriptor = os.open(self.path, _FLAGS, 0o600)
        state = os.fstat(descriptor)
        if os.name == "posix" and state.st_mode & 0o077:
            os.close(descriptor)
            raise ValueError(f"{self.path} is readable by others; expected mode 0600")
        self._fd = descriptor
        self.size = state.st_size
        self._aged()

    def _aged(self) -> None:
        """When a file of this moment is to be renamed: at that size, or, unless it is empty, at that time."""
        self.limit = self._rotate_bytes or sys.maxsize
        self.old_at = self._clock() + self._rotate_s if self._rotate_s else math.inf

    def write(self, lines: bytes) -> None:
        """Append whole lines.

        Raises:
            OSError: nothing of them is in the file.
        """
        if self._fd is None:
            self._open()
        descriptor = self._fd
        assert descriptor is not None
        try:
            done = self._write(descriptor, lines)
            while done < len(lines):
                done += self._write(descriptor, lines[done:])
            if self.fsync == "each":
                os.fsync(descriptor)
        except OSError:
            # What came before the disk was full must not stand there as half a line.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self.size)
            raise
        self.size += len(lines)
        self._dirty = True

    def rotate(self, label: str, now_ms: int) -> str:
        """Rename the file and begin a new one; the name it has now.

        Raises:
            OSError: it could not be renamed, and is written on; or no new one could be made, which `write` tries again.
        """
        at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = self.path.with_name(f"{self.path.stem}-{at}-{label}{self.path.suffix}")
        with self._guard:
            descriptor = self._fd
            if descriptor is not None and self.fsync != "off":
                os.fsync(descriptor)
            if os.name != "posix" and descriptor is not None:  # pragma: no cover
                os.close(descriptor)  # there an open file cannot be renamed
                self._fd = descriptor = None
            os.rename(self.path, aside)
            if descriptor is not None:
                os.close(descriptor)
                self._fd = None
        self._open()
        self._forget_old()
        return aside.name

    def postpone(self) -> None:
        """Do not try to rotate again before the file has grown by half, or aged anew."""
        self._aged()
        if self._rotate_bytes:
            self.limit = self.size + self._rotate_bytes // 2

    def _forget_old(self) -> None:
        if self._keep:
            with contextlib.suppress(OSError):
                for path in renamed(self.path)[: -self._keep]:
                    path.unlink()

    def _sync_often(self, interval_s: float) -> None:
        while not self._over.wait(interval_s):
            if not self._dirty:
                continue
            with self._guard:
                self._dirty = False
                if self._fd is not None:
                    with contextlib.suppress(OSError):  # the next write of this disk says what is wrong with it
                        os.fsync(self._fd)

    def close(self) -> None:
        """Force everything to the disk, close, and let others have the file."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._fd)
            os.close(self._fd)
            self._fd = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
