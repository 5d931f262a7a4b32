"""Dragoman, the broker: its public face.

    from broker import Settings, create_app

Names are imported when they are first used, so that a hook author or another front that imports a part of this
package loads neither aiohttp nor pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broker.app import create_app
    from broker.hooks.base import Hook, Verdict
    from broker.settings import Settings

__all__ = ["Hook", "Settings", "Verdict", "create_app"]

_HOMES = {
    "Hook": "broker.hooks.base",
    "Settings": "broker.settings",
    "Verdict": "broker.hooks.base",
    "create_app": "broker.app",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
