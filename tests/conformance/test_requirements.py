"""Traceability: every promise is checked and every check is of a promise."""

from __future__ import annotations

import re

from conformance.raw.run import CHECKS, STATELESS_CHECKS, of
from conformance.requirements import checked, requirements
from conformance.revisions import CLIENTS, SERVERS

PAGE = re.compile(r"^(?P<revision>\d{4}-\d\d-\d\d)/(changelog|(basic|server|client)/[a-z/-]+)(#[a-z-]+)?$")


def test_every_promise_is_stood_for_by_a_check() -> None:
    assert set(requirements()) - checked() == set()


def test_every_check_stands_for_a_promise() -> None:
    assert checked() - set(requirements()) == set()


def test_every_promise_names_pages_of_the_specification() -> None:
    for requirement in requirements().values():
        for page in requirement.spec:
            matched = PAGE.match(page)
            assert matched is not None, f"{requirement.id}: {page}"
            assert matched["revision"] in SERVERS, f"{requirement.id}: {page}"


def test_raw_checks_have_names_of_their_own() -> None:
    names = [check.name for check in (*CHECKS, *STATELESS_CHECKS)]
    assert len(names) == len(set(names))


def test_every_raw_check_applies_to_some_pair_and_says_what_it_proves() -> None:
    applied = {check.name for client in CLIENTS for server in SERVERS for check in of(client, server)}
    assert applied == {check.name for check in (*CHECKS, *STATELESS_CHECKS)}
