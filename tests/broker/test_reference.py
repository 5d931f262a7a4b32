"""The reference pages are those of the code, and say of each thing what the running broker says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker import cli_reference
from broker.cli import cli
from broker.metering.catalogue import METRICS
from broker.reference import scan
from broker.reference.pages import FOLDER, PAGES
from broker.reference.said import GUIDES, NOTES, SECTIONS
from broker.settings_limits import Limits
from tests.broker.scripted_backend import world


def rows(name: str) -> dict[str, list[str]]:
    """The first table of a page: its rows by their first cell, without its quotes."""
    text = PAGES[name].render()
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_is_that_of_the_code(name: str) -> None:
    path = FOLDER / PAGES[name].file
    assert path.read_text(encoding="utf-8") == PAGES[name].render(), "run: uv run python -m broker.reference"


def test_every_kind_of_note_in_the_code_has_a_meaning_and_no_other() -> None:
    assert {note.kind for note in scan.notes()} == set(NOTES), "say what it means in broker/reference/said.py"


def test_the_command_prints_the_pages_and_lists_them() -> None:
    listed = CliRunner().invoke(cli, ["reference"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == list(SECTIONS) == [*GUIDES, *PAGES]
    for name in SECTIONS:
        file = FOLDER / (PAGES[name].file if name in PAGES else f"{name.upper()}.md")
        printed = CliRunner().invoke(cli, ["reference", name])
        assert printed.output == file.read_text(encoding="utf-8")
        shown = Path(cli_reference.__file__).parent / cli_reference.FILES[name]
        assert shown.resolve() == file.resolve()
    assert {path.name for path in FOLDER.glob("*.md")} <= {Path(file).name for file in cli_reference.FILES.values()}


async def test_errors_of_the_running_broker_stand_on_the_page_with_their_code_status_and_text() -> None:
    page = rows("errors")
    async with world() as here:
        client = here.client
        replies = [
            await client.post({"id": 1, "method": "tools/list"}),
            await client.post({"id": 1, "method": "tools/list"}, **{"Mcp-Session-Id": "none"}),
            await client.post(b"{"),
            await client.post(b'{"id": 1, "id": 2}'),
        ]
        await client.open()
        replies.append(await client.post({"id": 1, "method": "tools/list"}, Accept="text/plain"))
    seen = set()
    for reply in replies:
        error = reply.json["error"]
        reason = error["data"]["reason"]
        seen.add(reason)
        codes, statuses, texts = page[reason]
        assert str(error["code"]) in codes.split(", "), reason
        assert not statuses or str(reply.status) in statuses.split(", "), reason
        assert error["message"] in texts.split(" / "), reason
    assert {"session-missing", "session-unknown", "not-json", "duplicate-member", "accept"} <= seen


def test_every_limit_and_metric_stands_on_its_page() -> None:
    keys = rows("configuration")
    assert {f"limits.{name}" for name in Limits.model_fields} <= set(keys)
    assert all(row[-1] for name, row in keys.items() if name.startswith("limits."))
    assert set(rows("metrics")) == {metric.name for metric in METRICS}


def test_an_error_of_a_reason_that_is_new_in_the_code_would_be_found() -> None:
    found = {site.reason: site for site in scan.errors()}
    assert found["session-unknown"].status == 404
    assert found["discovery-unsupported"].code == -32601
    assert len(found) > 80
