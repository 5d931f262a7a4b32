"""The grants of this person on disk: one file a server, which nobody else may read, and a lock beside it.

Invariants: a file is written whole and then put in place, so that a reader needs no lock; whoever changes one holds its
lock, over processes too; a file that others may read is not used, and neither is one that is not ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from broker.signin.errors import SignInError
from broker.signin.grant import Grant
from broker.signin.places import file_of, folder

MAX_BYTES: Final = 256 * 1024
"""Of one file: a few tokens, and tokens that carry claims have some KiB."""

LOOK_S: Final = 0.05
"""How often a lock is tried that another process holds."""


class Store:
    """The files of one folder, by server."""

    def __init__(self, place: Path | None = None) -> None:
        self.place = place if place is not None else folder()

    def path(self, server: str) -> Path:
        """The file of a server."""
        return self.place / file_of(server)

    def load(self, server: str) -> Grant | None:
        """The grant for a server, None without one.

        Raises:
            SignInError: there is one, and it cannot be used.
        """
        grant = self._read(self.path(server))
        return grant if grant is not None and grant.server == server else None

    def all(self) -> list[Grant]:
        """Every grant that can be read, by server."""
        found: list[Grant] = []
        for path in sorted(self.place.glob("*.json")) if self.place.is_dir() else ():
            with contextlib.suppress(SignInError):
                grant = self._read(path)
                if grant is not None:
                    found.append(grant)
        return sorted(found, key=lambda grant: grant.server)

    def save(self, grant: Grant) -> None:
        """Put a grant in the place of the one before; the lock is held.

        Raises:
            SignInError: it cannot be written.
        """
        path = self.path(grant.server)
        beside = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
        try:
            self._make()
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(grant))
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise SignInError("store", f"{self.place} cannot be written: {error.strerror}") from error

    def forget(self, server: str) -> bool:
        """Delete the grant for a server, True if there was one; the lock is held."""
        try:
            self.path(server).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SignInError("store", f"{self.path(server)} cannot be deleted: {error.strerror}") from error
        return True

    @contextlib.asynccontextmanager
    async def lock(self, server: str, wait_s: float) -> AsyncIterator[None]:
        """Hold what keeps other processes, and other tasks of this one, from changing the grant for a server.

        Raises:
            SignInError: somebody else held it all the time.
        """
        from filelock import FileLock, Timeout

        try:
            self._make()
            lock = FileLock(self.path(server).with_suffix(".lock"), thread_local=False, mode=0o600)
            due = asyncio.get_running_loop().time() + wait_s
            while True:
                try:
                    lock.acquire(blocking=False)
                    break
                except Timeout:
                    if asyncio.get_running_loop().time() >= due:
                        raise SignInError("locked", "another process is signing in there") from None
                    await asyncio.sleep(LOOK_S)
        except OSError as error:
            raise SignInError("store", f"{self.place} cannot be written: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def _make(self) -> None:
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and self.place.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            self.place.chmod(0o700)

    def _read(self, path: Path) -> Grant | None:
        try:
            # One descriptor for the checks and the reading, so that the file cannot be exchanged in between.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SignInError("store", f"{path} cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(file.fileno())
            if os.name == "posix" and (state.st_uid != os.getuid() or state.st_mode & (stat.S_IRWXG | stat.S_IRWXO)):
                raise SignInError("store", f"{path} is not this person's alone; delete it, and sign in again")
            data = file.read(MAX_BYTES + 1)
        try:
            return msgspec.json.decode(data, type=Grant) if len(data) <= MAX_BYTES else None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # of another release, or broken: as if nobody had signed in
