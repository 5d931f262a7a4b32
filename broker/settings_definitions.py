"""The `definitions` section of a server: what becomes of tools that change, or only look like others.

Invariant: a digest that could match nothing is refused, and so is one that nothing would be compared with.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from broker.settings_section import Section

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Action = Literal["pass", "note", "hold"]


class Definitions(Section):
    """What is compared of the tools a server lists: with its pins, or with how they were first listed."""

    changed: Action = Field(
        default="pass",
        description="A tool that is defined otherwise than pinned or first listed: `note` it, or `hold` it back too.",
    )
    look_alike: Action = Field(
        default="pass",
        description="A tool whose name looks like that of another one: `note` it, or `hold` it back too.",
    )
    pinned: dict[Annotated[str, Field(min_length=1)], tuple[Digest, ...]] = Field(
        default={}, description="Digests that are approved, by tool; `dragoman policy pin` prints them."
    )

    @model_validator(mode="after")
    def _compared(self) -> Self:
        if self.pinned and self.changed == "pass":
            raise ValueError("pinned: nothing is compared unless `changed` is `note` or `hold`")
        return self
