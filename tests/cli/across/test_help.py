"""Help: grouped, with an example each, without types that say nothing, readable at 80 columns; -h and -v."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ctgrid_cli import app

TOP = sorted(name for name, command in typer.main.get_command(app).commands.items())  # type: ignore[attr-defined]


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


@pytest.mark.parametrize("name", TOP)
def test_help_fits_and_shows_an_example(name: str) -> None:
    """An example of the command, where it is one and no group; switches without a type."""
    text = shown(name, "-h")
    assert max(map(len, text.splitlines())) <= 80
    assert "<bool>" not in text and "<list" not in text
    if "COMMAND" not in text:
        assert f"Example: ctgrid {name}" in text


def test_verbose_shows_the_trace(tmp_path: Path) -> None:
    """And without it there is one line."""
    missing = str(tmp_path / "missing.nii")
    assert "Traceback" not in CliRunner().invoke(app, ["info", missing]).stderr
    result = CliRunner().invoke(app, ["-v", "info", missing])
    assert result.exception is not None and "does not exist" in str(result.exception)
