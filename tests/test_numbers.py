"""Numbers with a meaning have a name: the schedule's steps, the limits of HU, thousands of other things."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HU_AT_HOME = {
    "scan/windows.py",  # windows, and air
    "metrics/regions.py",  # tissues that measures tell apart, on a storey below
    "stages/networks/detail.py",  # a network's unit
    "base/usual.py",  # most noise of a phantom
}


SPELLED = re.compile(r"9_?9_?9|1_?0_?0_?0|\d\.?e|\b0[box]", re.IGNORECASE)
"""Some way to write the numbers asked for; what has none of them is not parsed, which takes seconds."""


@cache
def trees() -> dict[str, ast.Module]:
    """Return the parsed modules by their path, those in which such a number may stand."""
    paths = [*(ROOT / "ctgrid").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    return {path: ast.parse(text) for path, text in texts.items() if SPELLED.search(text)}


def named(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the constants of a module with their values."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((ast.unparse(target), node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield ast.unparse(node.target), node.value


def lines_of(tree: ast.AST, number: int) -> list[int]:
    """Return the lines in which a number stands, whole or floating, whatever its sign."""
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.lineno for node in constants if type(node.value) in (int, float) and node.value == number]


@pytest.mark.parametrize("text", ["999", "9_99", "1000", "1_000.0", "-1000", "1e3", "1.E+3", "10e2", "0x3E8", "0b11"])
def test_every_spelling_is_looked_for(text: str) -> None:
    assert SPELLED.search(f"x = {text}") and not SPELLED.search("x = 100 + y[0] * 99")


@pytest.mark.parametrize("number", [999, 1000])
def test_no_number_without_a_name(number: int) -> None:
    """The last timestep is never said, a thousand only by a constant of its module."""
    bare = []
    for path, tree in trees().items():
        said = [line for _, value in named(tree) for line in lines_of(value, number)] if number == 1000 else []
        bare += [f"{path}:{line}" for line in lines_of(tree, number) if line not in said]
    assert not bare, bare


def test_steps_and_limits_of_hu_are_said_once() -> None:
    """So that a schedule, or a window, can be changed at one place."""
    named_so = [(path, name) for path, tree in trees().items() for name, value in named(tree) if lines_of(value, 1000)]
    assert [path for path, name in named_so if "STEP" in name] == ["ctgrid/stages/diffusion/spacing.py"]
    assert {path for path, name in named_so if name.endswith("_HU")} == {f"ctgrid/{path}" for path in HU_AT_HOME}
