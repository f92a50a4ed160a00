"""Tests stand where their modules stand: ``ctgrid/a/b.py`` is tested by ``tests/a/test_b.py``, ``cli/c.py`` likewise.

Three kinds of tests mirror no module. Those right under ``tests/`` look at the house as a whole; those in ``hostile/``
damage, kill and fill disks; those in a folder named ``across/`` go through several modules of the package they lie in.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"

MOST_LINES = 40
"""Lines of code (no docstrings, comments and blank lines) that a module may have without a test of its own."""

CROSSING = ("hostile", "across")
"""Folders whose tests go through several modules."""

LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
Functions = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[Path, Path]:
    """Return every module that is no face by the place of its test."""
    found = {}
    for top in ("ctgrid", "cli"):
        for path in (ROOT / top).rglob("*.py"):
            place = path.relative_to(ROOT / "ctgrid") if top == "ctgrid" else path.relative_to(ROOT)
            if path.name != "__init__.py":
                found[TESTS / place.parent / f"test_{place.name}"] = path
    return found


def lines_of_code(source: str) -> int:
    """Count the lines that hold code."""
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            held |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | Functions) and ast.get_docstring(node) is not None:
            end = node.body[0].end_lineno
            held -= set(range(node.body[0].lineno, (end or 0) + 1))
    return len(held)


def does_something(source: str) -> bool:
    """Tell a module with functions from one that holds data alone."""
    return any(isinstance(node, Functions) for node in ast.walk(ast.parse(source)))


def told(paths: list[Path]) -> str:
    """Return paths as people name them, a line each."""
    return "\n".join(sorted(str(path.relative_to(ROOT)) for path in paths))


def test_every_module_has_a_test_of_its_own() -> None:
    """But for small ones, and those that hold nothing but data."""
    lacking = []
    for test, module in modules().items():
        source = module.read_text(encoding="utf-8")
        if not test.exists() and does_something(source) and lines_of_code(source) > MOST_LINES:
            lacking.append(module)
    assert not lacking, f"more than {MOST_LINES} lines of code, and no test in the mirrored place:\n{told(lacking)}"


def test_every_test_mirrors_a_module_or_crosses_several() -> None:
    """So that a stranger finds it, and none outlives its module."""
    strays = []
    for test in TESTS.rglob("test_*.py"):
        folders = test.relative_to(TESTS).parts[:-1]
        if folders and not set(folders) & set(CROSSING) and test not in modules():
            strays.append(test)
    assert not strays, f"these mirror no module; rename them, or move them into across/:\n{told(strays)}"


def test_a_test_has_tests() -> None:
    """A file in the mirrored place is no token: it holds at least one."""
    hollow = []
    for test in TESTS.rglob("test_*.py"):
        if not re.search(r"^ *(async )?def test_", test.read_text(encoding="utf-8"), re.MULTILINE):
            hollow.append(test)
    assert not hollow, f"no test in:\n{told(hollow)}"


def test_tests_that_documents_name_are_there() -> None:
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml", "Makefile")]
    pages += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / ".ci").rglob("*.py")]
    for page in pages:
        for name in re.findall(r"tests/[\w/]*test_\w+\.py", page.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{page.relative_to(ROOT)} names {name}"


def test_lines_are_counted_as_people_would() -> None:
    source = (
        '"""Doc."""\n\n# a note\nX = {\n    1: 2,  # two\n}\n\n\ndef f():\n    """Doc\n    more."""\n    return 1\n'
    )
    assert lines_of_code(source) == 3 + 2
    assert does_something(source) and not does_something("X = 1\n")
