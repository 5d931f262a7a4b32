"""Which revision each leg speaks."""

from __future__ import annotations

from typing import Any

import pytest

from broker.negotiate import AUTO, SESSION_REVISIONS, backend_offer, client_revision


def test_sessions_exist_in_four_revisions_oldest_first() -> None:
    assert SESSION_REVISIONS == ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


@pytest.mark.parametrize("asked", SESSION_REVISIONS)
def test_a_client_gets_the_revision_it_asks_for_if_it_is_served(asked: str) -> None:
    assert client_revision(asked, SESSION_REVISIONS) == asked


@pytest.mark.parametrize("asked", ["2026-07-28", "2025-11-25", "1.0", "", None, 3, ["2025-03-26"]])
def test_any_other_wish_is_answered_with_the_newest_served_revision(asked: Any) -> None:
    assert client_revision(asked, ("2024-11-05", "2025-06-18", "2025-03-26")) == "2025-06-18"


def test_a_backend_is_offered_the_clients_revision_or_what_the_operator_pinned() -> None:
    assert backend_offer(AUTO, "2025-03-26") == ("2025-03-26", False)
    assert backend_offer("2024-11-05", "2025-03-26") == ("2024-11-05", True)
