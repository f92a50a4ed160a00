"""The house: what stands on which storey, imports that only go down, and no circles between files."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

Imports = Callable[[str], frozenset[str]]

ROOT = Path(__file__).resolve().parent.parent

STOREYS = ("base", "metrics", "scan", "data", "stages", "methods", "runs")
"""From the ground up; a module imports from its own storey and those below."""

FACES = {"", "denoising", "diffusion", "grid", "models", "preprocess"}
"""Modules right under ``ctgrid`` that define nothing: names people import, handed on from the storeys."""


@cache
def modules() -> dict[str, Path]:
    """Return every module of ``ctgrid`` by its name."""
    found = {}
    for path in (ROOT / "ctgrid").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@pytest.fixture(scope="module")
def imports(imported: Callable[[Path], list[ast.Import | ast.ImportFrom]]) -> Imports:
    """Return what tells the modules of ``ctgrid`` that a module imports."""
    return cache(lambda name: imports_of(name, imported(modules()[name])))


def imports_of(name: str, statements: list[ast.Import | ast.ImportFrom]) -> frozenset[str]:
    """Return the modules of ``ctgrid`` that a module imports, anywhere in it: lazily and for types as well."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in statements:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            whole = {f"{source}.{alias.name}" for alias in node.names}
            found |= {one if one in modules() else source for one in whole}
    return frozenset(one for one in found if one.split(".")[0] == "ctgrid" and one != name)


def storey(name: str) -> int:
    """Return the number of a module's storey, from the ground; those above all are the faces."""
    room = name.split(".")[1] if "." in name else ""
    return len(STOREYS) if room in FACES else STOREYS.index(room)


def test_every_module_stands_on_a_storey() -> None:
    rooms = {name.split(".")[1] for name in modules() if "." in name}
    assert rooms <= {*STOREYS, *FACES}
    assert set(STOREYS) <= rooms


def test_imports_go_down(imports: Imports) -> None:
    up = [f"{name} -> {used}" for name in modules() for used in imports(name) if storey(used) > storey(name)]
    assert not up, "\n".join(sorted(up))


def test_no_file_imports_itself_by_way_of_others(imports: Imports) -> None:
    try:
        TopologicalSorter({name: imports(name) for name in modules()}).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_no_file_imports_what_is_not_there(imports: Imports) -> None:
    missing = [f"{name} -> {used}" for name in modules() for used in imports(name) if used not in modules()]
    assert not missing, "\n".join(missing)


def test_the_command_line_is_not_imported() -> None:
    for name, path in modules().items():
        assert "ctgrid_cli" not in path.read_text(encoding="utf-8"), name
