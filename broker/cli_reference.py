"""`dragoman reference`: the guides, and the pages made from the code."""

from __future__ import annotations

from pathlib import Path

import click

from broker.reference.said import SECTIONS

FILES = {name: f"reference/{name.upper()}.md" for name in SECTIONS} | {"audit": "audit/FIELDS.md"}


@click.command()
@click.argument("section", required=False, type=click.Choice(list(SECTIONS)))
def reference(section: str | None) -> None:
    """Print the page SECTION as Markdown; without one, say which there are.

    \b
    Examples
      dragoman reference
      dragoman reference policy
      dragoman reference errors
    """
    if section is None:
        width = max(map(len, SECTIONS))
        for name, text in SECTIONS.items():
            click.echo(f"{name:<{width}}  {text}")
        return
    click.echo((Path(__file__).parent / FILES[section]).read_text(encoding="utf-8"), nl=False)
