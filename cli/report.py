"""Report runs, results and volumes in one page that needs no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import HuOption, JsonOption, OverwriteOption
from .output import cost, finish
from .progress import progress_bar

SUFFIX = ".html"


def command(
    ctx: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN...",
            help="Run folders, results.json of ctgrid evaluate, prepared stores, volumes, and folders of all these.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="HTML", help="The page; .md and .json of that name are written beside it.")
    ] = Path("report.html"),
    title: Annotated[
        str | None, typer.Option("--title", help="Of the page; made of the inputs' names if not given.")
    ] = None,
    max_side: Annotated[
        int, typer.Option("--max-side", min=16, max=1024, help="Rows or columns that volumes are shrunk to.")
    ] = 256,
    max_volumes: Annotated[
        int, typer.Option("--max-volumes", min=0, help="Volumes, or pairs before and after, that are embedded.")
    ] = 8,
    hu: HuOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Collect, read, draw, write, record."""
    from ctgrid.base.files import full_suffix

    if full_suffix(out) != SUFFIX:
        raise typer.BadParameter(f"{str(out)!r} must end in {SUFFIX}", param_hint="--out")
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import record_beside
    from ctgrid.runs.report.html.report import Options, check_outputs, write_report

    outputs = check_outputs(out, overwrite)
    options = Options(title, max_side, max_volumes, hu)
    record = RunRecord("report", record_beside(out, "report"), ctx.obj)
    record.settings = {"title": title, "max_side": max_side, "max_volumes": max_volumes, "hu": hu}
    with recorded(record, *outputs), progress_bar() as progress:
        with record.timed("report"):
            written = write_report(sources, out, options, overwrite, progress)
        for path in dict.fromkeys(written.found.files()):
            record.add_input(path)
        for path in written.paths:
            record.add_output(path)
        content = written.content
        record.results = {
            "volumes": len(content.scenes),
            "pairs": sum(scene.before is not None for scene in content.scenes),
            "results": len(content.results),
            "runs": len(content.runs),
            "notes": content.notes,
        }
    size = out.stat().st_size / 1e6
    held = ", ".join(f"{_count(record.results[key], key)}" for key in ("volumes", "results", "runs"))
    finish(record, as_json, [f"{out}: {size:.1f} MB, {held}", *content.notes, cost(record)])


def _count(number: int, things: str) -> str:
    return f"{number} {things.removesuffix('s') if number == 1 and things != 'results' else things}"
