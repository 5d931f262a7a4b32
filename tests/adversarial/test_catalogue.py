"""The catalogue of hostile input is whole: every case says where it is tried, or why it is not yet."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parents[1]
CATALOGUE: dict[str, dict[str, Any]] = yaml.safe_load(
    (TESTS / "adversarial" / "catalogue.yaml").read_text(encoding="utf-8")
)
CASES = 258
SHOWN = {case: said["where"] for case, said in CATALOGUE.items() if "where" in said}


@cache
def text_of(file: str) -> str:
    return (TESTS / file).read_text(encoding="utf-8")


def test_every_case_is_there_once_and_in_order() -> None:
    lines = text_of("adversarial/catalogue.yaml").splitlines()
    assert [line[:4] for line in lines if re.match(r"C\d{3}:", line)] == [f"C{n:03}" for n in range(1, CASES + 1)]


@pytest.mark.parametrize("case", CATALOGUE)
def test_a_case_says_where_it_is_tried_or_why_not_yet(case: str) -> None:
    said = CATALOGUE[case]
    assert said["case"]
    assert ("where" in said) != ("later" in said)
    assert said.get("where") or len(said["later"]) > 20


@pytest.mark.parametrize("case", SHOWN)
def test_what_is_said_to_try_a_case_exists(case: str) -> None:
    for each in SHOWN[case]:
        file, name = each.split("::")
        assert re.search(rf"def test_{name}\(", text_of(file)), each
        # Rows name their cases: one that is said to be there has to be.
        assert file.split("/")[0] != "adversarial" or re.search(rf"\b{case}\b", text_of(file)), each


def test_no_test_names_a_case_that_the_catalogue_does_not_have_as_tried() -> None:
    named: dict[str, set[str]] = {}
    for file in TESTS.rglob("test_*.py"):
        for case in re.findall(r"\bC(\d{3})\b", file.read_text(encoding="utf-8")):
            named.setdefault(f"C{case}", set()).add(file.name)
    assert {case: files for case, files in named.items() if case not in SHOWN} == {}
