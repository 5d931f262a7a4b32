"""The table of expectations: complete, consistent, and holding what the specification says at its edges."""

from __future__ import annotations

from itertools import product

import pytest

from conformance.expectations import ABSENT, OUTCOMES, REFUSED, REWRITTEN, SAME, expect
from conformance.features import NAMES, named, of
from conformance.revisions import CLIENTS, REVISIONS, SERVERS, STATELESS, has

OLDEST, SPRING, SUMMER, AUTUMN = REVISIONS
PAIRS = tuple(product(CLIENTS, SERVERS))


def test_every_feature_has_one_expectation_for_every_pair_of_revisions() -> None:
    for name, (client, server) in product(NAMES, PAIRS):
        expectation = expect(name, client, server)
        assert expectation.outcome in OUTCOMES
        assert expectation.how, name


def test_between_peers_of_one_revision_nothing_is_rewritten_or_refused() -> None:
    for name, revision in product(NAMES, SERVERS):
        wanted = SAME if has(revision, named(name).word) else ABSENT
        assert expect(name, revision, revision).outcome == wanted, (name, revision)


def test_what_the_server_cannot_have_is_absent_for_every_client() -> None:
    for name, (client, server) in product(NAMES, PAIRS):
        if server != STATELESS and not has(server, named(name).word):
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
        ("inputs.three", SPRING, SUMMER, REFUSED, "elicitation.refused"),
        ("inputs.prompt", SUMMER, AUTUMN, SAME, "elicitation.form"),
        ("inputs.decline", AUTUMN, SPRING, ABSENT, "absent.server-revision"),
    ],
)
def test_an_edge_of_the_specification_is_in_the_table(
    feature: str, client: str, server: str, outcome: str, rule: str
) -> None:
    expectation = expect(feature, client, server)
    assert (expectation.outcome, expectation.rule) == (outcome, rule)


@pytest.mark.parametrize(
    ("feature", "client", "outcome", "rule"),
    [
        ("ping", OLDEST, REWRITTEN, "ping.answered-by-broker"),
        ("logging.setLevel", AUTUMN, REWRITTEN, "logging.level-kept"),
        ("logging.request_level", OLDEST, REWRITTEN, "logging.level-on-requests"),
        ("resources.read.missing", AUTUMN, REWRITTEN, "errors.missing-resource"),
        ("tools.call.unknown", AUTUMN, SAME, "errors.codes"),
        ("tools.call.array", AUTUMN, REWRITTEN, "tools.array-wrapped"),
        ("tools.call.array", SPRING, REWRITTEN, "tools.structured-as-text"),
        ("tools.call.mirrored", OLDEST, SAME, "http.mirrored-arguments"),
        ("elicitation.url", AUTUMN, REWRITTEN, "elicitation.url-id"),
        ("elicitation.url", SUMMER, REFUSED, "elicitation.url-refused"),
        ("elicitation.defaults", SUMMER, REWRITTEN, "elicitation.defaults-dropped"),
        ("inputs.three", SUMMER, REWRITTEN, "inputs.asked"),
        ("inputs.three", SPRING, REFUSED, "inputs.refused"),
        ("inputs.prompt", SPRING, REFUSED, "inputs.refused-outside-calls"),
        ("inputs.state_only", OLDEST, SAME, "inputs.state-only"),
        ("inputs.decline", AUTUMN, REWRITTEN, "inputs.asked"),
        ("sampling", OLDEST, SAME, "sampling"),
        ("roots", OLDEST, SAME, "roots"),
        ("resources.subscribe", OLDEST, SAME, "resources.subscribe"),
    ],
)
def test_a_stateless_server_is_judged_by_what_its_clients_can_see(
    feature: str, client: str, outcome: str, rule: str
) -> None:
    expectation = expect(feature, client, STATELESS)
    assert (expectation.outcome, expectation.rule) == (outcome, rule)


@pytest.mark.parametrize(
    ("feature", "server", "outcome", "rule"),
    [
        ("initialize", OLDEST, REWRITTEN, "discover.from-handshake"),
        ("initialize", STATELESS, SAME, "discover"),
        ("ping", AUTUMN, ABSENT, "removed.methods"),
        ("ping", STATELESS, ABSENT, "absent.server-revision"),
        ("logging.setLevel", OLDEST, ABSENT, "removed.methods"),
        ("tools.logging", OLDEST, REWRITTEN, "logging.level-from-requests"),
        ("tools.logging", STATELESS, SAME, "logging"),
        ("tools.call.audio", OLDEST, ABSENT, "absent.server-revision"),
        ("tools.call.array", STATELESS, SAME, "tools.structured"),
        ("resources.read.missing", AUTUMN, REWRITTEN, "errors.missing-resource-renumbered"),
        ("resources.read.missing", STATELESS, SAME, "errors.codes"),
        ("resources.subscribe", SPRING, REWRITTEN, "listen.fed"),
        ("completion", OLDEST, REWRITTEN, "completion.declared-for-server"),
        ("sampling", OLDEST, REWRITTEN, "rounds.pushed"),
        ("sampling", STATELESS, SAME, "rounds.kept"),
        ("elicitation.form", SPRING, ABSENT, "absent.server-revision"),
        ("elicitation.form", SUMMER, REWRITTEN, "rounds.pushed"),
        ("elicitation.enums", AUTUMN, REWRITTEN, "rounds.pushed"),
        ("elicitation.url", AUTUMN, REWRITTEN, "rounds.pushed-visit"),
        ("inputs.three", SUMMER, REWRITTEN, "rounds.pushed"),
        ("inputs.decline", OLDEST, ABSENT, "absent.server-revision"),
        ("inputs.state_only", STATELESS, SAME, "inputs.state-only"),
    ],
)
def test_a_stateless_client_is_judged_by_what_its_server_can_show(
    feature: str, server: str, outcome: str, rule: str
) -> None:
    expectation = expect(feature, STATELESS, server)
    assert (expectation.outcome, expectation.rule) == (outcome, rule)


def test_nothing_is_refused_to_a_stateless_client_that_declares_everything() -> None:
    for name, server in product(NAMES, SERVERS):
        assert expect(name, STATELESS, server).outcome != REFUSED, (name, server)


def test_nothing_is_absent_for_a_client_of_a_stateless_server() -> None:
    for name, client in product(NAMES, REVISIONS):
        assert expect(name, client, STATELESS).outcome != ABSENT, (name, client)


def test_features_that_only_stateless_servers_have_are_tried_before_no_other() -> None:
    assert of(STATELESS) == NAMES
    for server in REVISIONS:
        untried = {name for name in NAMES if name not in of(server)}
        assert untried == {"tools.call.array", "tools.call.mirrored", "logging.request_level", "inputs.state_only"}
