"""The compatibility table agrees with what translation does."""

from __future__ import annotations

import pytest

from protocol_versions import REVISIONS
from translators.compat import Row, table
from translators.loss import Loss

IDS = [revision.id for revision in REVISIONS if revision.traits.sessions]


def _row(client: str, server: str, part: str, method: str, toward: str) -> Row:
    wanted = (client, server, part, method, toward)
    (row,) = [row for row in table() if (row.client, row.server, row.part, row.method, row.toward) == wanted]
    return row


def test_every_ordered_pair_has_rows() -> None:
    every = [revision.id for revision in REVISIONS]
    assert {(row.client, row.server) for row in table()} == {(client, server) for client in every for server in every}


@pytest.mark.parametrize("revision", [*IDS, "2026-07-28"])
def test_equal_revisions_are_identical_in_everything(revision: str) -> None:
    assert {row.verdict for row in table() if row.client == row.server == revision} == {"identical"}


def test_no_kind_of_message_has_two_rows_in_a_pair() -> None:
    keys = [(row.client, row.server, row.part, row.method, row.toward) for row in table()]
    assert len(keys) == len(set(keys))


def test_a_tool_result_names_what_the_oldest_client_loses() -> None:
    row = _row("2024-11-05", "2025-11-25", "result", "tools/call", "client")
    assert row.verdict == "rewritten"
    assert row.changes == (
        "tasks",
        "icons",
        "annotations inside embedded resources",
        "lastModified",
        "_meta on items",
        "resource links",
        "structured tool output",
        "audio content",
    )
    # Links become text, which is more than the audio that becomes a resource at the same place.
    assert row.losses["content[]"] is Loss.DEGRADED
    assert row.losses["structuredContent"] is Loss.CARRIED


def test_elicitation_of_an_older_client_is_refused_and_has_no_result() -> None:
    assert _row("2025-03-26", "2025-06-18", "params", "elicitation/create", "client").verdict == "refused"
    assert not [
        row
        for row in table()
        if (row.client, row.server, row.part, row.method)
        == ("2025-03-26", "2025-06-18", "result", "elicitation/create")
    ]


def test_a_choice_of_several_is_emulated() -> None:
    row = _row("2025-06-18", "2025-11-25", "params", "elicitation/create", "client")
    assert row.verdict == "emulated"
    assert row.losses["requestedSchema"] is Loss.DEGRADED


def test_a_notification_the_reader_lacks_is_refused_without_losses_of_members() -> None:
    row = _row("2025-06-18", "2025-11-25", "notification", "notifications/tasks/status", "client")
    assert (row.verdict, row.losses) == ("refused", {})


def test_an_error_has_a_row_only_where_a_change_touches_it() -> None:
    assert _row("2025-11-25", "2024-11-05", "error", "completion/complete", "client").verdict == "emulated"
    assert not [row for row in table() if row.part == "error" and not row.changes]


def test_an_older_server_is_read_without_loss_save_what_is_declared() -> None:
    losses = {
        (row.method, path)
        for row in table()
        if row.client == "2025-11-25" and row.server == "2024-11-05" and row.toward == "client"
        for path in row.losses
    }
    assert losses == {
        ("initialize", "capabilities.tasks"),
        ("sampling/createMessage", "includeContext"),
        ("sampling/createMessage", "task"),
        ("tools/list", "tools[].inputSchema"),
        ("tools/list", "tools[].outputSchema"),
    }


def test_what_a_conversation_stands_in_for_is_emulated_with_its_result() -> None:
    for method in ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"):
        assert _row("2025-06-18", "2026-07-28", "params", method, "server").verdict == "emulated"
        assert _row("2025-06-18", "2026-07-28", "result", method, "client").verdict == "emulated"
    assert _row("2025-11-25", "2026-07-28", "params", "tasks/get", "server").verdict == "refused"


def test_a_question_inside_a_result_is_emulated_as_a_request() -> None:
    roots = _row("2025-11-25", "2026-07-28", "params", "roots/list", "client")
    assert (roots.verdict, roots.losses) == ("emulated", {"_meta": Loss.COSMETIC})
    assert _row("2025-11-25", "2026-07-28", "result", "roots/list", "server").verdict == "emulated"
    assert _row("2025-03-26", "2026-07-28", "params", "elicitation/create", "client").verdict == "refused"


@pytest.mark.parametrize("server", IDS)
def test_what_a_conversation_does_for_a_client_without_sessions_is_emulated(server: str) -> None:
    for method in ("server/discover", "subscriptions/listen"):
        assert _row("2026-07-28", server, "params", method, "server").verdict == "emulated"
        assert _row("2026-07-28", server, "result", method, "client").verdict == "emulated"
    for method in ("roots/list", "sampling/createMessage", "ping"):
        assert _row("2026-07-28", server, "params", method, "client").verdict == "emulated"
        assert _row("2026-07-28", server, "result", method, "server").verdict == "emulated"
    for toward in ("client", "server"):
        assert _row("2026-07-28", server, "notification", "notifications/cancelled", toward).verdict == "emulated"


@pytest.mark.parametrize("server", IDS)
def test_answers_that_come_with_a_retry_are_lost_by_no_conversation(server: str) -> None:
    for method in ("tools/call", "prompts/get", "resources/read"):
        row = _row("2026-07-28", server, "params", method, "server")
        assert row.verdict == "emulated"
        assert not {"inputResponses", "requestState"} & row.losses.keys()


def test_only_tasks_are_refused_between_a_client_without_sessions_and_a_server_with_them() -> None:
    refused = {
        (row.server, row.method)
        for row in table()
        if row.client == "2026-07-28" and row.server in IDS and row.verdict == "refused"
    }
    tasks = ("notifications/tasks/status", "tasks/cancel", "tasks/get", "tasks/list", "tasks/result")
    assert refused == {("2025-11-25", method) for method in tasks}


def test_the_end_of_an_elicitation_by_url_wakes_a_call_instead_of_reaching_a_client_without_sessions() -> None:
    row = _row("2026-07-28", "2025-11-25", "notification", "notifications/elicitation/complete", "client")
    assert (row.verdict, row.losses) == ("emulated", {})


def test_a_tool_result_of_a_newer_server_is_rewritten_for_every_session_client() -> None:
    for client in IDS:
        row = _row(client, "2026-07-28", "result", "tools/call", "client")
        assert row.verdict == "rewritten"
        assert row.losses["structuredContent"] is Loss.CARRIED
