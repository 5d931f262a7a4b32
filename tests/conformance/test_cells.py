"""The cells: their spelling, and that the pairwise subset covers every pair of values."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from conformance.cells import FAMILIES, Cell, Peer, every_cell, pairwise, parse_cells
from conformance.revisions import CLIENTS, SERVERS, STATELESS

PARAMETERS = {
    "client revision": CLIENTS,
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
    assert len(pairwise()) == len(CLIENTS) * len(SERVERS)
    assert len(set(pairwise())) == len(pairwise())


def test_every_cell_is_every_client_before_every_server() -> None:
    peers = {Peer(family, revision) for family in FAMILIES for revision in SERVERS}
    assert set(every_cell()) == {Cell(client, server) for client in peers for server in peers}


@pytest.mark.parametrize("revision", SERVERS)
def test_the_pairwise_subset_meets_all_pairs_of_families_on_both_sides_of_a_revision(revision: str) -> None:
    for side in ("client", "server"):
        cells = [cell for cell in pairwise() if getattr(cell, side).revision == revision]
        assert {(cell.client.family, cell.server.family) for cell in cells} == set(product(FAMILIES, FAMILIES)), side


def test_a_stateless_client_is_a_client_of_a_cell() -> None:
    (cell,) = parse_cells("py:2026-07-28/ts:2024-11-05")
    assert cell.client == Peer("py", STATELESS)
    assert str(cell.reference) == "py:2024-11-05/ts:2024-11-05"


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
