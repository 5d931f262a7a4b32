"""The suite's client leg: which scenarios it runs, and that a command without its server fails."""

from __future__ import annotations

from conformance import official_client
from conformance.launch import free_port

LISTING = """Required for 2026-07-28 (4 scenarios, frozen):

Server scenarios (test against a server):
  - tools-list

Client scenarios (test against a client):
  - tools_call
  - auth/basic-cimd
  - request-metadata [timed]

Run and reported, but never scored:
  added-after-release (1):
    - json-schema-2020-12-preservation [client]
"""


def test_scored_client_scenarios_are_run_but_those_about_authorization() -> None:
    assert official_client.scenarios(LISTING) == ("tools_call", "request-metadata")


def test_a_command_whose_server_is_away_fails() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    assert official_client.main(["--backend-revision", "2026-07-28", url]) != 0


def test_the_legs_put_clients_of_either_era_before_servers_of_the_other_told_and_found() -> None:
    met = {(leg.suite, leg.client, leg.told == "auto") for leg in official_client.LEGS}
    eras = (("2026-07-28", "2025-11-25"), ("2025-11-25", "2026-07-28"))
    assert met == {(*era, found) for era in eras for found in (True, False)}
    assert len({leg.folder for leg in official_client.LEGS}) == len(official_client.LEGS)
    assert all(path.is_file() for path in official_client.CLIENTS.values())
