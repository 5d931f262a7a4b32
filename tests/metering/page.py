"""What `/metrics` says, read by the Prometheus client's own parser."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parsed

from broker.app import FACES
from broker.metering.exposition import Exposition
from broker.metering.meter import Meter
from tests.broker.scripted_backend import World

Sample = tuple[dict[str, str], float]


def page(here: World, meter: Meter | None) -> defaultdict[str, list[Sample]]:
    """Samples by their name."""
    faces = here.broker.app[FACES]
    text, content_type = Exposition(lambda: faces, lambda: True, 0.0, meter).text("")
    assert content_type.startswith("text/plain")
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    for family in parsed(text.decode()):
        for sample in family.samples:
            found[sample.name].append((sample.labels, sample.value))
    return found


def only(samples: list[Sample], **labels: str) -> float:
    """The value of the one sample with these labels, whatever others it has."""
    values = [value for found, value in samples if labels.items() <= found.items()]
    assert len(values) == 1, (labels, samples)
    return values[0]


def told(samples: list[Sample], *names: str) -> list[Any]:
    """Of each sample some labels, and its value."""
    return [(*(labels[name] for name in names), value) for labels, value in samples]
