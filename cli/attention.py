"""Show what stage 1 attends to: attention over a grid it made, and the share that falls on the same place elsewhere.

With --positions it shows the codes of places in the grid instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.runs.attention.settings import AttentionSettings

from .adapter import with_options
from .options import JsonOption
from .output import cost, finish
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="PNG", help="The picture.")] = Path("attention.png"),
    settings: AttentionSettings,
    as_json: JsonOption = False,
) -> None:
    """Sample, look, draw, measure."""
    from ctgrid.runs.attention.run import show_attention

    with progress_bar() as progress:
        record = show_attention(out, settings, argv=ctx.obj, progress=progress)
    rows = record.results["rows"]
    if settings.positions:
        finish(record, as_json, [*map(_likeness, rows), cost(record)])
        return
    lines = ["timestep  block  on other cells (chance)  of that on the same place (chance)"]
    for row in rows:
        lines.append(
            f"{row['timestep']:8d}  {row['block']:5d}  {row['other_cells']:14.1%} ({row['other_cells_chance']:.1%})"
            f"  {row['same_place']:21.1%} ({row['same_place_chance']:.1%})"
        )
    finish(record, as_json, [*lines, cost(record)])


def _likeness(row: dict[str, Any]) -> str:
    shown = {name: "none" if value is None else f"{value:.3f}" for name, value in row.items() if name != "part"}
    return (
        f"{row['part']}: likeness to the same place in other cells {shown['same_place']}, "
        f"to other places in its own {shown['own_cell']}, elsewhere {shown['elsewhere']}"
    )
