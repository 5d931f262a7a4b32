"""The cells: their spelling, and that the pairwise subset covers every pair of values."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from conformance.cells import FAMILIES, Cell, Peer, every_cell, pairwise, parse_cells
from conformance.revisions import REVISIONS, SERVERS, STATELESS

PARAMETERS = {
    "client revision": REVISIONS,
    "server revision": SERVERS,
    "client family": FAMILIES,
    "server family": FAMILIES,
}


def _values(cell: Cell) -> dict[str, str]:
    return dict(
        zip(
            PARAMETERS,
            (cell.client.revision, cell.server.revision, cell.client.family, cell.server.family),
            strict=True,
        )
    )


@pytest.mark.parametrize(("one", "other"), list(combinations(PARAMETERS, 2)))
def test_the_pairwise_subset_meets_every_pair_of_values(one: str, other: str) -> None:
    met = {(_values(cell)[one], _values(cell)[other]) for cell in pairwise()}
    assert met == set(product(PARAMETERS[one], PARAMETERS[other]))


def test_the_pairwise_subset_is_as_small_as_it_can_be() -> None:
    assert len(pairwise()) == len(REVISIONS) * len(SERVERS)
    assert len(set(pairwise())) == len(pairwise())


def test_every_cell_is_every_session_client_before_every_server() -> None:
    clients = {Peer(family, revision) for family in FAMILIES for revision in REVISIONS}
    servers = clients | {Peer(family, STATELESS) for family in FAMILIES}
    assert set(every_cell()) == {Cell(client, server) for client in clients for server in servers}


def test_the_pairwise_subset_meets_all_pairs_of_families_before_stateless_servers() -> None:
    met = {(cell.client.family, cell.server.family) for cell in pairwise() if cell.server.revision == STATELESS}
    assert met == set(product(FAMILIES, FAMILIES))


def test_a_client_without_a_session_is_no_client_of_a_cell() -> None:
    with pytest.raises(ValueError, match="no session"):
        parse_cells("py:2026-07-28/py:2025-11-25")


def test_a_cell_is_read_as_it_is_written() -> None:
    for cell in every_cell():
        assert Cell.parse(str(cell)) == cell
    text = "py:2024-11-05/ts:2025-11-25, ts:2025-06-18/py:2025-03-26"
    assert [str(cell) for cell in parse_cells(text)] == [
        "py:2024-11-05/ts:2025-11-25",
        "ts:2025-06-18/py:2025-03-26",
    ]


@pytest.mark.parametrize("text", ["py:2024-11-05", "go:2024-11-05/py:2024-11-05", "py:2024-11-06/py:2024-11-05", "/"])
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no peer"):
        parse_cells(text)


def test_a_cell_is_judged_by_its_server_and_its_client_without_the_broker() -> None:
    cell = Cell.parse("py:2024-11-05/ts:2025-11-25")
    assert str(cell.reference) == "py:2025-11-25/ts:2025-11-25"
    assert str(cell.own) == "py:2024-11-05/py:2024-11-05"
