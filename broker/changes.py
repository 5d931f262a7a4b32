"""What another configuration means for the servers that are served: who stays, and who is judged by other hooks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from broker.settings import Backend, Settings
from broker.settings_definitions import Definitions
from broker.settings_policy import Policy

SECTIONS: Final = ("quotas", "revoked", "tls")
"""Sections beside those of servers, of what judges their messages, and of callers."""


class Changes(msgspec.Struct, frozen=True):
    """The servers by name. `policy` are those of `kept` whose rules, own hooks, pins or sanitising are others.

    `callers` are the keys, by name, and the issuers that are new, gone or others; `sections` are further sections that
    are.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    policy: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


def changes_of(now: Mapping[str, tuple[Any, ...]], before: Settings, after: Settings) -> Changes:
    """What changes; `now` has the identity of every server that is served under the settings `before`."""
    then = after.servers
    was, will = _callers(before), _callers(after)
    same = {name for name in then if now.get(name) == identity_of(then[name])}
    return Changes(
        added=tuple(name for name in then if name not in now),
        changed=tuple(name for name in then if name in now and name not in same),
        removed=tuple(name for name in now if name not in then),
        kept=tuple(name for name in now if name in same),
        policy=tuple(name for name in now if name in same and _policy(name, before) != _policy(name, after)),
        callers=tuple(name for name in sorted({*was, *will}) if was.get(name) != will.get(name)),
        sections=tuple(name for name in SECTIONS if getattr(before, name) != getattr(after, name)),
    )


def identity_of(backend: Backend) -> tuple[Any, ...]:
    """What makes a server the one it is: its section, and what the files it names hold.

    Not its rules and hooks, which can change under its sessions.
    """
    issuer = None if backend.token is None else backend.token.ca_bundle
    files = (backend.ca_bundle, backend.client_certificate, backend.client_key, issuer)
    rest = backend.model_copy(update={"policy": Policy(), "hooks": (), "definitions": Definitions()})
    return (rest, backend.request_headers(), *map(_digest, files))


def _policy(name: str, settings: Settings) -> tuple[Any, ...]:
    backend = settings.servers[name]
    judged = settings.policy, settings.hooks, backend.policy, backend.hooks, backend.definitions
    return (*judged, _sanitised(name, settings))


def _sanitised(name: str, settings: Settings) -> tuple[Any, ...]:
    rules = settings.sanitise.of(name)
    return (rules, settings.sanitise.model_copy(update={"rules": ()}), settings.clearance) if rules else ()


def _callers(settings: Settings) -> dict[str, Any]:
    keys: dict[str, Any] = {f"key:{name}": key for name, key in settings.keys.items()}
    return keys | {each.issuer: each for each in settings.issuers}


def _digest(path: Path | None) -> bytes:
    return b"" if path is None else hashlib.sha256(path.read_bytes()).digest()
