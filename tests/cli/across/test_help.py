"""Help: grouped, with an example each, without types that say nothing, readable at 80 columns; -h, -v, misspellings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ctgrid.base.usual import PANELS
from ctgrid_cli import app
from ctgrid_cli.described import commands_of

BY_NAME = dict(commands_of(typer.main.get_command(app)))
COMMANDS = sorted(BY_NAME)


def shown(*words: str) -> str:
    """Return what a command prints at 80 columns."""
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert result.exit_code == 0, result.output
    return str(result.output)


def test_commands_are_grouped() -> None:
    """By what people come for."""
    text = shown("-h")
    panels = re.findall(r"─ (Make|Clean|Measure|Prepare|Train|Look and convert) ─", text)
    assert panels == ["Make", "Clean", "Measure", "Prepare", "Train", "Look and convert"]
    assert text == shown("--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_and_shows_an_example(name: str) -> None:
    """Options by what, how, where and output; switches without a type; room for the words beside them."""
    text = shown(*name.split(), "-h")
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"\{[^}]*\.\.\.}|\[\[", text)  # in the line of usage
    assert "\n" not in (BY_NAME[name].help or "").partition("\n\n")[2].strip()  # Typer breaks lines there
    assert not re.search(r"<(bool|str|path|list)", text)
    assert f"Example: ctgrid {name}" in text
    panels = re.findall(r"╭─ (.+?) ─", text)
    assert [panel for panel in panels if panel != "Arguments"] == [panel for panel in PANELS if panel in panels]
    for panel in text.split("╭─ ")[1:]:
        starts = [len(row) - len(row.lstrip("│ *")) for row in panel.splitlines() if re.match("│ {20}", row)]
        assert max(starts, default=0) <= 46, panel


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("denois x", "Did you mean 'denoise'?"),
        ("evaluate volume", "Did you mean 'volumes'?"),
        ("denoise --stength 3 x", "did you mean --strength?"),
        ("synthesize --sampler ddmp", "did you mean ddpm?"),
        ("synthesize --as vidoe", "did you mean video?"),
        ("synthesize --device cdua", "did you mean cuda?"),
        ("synthesize --model embeddd", "did you mean embedded?"),
        ("train stagee1 --data x --out y", "did you mean stage1?"),
        ("plan --config ct-rate-stag1", "did you mean ct-rate-stage1?"),
        ("plan --config ct-rate-stage1 --set optimisation.batch_sze=3", "did you mean batch_size?"),
        ("ablation positionz --data x --out y", "did you mean positions?"),
        ("evaluate volumes --real x --fake x --out y --protocol stylgan-v@1", "did you mean stylegan-v@1?"),
    ],
)
def test_what_was_meant(line: str, hint: str) -> None:
    """Of commands, options, values, names of recipes and their keys."""
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code in (1, 2) and hint in result.stderr
    assert result.stderr.count("\n") == 1


def test_verbose_shows_the_trace(tmp_path: Path) -> None:
    """And without it there is one line."""
    missing = str(tmp_path / "missing.nii")
    assert "Traceback" not in CliRunner().invoke(app, ["info", missing]).stderr
    result = CliRunner().invoke(app, ["-v", "info", missing])
    assert result.exception is not None and "does not exist" in str(result.exception)
