"""A configuration that changed while the broker serves it: read again on SIGHUP or when the file changes, and applied.

Invariants: a file that cannot be used, or that asks for what only a start can give, changes nothing and is said to;
one reload is applied after another; a file that is being written is not read before it rests.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

from broker import telemetry
from broker.changes import Changes
from broker.hosts.spans import Problem
from broker.serve_tls import ServerTls
from broker.servers import Servers
from broker.settings import Settings, SettingsError

WATCH_S: Final = 1.0
"""How often the file is looked at; a change counts once it has rested as long."""

_CHANGEABLE: Final = frozenset(
    ("servers", "policy", "hooks", "sanitise", "clearance", "quotas", "keys", "issuers", "revoked")
)
_FILES: Final = frozenset(("tls.certificate", "tls.key", "tls.client_ca"))
"""Members that may name other files; whether there is `client_ca` at all is what a start decides."""

Load = Callable[[], tuple[Settings, list[Problem]]]
"""Reads the file as at the start: the settings, and what of a host's file is left out. Raises SettingsError."""


class Reload:
    """Applies the configuration again and again. `problems` are those of the start, which are known."""

    def __init__(
        self, servers: Servers, load: Load, path: Path, problems: Iterable[Problem] = (), tls: ServerTls | None = None
    ) -> None:
        self._servers = servers
        self._load = load
        self._path = path
        self._known = _lines(problems, path)
        self._tls = tls

    def now(self) -> Changes | None:
        """Read the file and apply it; None if nothing was changed because of what is wrong, which is logged.

        Certificates towards clients are read again in any case, whatever else the file says.
        """
        changes = self._applied()
        if self._tls is not None and (changes is None or "tls" not in changes.sections):
            self._tls.reload()
        return changes

    def _applied(self) -> Changes | None:
        try:
            changes = self._apply()
        except SettingsError as error:
            problems = error.problems
        except (OSError, ValueError) as error:
            problems = [f"{self._path}: {error}"]
        except Exception as error:  # a bug of ours must end neither what is served nor the watching
            problems = [f"{self._path}: internal error ({type(error).__name__})"]
        else:
            names = {each: ", ".join(getattr(changes, each)) for each in changes.__struct_fields__}
            telemetry.announce("configuration applied", **names)
            return changes
        for problem in problems:
            telemetry.log("error", "configuration not applied", problem=problem)
        return None

    def _apply(self) -> Changes:
        settings, problems = self._load()
        found = _lines(problems, self._path)
        worse = [line for line in found if line not in self._known]
        if worse:
            # At the start the others would be served; here a slip of the pen would end sessions.
            raise SettingsError(worse)
        fixed = fixed_members(self._servers.settings, settings)
        if fixed:
            raise SettingsError([f"{self._path}: {name}: cannot be changed without a restart" for name in fixed])
        shown = None
        if self._tls is not None and settings.tls is not None and settings.tls != self._servers.settings.tls:
            shown = settings.tls, self._tls.prepare(settings.tls)
        changes = self._servers.apply(settings)
        if self._tls is not None and shown is not None:
            self._tls.adopt(*shown)
        self._known = found
        return changes


class Watcher:
    """Whether a file has changed and rests; `look` is called again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._others: Callable[[], Iterable[Path]] = tuple
        self._applied = self._seen = self._state()

    def look(self) -> bool:
        """True once for each change, when the file is what it was at the last look. One that is away is no change."""
        state = self._state()
        rests, self._seen = state == self._seen, state
        if state is None or not rests or state == self._applied:
            return False
        self._applied = state
        return True

    def also(self, others: Callable[[], Iterable[Path]]) -> None:
        """Look at these as well, from now on, whichever they are at each look."""
        before = self._state()
        changed = before != self._applied
        self._others = others
        if not changed:  # else what changed meanwhile is seen at the next look
            self._applied = self._seen = self._state()

    def _state(self) -> tuple[int, ...] | None:
        state: list[int] = []
        for path in (self._path, *self._others()):
            try:
                found = os.stat(path)
            except OSError:
                return None
            state += (found.st_mtime_ns, found.st_size, found.st_ino)
        return tuple(state)


async def watch(watcher: Watcher, told: Callable[[], object], *, sleep: Callable[[float], Awaitable[object]]) -> None:
    """Call `told` for each change, for ever."""
    while True:
        await sleep(WATCH_S)
        if watcher.look():
            told()


async def reloads(reload: Reload, watcher: Watcher | None = None) -> None:
    """Apply the file whenever SIGHUP comes or, with a watcher, the file changes; until it is cancelled."""
    from broker.ending import on_hangup

    undo = on_hangup(reload.now)
    try:
        if watcher is not None:
            await watch(watcher, reload.now, sleep=asyncio.sleep)
        else:
            await asyncio.get_running_loop().create_future()
    finally:
        undo()


def fixed_members(now: Settings, then: Settings) -> list[str]:
    """The members in which two configurations differ, apart from those that can change; of sections, each by itself.

    Whether there are issuers at all, and whether callers need a credential, is what a start decides.
    """
    found = []
    if bool(now.issuers) != bool(then.issuers):
        found.append("issuers")
    elif now.anonymous == then.anonymous and now.anonymous_allowed != then.anonymous_allowed:
        found.append("keys")
    for name in type(now).model_fields:
        before, after = getattr(now, name), getattr(then, name)
        if name in _CHANGEABLE or before == after:
            continue
        parts = getattr(type(before), "model_fields", None)
        if parts is None or type(after) is not type(before):  # a section that is there in one of the two alone
            found.append(name)
        else:
            found += [f"{name}.{part}" for part in parts if _is_fixed(name, part, before, after)]
    return found


def _is_fixed(name: str, part: str, before: Any, after: Any) -> bool:
    was, will = getattr(before, part), getattr(after, part)
    if f"{name}.{part}" in _FILES and (part != "client_ca" or (was is None) == (will is None)):
        return False
    return bool(was != will)


def _lines(problems: Iterable[Problem], path: Path) -> list[str]:
    return [problem.line(path) for problem in problems if problem.fatal]
