"""The shape of the repository: who imports whom, how long files are, and what no file may say.

import-linter proves the coarse contracts (pyproject.toml); these name file and line, and hold for files that are
added later without being listed anywhere.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmarks", "broker", "conformance", "protocol_versions", "tests", "translators")
LONGEST, LONGEST_TEST = 300, 400
TRANSLATORS_WITHOUT = {"asyncio", "socket", "time", "random", "logging", "os", "pathlib", "secrets", "subprocess"}
# The wire is all a black box needs: frames, and the names of revisions and slots.
CONFORMANCE_OURS = re.compile(r"broker|conformance(\..+)?|protocol_versions(\.(jsonrpc|base|strict|frames))?")


def tracked(*suffixes: str) -> list[Path]:
    """Every file of the repository with one of these suffixes, as git knows them, or as they lie there without git."""
    found = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if found.returncode == 0:
        names = [ROOT / name for name in found.stdout.decode().split("\0") if name]
    else:
        names = [
            path for package in PACKAGES for path in (ROOT / package).rglob("*") if "__pycache__" not in path.parts
        ]
    return sorted(path for path in names if path.is_file() and (not suffixes or path.suffix in suffixes))


SOURCES = [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] in PACKAGES]


def name_of(path: Path) -> str:
    """The module name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import in a file, wherever it stands; `from a import b` gives both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            for alias in node.names:
                yield node.lineno, node.module
                beside = ROOT / Path(*node.module.split("."))
                if (beside / f"{alias.name}.py").exists() or (beside / alias.name / "__init__.py").exists():
                    yield node.lineno, f"{node.module}.{alias.name}"


def under(package: str) -> list[Path]:
    return [path for path in SOURCES if path.relative_to(ROOT).parts[0] == package]


def step_of(module: str) -> str | None:
    """The step a module belongs to: `translators.v2024_11_05__v2025_03_26`."""
    found = re.match(r"translators\.v\d{4}_\d\d_\d\d__v\d{4}_\d\d_\d\d", module)
    return found[0] if found else None


def revision_of(module: str) -> str | None:
    """The revision a schema module describes: `v2024_11_05`."""
    found = re.match(r"protocol_versions\.(v\d{4}_\d\d_\d\d)", module)
    return found[1] if found else None


def offences(package: str, forbidden: object) -> list[str]:
    assert callable(forbidden)
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in under(package)
        for line, module in imports(path)
        if forbidden(name_of(path), module)
    ]


def is_third_party(module: str) -> bool:
    top = module.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in PACKAGES


def test_the_repository_has_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} >= {"broker", "protocol_versions", "translators"}


def test_protocol_versions_import_msgspec_and_themselves_alone() -> None:
    def forbidden(_importer: str, module: str) -> bool:
        top = module.partition(".")[0]
        return (top in PACKAGES and top != "protocol_versions") or (is_third_party(module) and top != "msgspec")

    assert not offences("protocol_versions", forbidden)


def test_translators_have_no_io_no_clock_and_no_randomness() -> None:
    def forbidden(_importer: str, module: str) -> bool:
        top = module.partition(".")[0]
        foreign = top in PACKAGES and top not in {"translators", "protocol_versions"}
        return foreign or top in TRANSLATORS_WITHOUT or (is_third_party(module) and top != "msgspec")

    assert not offences("translators", forbidden)


MACHINES = ("translators.session_client", "translators.stateless_client")
"""The stateful halves of the newest step, one for each direction."""


def test_the_machines_of_the_newest_step_import_that_step_alone_and_nobody_else_imports_them() -> None:
    def forbidden(importer: str, module: str) -> bool:
        mine = next((machine for machine in MACHINES if importer.startswith(machine)), None)
        theirs = next((machine for machine in MACHINES if module.startswith(machine)), None)
        if theirs is not None:
            return mine != theirs
        return mine is not None and step_of(module) not in (None, "translators.v2025_11_25__v2026_07_28")

    assert not offences("translators", forbidden)


def test_steps_never_import_each_other_and_the_kit_never_imports_a_step() -> None:
    def forbidden(importer: str, module: str) -> bool:
        if importer.startswith(MACHINES):
            return False  # their own rule is above
        return step_of(module) is not None and step_of(module) != step_of(importer)

    assert not offences("translators", forbidden)


def test_schema_modules_import_only_older_ones() -> None:
    def forbidden(importer: str, module: str) -> bool:
        mine, theirs = revision_of(importer), revision_of(module)
        return theirs is not None and (mine is None or theirs > mine)

    assert not offences("protocol_versions", forbidden)


def test_hook_authors_need_protocol_versions_alone() -> None:
    def forbidden(importer: str, module: str) -> bool:
        ours = module.partition(".")[0] in PACKAGES and not module.startswith("protocol_versions")
        return importer == "broker.hooks.base" and (ours or (is_third_party(module) and module != "msgspec"))

    assert not offences("broker", forbidden)


def test_conformance_sees_the_public_face_and_the_wire() -> None:
    def forbidden(importer: str, module: str) -> bool:
        ours = module.partition(".")[0] in PACKAGES
        return ours and not importer.startswith("conformance.peers") and CONFORMANCE_OURS.fullmatch(module) is None

    assert not offences("conformance", forbidden)


def test_the_product_does_not_import_its_tests() -> None:
    def forbidden(_importer: str, module: str) -> bool:
        return module.partition(".")[0] in {"tests", "conformance", "benchmarks"}

    assert not offences("broker", forbidden)


@pytest.mark.parametrize("module", ["broker", "broker.hooks.base"])
def test_what_hook_authors_import_loads_neither_aiohttp_nor_pydantic(module: str) -> None:
    code = f"import sys, {module}; sys.exit(sum(name in sys.modules for name in ('aiohttp', 'pydantic', 'structlog')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_public_face_is_complete() -> None:
    import broker

    assert all(getattr(broker, name) is not None for name in broker.__all__)
    with pytest.raises(AttributeError):
        broker.nothing_of_this_name  # noqa: B018


def test_no_file_is_too_long_to_read() -> None:
    long = []
    for path in SOURCES:
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > (LONGEST_TEST if path.relative_to(ROOT).parts[0] == "tests" else LONGEST):
            long.append(f"{path.relative_to(ROOT)}: {length} lines")
    assert not long


def test_every_module_says_what_it_is() -> None:
    silent = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if text.strip() and ast.get_docstring(ast.parse(text)) is None:
            silent.append(str(path.relative_to(ROOT)))
    assert not silent


def test_only_protocol_versions_know_the_order_of_dates() -> None:
    """Elsewhere a Trait is asked; a comparison with a date is a rule the next revision breaks silently."""
    date = re.compile(r"\d{4}-\d{2}-\d{2}")
    found = []
    for path in [*under("broker"), *under("translators")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Compare):
                continue
            leaves = [leaf for part in [node.left, *node.comparators] for leaf in ast.walk(part)]
            texts = [leaf.value for leaf in leaves if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)]
            if any(date.fullmatch(text) for text in texts):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found


def test_nothing_is_left_to_do_and_no_machine_is_named() -> None:
    # Spelled in pieces, so that this file does not contain what it forbids.
    words = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "up" + "stream"]
    pattern = re.compile("|".join(rf"(?<![\w/-]){re.escape(word)}" for word in words))
    found = []
    for path in tracked(".py", ".toml", ".md", ".yaml", ".yml", ".mjs", ".sh"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found
