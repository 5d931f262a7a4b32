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
