"""Report runs, results and volumes in one page that needs no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.report.settings import ReportSettings

from .adapter import with_options
from .options import JsonOption
from .output import cost, finish
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN",
            help="Run folders, results.json of ctgrid evaluate, prepared stores, volumes, and folders of all these.",
        ),
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="HTML", help="The page; .md and .json of that name are written beside it.")
    ] = Path("report.html"),
    settings: ReportSettings,
    as_json: JsonOption = False,
) -> None:
    """Collect, read, draw, write, record."""
    from ctgrid.runs.report.run import make_report

    with progress_bar() as progress:
        record = make_report(sources, out, settings, argv=ctx.obj, progress=progress)
    size = out.stat().st_size / 1e6
    held = ", ".join(f"{_count(record.results[key], key)}" for key in ("volumes", "results", "runs"))
    finish(record, as_json, [f"{out}: {size:.1f} MB, {held}", *record.results["notes"], cost(record)])


def _count(number: int, things: str) -> str:
    return f"{number} {things.removesuffix('s') if number == 1 and things != 'results' else things}"
