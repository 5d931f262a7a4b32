"""What every section of the configuration is made of, and the sections that several others use.

Invariants: an unknown key is refused, an empty allow-list is not "allow all", no repr shows a secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from broker.settings_file import resolve
from protocol_versions import REVISIONS


class Section(BaseModel):
    """Base of every section: frozen, unknown keys refused, refused values not quoted."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


SPOKEN = tuple(revision.id for revision in REVISIONS)
"""The revisions the broker speaks to peers, oldest first."""


def known_revision(value: str) -> str:
    """The id itself, if the broker speaks it."""
    if value not in SPOKEN:
        raise ValueError(f"expected one of {', '.join(SPOKEN)}")
    return value


def address_parts(value: str, expected: str) -> SplitResult:
    """The parts of an address on the web that has a host. Raises ValueError, with what was `expected`."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(expected) from None
    if not parts.hostname or not value.isascii() or port == 0:
        raise ValueError(expected)
    return parts


def _secret(value: Any) -> Any:
    return SecretStr(resolve(value)) if isinstance(value, str) else value


RevisionId = Annotated[str, AfterValidator(known_revision)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$")]  # RFC 6749 3.3
ExistingFile = Annotated[Path, AfterValidator(lambda path: _existing(path))]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


class Rule(Section):
    """Globs over exact names (or URIs): denied names are hidden; with `allow`, only those are shown."""

    allow: tuple[str, ...] | None = Field(default=None, description="Globs of what is shown; absent: everything.")
    deny: tuple[str, ...] = Field(default=(), description="Globs of what is hidden; stronger than `allow`.")

    @field_validator("allow", "deny")
    @classmethod
    def _not_blank(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value == ():
            raise ValueError("an empty list; leave it out, or deny '*' to hide everything")
        if value is not None and any(not glob or len(glob) > 512 for glob in value):
            raise ValueError("expected globs of 1 to 512 characters")
        return value


class Filter(Section):
    """What of a backend may be seen and used, by kind."""

    tools: Rule = Rule()
    prompts: Rule = Rule()
    resources: Rule = Rule()
    templates: Rule = Rule()
