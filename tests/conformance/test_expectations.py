"""The table of expectations: complete, consistent, and holding what the specification says at its edges."""

from __future__ import annotations

from itertools import product

import pytest

from conformance.expectations import ABSENT, OUTCOMES, REFUSED, REWRITTEN, SAME, expect
from conformance.features import NAMES, named
from conformance.revisions import REVISIONS, has

OLDEST, SPRING, SUMMER, AUTUMN = REVISIONS
PAIRS = tuple(product(REVISIONS, REVISIONS))


def test_every_feature_has_one_expectation_for_every_pair_of_revisions() -> None:
    for name, (client, server) in product(NAMES, PAIRS):
        expectation = expect(name, client, server)
        assert expectation.outcome in OUTCOMES
        assert expectation.how, name


def test_between_peers_of_one_revision_nothing_is_rewritten_or_refused() -> None:
    for name, revision in product(NAMES, REVISIONS):
        wanted = SAME if has(revision, named(name).word) else ABSENT
        assert expect(name, revision, revision).outcome == wanted, (name, revision)


def test_what_the_server_cannot_have_is_absent_for_every_client() -> None:
    for name, (client, server) in product(NAMES, PAIRS):
        if not has(server, named(name).word):
            assert expect(name, client, server).outcome == ABSENT, (name, client, server)


def test_an_unknown_feature_has_no_expectation() -> None:
    with pytest.raises(KeyError):
        expect("tools.call.video", OLDEST, AUTUMN)


@pytest.mark.parametrize(
    ("feature", "client", "server", "outcome", "rule"),
    [
        ("tools.call.audio", OLDEST, AUTUMN, REWRITTEN, "content.audio-as-resource"),
        ("tools.call.audio", SPRING, AUTUMN, SAME, "content.audio"),
        ("tools.call.audio", AUTUMN, OLDEST, ABSENT, "absent.server-revision"),
        ("tools.call.links", SPRING, SUMMER, REWRITTEN, "content.links-as-text"),
        ("tools.call.links", SUMMER, AUTUMN, SAME, "content.links"),
        ("tools.call.links", AUTUMN, SPRING, SAME, "tools.content"),
        ("tools.call.structured", SPRING, AUTUMN, REWRITTEN, "tools.structured-as-text"),
        ("tools.call.structured", SUMMER, AUTUMN, SAME, "tools.structured"),
        ("tools.progress", OLDEST, SPRING, REWRITTEN, "progress.message-dropped"),
        ("completion", SPRING, OLDEST, REWRITTEN, "completion.declared-for-server"),
        ("completion", OLDEST, AUTUMN, SAME, "completion"),
        ("elicitation.form", SPRING, SUMMER, REFUSED, "elicitation.refused"),
        ("elicitation.form", SUMMER, AUTUMN, SAME, "elicitation.form"),
        ("elicitation.form", AUTUMN, SPRING, ABSENT, "absent.server-revision"),
        ("elicitation.defaults", SUMMER, AUTUMN, REWRITTEN, "elicitation.defaults-dropped"),
        ("elicitation.defaults", SPRING, AUTUMN, REFUSED, "elicitation.refused"),
        ("elicitation.enums", SUMMER, AUTUMN, REWRITTEN, "elicitation.enums-rewritten"),
        ("elicitation.url", SUMMER, AUTUMN, REFUSED, "elicitation.url-refused"),
        ("elicitation.url", AUTUMN, AUTUMN, SAME, "elicitation.url"),
        ("sampling.tools", SUMMER, AUTUMN, REFUSED, "sampling.tools-refused"),
        ("sampling.tools", AUTUMN, SUMMER, ABSENT, "absent.server-revision"),
        ("sampling", OLDEST, AUTUMN, SAME, "sampling"),
    ],
)
def test_an_edge_of_the_specification_is_in_the_table(
    feature: str, client: str, server: str, outcome: str, rule: str
) -> None:
    expectation = expect(feature, client, server)
    assert (expectation.outcome, expectation.rule) == (outcome, rule)
