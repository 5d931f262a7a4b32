"""The revision modules say what the official schemas say, by the digests kept in fixtures/."""

from __future__ import annotations

import pytest

from protocol_versions import REVISIONS
from protocol_versions.base import Revision
from tests.protocol_versions.check_schema import compare, like, listed, module_sha256, read_digest, unlisted

# Of these definitions only the `params`, `result` or `error` inside is a shape.
ENVELOPES = ("Request", "Notification", "ResultResponse", "Error")

each_revision = pytest.mark.parametrize("revision", REVISIONS, ids=lambda revision: revision.id)


@each_revision
def test_a_revision_differs_from_its_official_schema_only_as_listed(revision: Revision) -> None:
    assert unlisted(revision, read_digest(revision)) == []


@each_revision
def test_a_module_names_the_schema_it_was_written_against(revision: Revision) -> None:
    assert module_sha256(revision) == read_digest(revision)["sha256"]


@each_revision
def test_every_listed_difference_still_exists(revision: Revision) -> None:
    found, _ = compare(revision, read_digest(revision))
    assert [pattern for pattern in listed(revision) if not any(like(line, pattern) for line in found)] == []


@each_revision
def test_a_change_of_any_definition_in_use_is_noticed(revision: Revision) -> None:
    digest = read_digest(revision)
    definitions = digest["definitions"]
    _, unused = compare(revision, digest)
    overlooked = []
    for name in sorted(definitions.keys() - unused):
        form = definitions[name]
        if name.endswith(ENVELOPES) or "object" not in form:
            continue
        for member in form["object"]:
            others = {other: kind for other, kind in form["object"].items() if other != member}
            renamed = {**form, "object": {**others, "renamed": form["object"][member]}}
            demanded = {**form, "required": sorted(set(form["required"]) ^ {member})}
            overlooked += [
                f"{name}.{member}"
                for damaged in (renamed, demanded)
                if not unlisted(revision, {**digest, "definitions": {**definitions, name: damaged}})
            ]
    assert overlooked == []


@each_revision
def test_slots_that_travel_alone_are_those_whose_sender_may_start_an_exchange(revision: Revision) -> None:
    alone = revision.types.keys() - revision.embedded
    asked = {slot.method for slot in alone if slot.part == "params" and slot.toward == "client"}
    assert bool(asked) is revision.traits.server_requests
    assert revision.embedded <= revision.types.keys()
    assert revision.alternatives.keys() <= revision.types.keys()
