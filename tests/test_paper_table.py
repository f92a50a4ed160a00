"""The table of the paper's elements: each row says where, whether, why and which test; all that it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ctgrid.methods.training.recipes import GridRecipe, RefineRecipe
from ctgrid.runs.ablation.spec import shipped_ablations
from ctgrid_cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "paper.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!in the paper)\S", line)]
CODES = re.findall(r"`([^`]+)`", PAGE.read_text(encoding="utf-8"))


def commands(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command by its words."""
    command = command or get_command(app)
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {word}".strip())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_every_row_says_where_whether_and_which_test(row: str) -> None:
    element, here, whether, why, tests = (cell.strip() for cell in row.strip("|").split("|"))
    assert element and here and whether in {"same", "choice", "open"}
    assert why or whether == "same", "a choice says why, and how to have the paper's"
    link = r"\[`(\w+)(?:::(test_\w+))?`\]\((\S+)\)"
    links = re.findall(link, tests)
    assert links and "`" not in re.sub(link, "", tests)
    for name, function, target in links:
        path = PAGE.parent / target
        wanted = rf"{function}\(" if function else "test_"
        assert path.stem == name and re.search(rf"^ *def {wanted}", path.read_text(encoding="utf-8"), re.M), function


def test_options_and_commands_of_the_table_exist() -> None:
    known = dict(commands())
    options = {o for c in known.values() for p in c.params for o in [*p.opts, *p.secondary_opts]}
    named = [code for code in CODES if code.startswith(("--", "ctgrid "))]
    assert len(named) > 15
    for code in named:
        for option in re.findall(r"--[a-z][\w-]*", code):
            assert option in options, code
        words = re.match(r"ctgrid ((?:[a-z0-9-]+ ?)+)", code)
        if words and code.startswith("ctgrid ablation"):
            assert words[1].split()[-1] in shipped_ablations(), code
        elif words:
            assert words[1].strip().split(" --")[0] in known, code


def test_recipes_and_their_keys_of_the_table_exist() -> None:
    recipes = [path.stem for path in (ROOT / "configs").glob("*.yaml")]
    patterns = [code for code in CODES if re.fullmatch(r"(ct-rate|video|ablation)-[\w-]+\*?|(ct-rate|video)-\*", code)]
    assert len(patterns) > 4
    for pattern in patterns:
        assert any(fnmatch(name, pattern) for name in recipes), pattern
    keys = [code.split(":")[0].split(".") for code in CODES if re.match(r"stage[12]\.", code)]
    assert keys
    fields = {"stage1": GridRecipe.model_fields, "stage2": RefineRecipe.model_fields}
    for kind, key in keys:
        assert key in fields[kind], f"{kind}.{key}"
