"""What the installed SDK release can express, asked of the SDK itself.

One code base serves four releases of the `mcp` package. Whether a field, a class or a parameter exists is
looked up in the release's own models; only where a release carries types newer than the revision it speaks
is the revision compared (`speaks`), so that a peer never puts on the wire what its revision does not define.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import mcp.types as types

REVISION: str = types.LATEST_PROTOCOL_VERSION
SDK_VERSION: str = version("mcp")

# Members a release's models know although the revision it speaks does not define them yet.
DEFINED_SINCE: dict[tuple[str, str], str] = {
    ("Tool", "annotations"): "2025-03-26",
    ("Tool", "icons"): "2025-11-25",
    ("ResourceLink", "icons"): "2025-11-25",
    ("Implementation", "icons"): "2025-11-25",
    ("Implementation", "websiteUrl"): "2025-11-25",
}


def speaks(revision: str) -> bool:
    """Whether this release's own revision is `revision` or a newer one."""
    return revision <= REVISION


def has(name: str) -> bool:
    """Whether the release's `mcp.types` has a model of that name."""
    return hasattr(types, name)


def accepts(function: Callable[..., Any], parameter: str) -> bool:
    """Whether a function of the SDK takes a parameter of that name."""
    return parameter in inspect.signature(function).parameters


def make(model: type[Any], **members: Any) -> Any:
    """Build an SDK model of the members that release and revision both define; others are left out."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    return model(
        **{
            name: value
            for name, value in members.items()
            if name in known and speaks(DEFINED_SINCE.get((model.__name__, name), ""))
        }
    )


def text(value: str) -> Any:
    """A text block."""
    return types.TextContent(type="text", text=value)
