"""The table of transports: its cells, what it leaves out and why, and that the small table meets every pair."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from conformance import reach, transports
from conformance.cells import FAMILIES, TRANSPORTS, Cell, Peer
from conformance.features import NAMES
from conformance.judge import Verdict
from conformance.launch import Children
from conformance.matrix import Row
from conformance.revisions import CLIENTS, SERVERS, STATELESS

VALUES = (CLIENTS, TRANSPORTS, FAMILIES, SERVERS, TRANSPORTS, FAMILIES)


def test_every_pair_of_revisions_and_transports_is_a_cell_or_has_a_reason() -> None:
    cells = {
        ((cell.client.revision, cell.client.transport), (cell.server.revision, cell.server.transport))
        for cell in transports.every()
    }
    assert len(transports.every()) == len(cells)
    assert cells.isdisjoint(transports.left_out())
    assert len(cells) + len(transports.left_out()) == (len(CLIENTS) * len(TRANSPORTS)) ** 2
    assert set(transports.left_out().values()) == {f"revision:{STATELESS} has no sse"}


@pytest.mark.parametrize(("one", "other"), list(combinations(range(len(VALUES)), 2)))
def test_the_small_table_meets_every_pair_of_values_that_the_revisions_allow(one: int, other: int) -> None:
    allowed = {(values[one], values[other]) for values in map(transports.values, _offered())}
    met = {(values[one], values[other]) for values in map(transports.values, transports.pairwise())}
    assert met == allowed


def test_the_small_table_is_hardly_larger_than_the_pairs_of_revisions() -> None:
    assert len(CLIENTS) * len(SERVERS) <= len(transports.pairwise()) <= len(CLIENTS) * len(SERVERS) + 5


@pytest.mark.parametrize("place", ["client", "server"])
def test_every_side_meets_all_pairs_of_families(place: str) -> None:
    for side in transports.sides(SERVERS):
        cells = [cell for cell in transports.every() if _side(getattr(cell, place)) == side]
        assert {(cell.client.family, cell.server.family) for cell in cells} == {
            (one, other) for one in FAMILIES for other in FAMILIES
        }


def test_the_features_of_the_table_are_features() -> None:
    assert set(transports.FEATURES) <= set(NAMES)


def test_a_peer_on_another_transport_is_read_as_it_is_written() -> None:
    for cell in transports.every():
        assert Cell.parse(str(cell)) == cell
    assert str(Cell.parse("py:2024-11-05@stdio/ts:2025-11-25@sse").reference) == ("py:2025-11-25@sse/ts:2025-11-25@sse")
    with pytest.raises(ValueError, match="no peer"):
        Cell.parse("py:2024-11-05@pigeon/ts:2025-11-25")


def test_a_pipe_is_a_command_for_whoever_stands_before_it(tmp_path: Path) -> None:
    client, server = Peer("py", "2025-06-18", "stdio"), Peer("py", "2024-11-05", "stdio")
    with Children(tmp_path) as children:
        behind = reach.server(children, server)
        front = reach.broker(children, behind, client, "--backend-revision", "auto")
    assert isinstance(front, tuple)
    assert front[-len(behind) :] == behind
    assert front[1:6] == ("-m", "broker", "stdio", "--backend-revision", "auto")
    assert reach.told(front, client)[0] == "--command"
    assert reach.told("http://127.0.0.1:1/sse", Peer("ts", "2025-06-18", "sse"))[2:] == ["--transport", "sse"]


def test_the_grid_shows_a_letter_for_each_pair_and_why_others_have_none() -> None:
    bad, good = transports.every()[0], transports.every()[1]
    failed = Verdict("tools.list", "failed", "same", "rule:tools.list")
    lines = transports.grid([Row(bad, (failed,)), Row(good, ())])
    assert lines[2].split()[2:4] == ["F", "."]
    assert lines[2].split().count("-") == 1
    assert transports.excluded() == [f"  revision:{STATELESS} has no sse: 29 pairs"]


def _side(peer: Peer) -> tuple[str, str]:
    return peer.revision, peer.transport


def _offered() -> list[Cell]:
    return [
        Cell(Peer(one, *client), Peer(other, *server))
        for client in transports.sides(CLIENTS)
        for server in transports.sides(SERVERS)
        for one in FAMILIES
        for other in FAMILIES
    ]
