"""Commands as plain values: what a program needs to call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from ctgrid_cli.described import commands_of, described

app, below = typer.Typer(), typer.Typer()


@below.command("toast", epilog="Example: cook warm toast bread")
def toast(
    bread: Annotated[list[Path], typer.Argument(help="What to toast.")],
    seconds: Annotated[int, typer.Option("--seconds", metavar="N", rich_help_panel="How", help="How  long.")] = 90,
    jam: Annotated[bool, typer.Option("--jam/--no-jam")] = True,
    kind: Annotated[str | None, typer.Option("--kind", autocompletion=lambda: ["rye", "wheat"])] = None,
    old: Annotated[bool, typer.Option("--old", hidden=True)] = False,
) -> None:
    """Toast bread."""


@below.command("soup")
def soup() -> None:
    """Warm soup."""


app.add_typer(below, name="warm")


def test_names_and_parameters() -> None:
    commands = dict(commands_of(get_command(app)))
    assert list(commands) == ["warm toast", "warm soup"]
    found = json.loads(json.dumps(described(commands["warm toast"])))
    assert (found["help"], found["example"]) == ("Toast bread.", "cook warm toast bread")
    bread, seconds, jam, kind = found["parameters"]
    assert (bread["flags"], bread["panel"], bread["required"], bread["repeatable"]) == ([], "Arguments", True, True)
    assert (seconds["flags"], seconds["default"], seconds["help"]) == (["--seconds"], 90, "How long.")
    assert (seconds["stands_for"], seconds["panel"], seconds["values"]) == ("N", "How", None)
    assert jam["switch"] and jam["default"] is True and jam["flags"] == ["--jam", "--no-jam"]
    assert kind["values"] == ["rye", "wheat"] and kind["default"] is None and not kind["required"]
