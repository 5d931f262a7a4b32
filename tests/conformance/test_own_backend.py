"""Checking a server of the user's own: what it shows is seen, and every kind of difference is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from conformance.launch import Children
from conformance.own_backend import Picture, differences, look
from conformance.raw.bench import backend_command
from conformance.revisions import REVISIONS

OLDEST, SPRING, SUMMER, AUTUMN = REVISIONS


def _picture(revision: str, *, answered: str | None = None, title: bool = True, names: str = "ab") -> Picture:
    tools = [{"name": name, **({"title": name.upper()} if title else {})} for name in names]
    return Picture(
        revision,
        answered or revision,
        {"tools": {}, "logging": {}},
        {"tools/list": tools},
        None,
        {"initialize": "", "ping": "", "tools/list": ""},
    )


def test_the_same_picture_has_no_differences() -> None:
    assert differences(_picture(AUTUMN), _picture(AUTUMN)) == []


def test_members_that_an_older_client_cannot_have_are_no_loss_but_must_not_arrive() -> None:
    assert differences(_picture(AUTUMN), _picture(OLDEST, title=False)) == []
    assert differences(_picture(AUTUMN), _picture(OLDEST)) == ["tools/list: title is of a newer revision"]


def test_lost_entries_are_told() -> None:
    assert differences(_picture(AUTUMN), _picture(AUTUMN, names="a")) == [
        "tools/list: 1 of 2 entries, or another order"
    ]


def test_a_wrong_version_and_a_lost_capability_are_told() -> None:
    seen = _picture(SUMMER, answered=AUTUMN)
    seen.capabilities = {"tools": {}}
    assert differences(_picture(AUTUMN), seen) == [
        f"initialize: answered {AUTUMN}, not {SUMMER}",
        "capability logging is lost",
    ]


def test_a_step_that_fails_only_through_the_broker_is_told() -> None:
    direct, seen = _picture(AUTUMN), _picture(AUTUMN)
    seen.steps["ping"] = "TimeoutError: "
    assert differences(direct, seen) == ["ping: TimeoutError: "]
    direct.steps["ping"] = "AssertionError: no"
    assert differences(direct, seen) == []


def test_a_client_that_got_no_session_is_told() -> None:
    seen = Picture(AUTUMN, steps={"initialize": "AssertionError: HTTP 500"})
    assert differences(_picture(AUTUMN), seen) == ["initialize: AssertionError: HTTP 500"]


@pytest.mark.parametrize("revision", [OLDEST, AUTUMN])
async def test_a_server_is_looked_at_without_running_its_tools(tmp_path: Path, revision: str) -> None:
    with Children(tmp_path) as children:
        _, url = await asyncio.to_thread(children.server, "backend", backend_command(revision))
        picture = await asyncio.wait_for(look(url, revision, {"X-Test": "1"}), 5)
    assert picture.answered == revision
    assert len(picture.lists["tools/list"]) > 10
    assert picture.steps["unknown method"] == ""
