"""`--tap FILE`: every frame on both sides, as JSON lines, to see what a translation did.

One object a line: `at` (seconds since the epoch), `side` (client or backend), `way` (in or out, seen from the
broker), `backend`, and `frame`; or `pair`, `method` and `changes`, each with the Change that acted, where, and at
what loss. Invariants: the file is for its owner alone, no configured secret and no session id is in it, and a slow
disk costs frames, which are counted in the file, never time of a call.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from broker.redacting import HIDDEN, Redacting
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.machine import Note

QUEUE_BYTES: Final = 16 * 1024 * 1024  # waiting for the disk; four of the largest client messages
BATCH_BYTES: Final = 256 * 1024  # per write; a common read-ahead size
_HIDDEN_MEMBERS: Final = frozenset(
    ["authorization", "cookie", "mcp-session-id", "password", "proxy-authorization", "set-cookie"]
)


class _Line(msgspec.Struct, omit_defaults=True):
    at: float
    side: str = ""
    way: str = ""
    backend: str = ""
    pair: str = ""
    method: str = ""
    frame: msgspec.Raw | dict[str, Any] | None = None
    changes: list[dict[str, str]] | None = None
    dropped: int = 0


class Tap:
    """An open tap. `frame` and `lossy` never block and never raise; `close` writes what waits, then closes."""

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        """Append to `path`, created for its owner alone.

        Raises:
            OSError: the file cannot be written, is a link, or is another kind of file.
            ValueError: the file exists and others may read it.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(path, flags, 0o600)
        if os.name == "posix" and os.fstat(self._file).st_mode & 0o077:
            os.close(self._file)
            raise ValueError(f"{path} is readable by others; expected mode 0600")
        self._redacting = Redacting(_HIDDEN_MEMBERS, secrets, _hidden)
        self._encoder = msgspec.json.Encoder()
        self._waiting: queue.SimpleQueue[tuple[_Line, int] | None] = queue.SimpleQueue()
        self._bytes = 0
        self._dropped = 0
        self._lock = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._write, name="tap", daemon=True)
        self._thread.start()

    def hide(self, secrets: Iterable[str]) -> None:
        """Redact these as well from now on; what was a secret before stays one."""
        self._redacting.hide(secrets)

    def frame(self, side: str, direction: str, backend: str, frame: Frame) -> None:
        """One frame crossed an edge; it is copied at once, because the caller may go on to change it."""
        encoded = jsonrpc.encode(frame)
        self._put(_Line(time.time(), side, direction, backend, frame=msgspec.Raw(encoded)), len(encoded))

    def lossy(self, backend: str, pair: str, note: Note) -> None:
        """A translation acted: which Changes, where, at what loss."""
        changes = [{"change": lost.change, "path": lost.path, "loss": str(lost.loss)} for lost in note.losses]
        line = _Line(time.time(), backend=backend, pair=pair, method=note.method, changes=changes)
        self._put(line, 64 * len(changes))

    def close(self) -> None:
        """Write everything that waits and close the file; harmless when repeated."""
        if self._open:
            self._open = False
            self._waiting.put(None)
            self._thread.join()
            os.close(self._file)

    def _put(self, line: _Line, size: int) -> None:
        if not self._open:
            return
        with self._lock:
            if self._bytes + size > QUEUE_BYTES:
                self._dropped += 1
                return
            self._bytes += size
        self._waiting.put((line, size))

    def _write(self) -> None:
        """The writer's thread: takes what waits, redacts, writes in batches."""
        ended = False
        while not ended:
            item = self._waiting.get()
            pieces: list[bytes] = []
            size = taken = 0
            while True:
                if item is None:
                    ended = True
                    break
                line, cost = item
                taken += cost
                pieces.append(self._text(line))
                size += len(pieces[-1])
                if size >= BATCH_BYTES:
                    break
                try:
                    item = self._waiting.get_nowait()
                except queue.Empty:
                    break
            with self._lock:
                self._bytes -= taken
                dropped, self._dropped = self._dropped, 0
            if dropped:
                pieces.append(self._text(_Line(time.time(), dropped=dropped)))
            self._write_out(b"".join(pieces))

    def _write_out(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._file, view) :]
            except OSError:
                # A full disk: the frames of this batch are lost, and said to be once there is room again.
                with self._lock:
                    self._dropped += data.count(b"\n")
                return

    def _text(self, line: _Line) -> bytes:
        frame = line.frame
        if isinstance(frame, msgspec.Raw):
            try:
                line.frame = self._redacting.clean(msgspec.json.decode(frame))
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                # A backend's broken value: what it says cannot be told, that it came can.
                line.frame = {"unreadable": len(bytes(frame))}
        return self._encoder.encode(line) + b"\n"


def _hidden(key: str, value: Any) -> str:
    return fingerprint(str(value)) if key.lower() == "mcp-session-id" else HIDDEN


def fingerprint(text: str) -> str:
    """A short name for a value that must not be shown: equal for equal values, useless to a reader."""
    return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:12]}"
