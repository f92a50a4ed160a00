"""Refine frames of clips by the stage 2 of a model of video: super-resolution without stage 1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.synthesis.refined import RefineRequest

from .adapter import with_options
from .options import JsonOption
from .output import cost, finish
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    clips: Annotated[Path, typer.Argument(metavar="DIR", help="Clips: video files and folders of frames.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the refined clips.")],
    request: RefineRequest,
    as_json: JsonOption = False,
) -> None:
    """Shrink to cells, refine, write."""
    from ctgrid.runs.synthesis.refined import refine_clips

    with progress_bar() as progress:
        record = refine_clips(clips, out, request, argv=ctx.obj, progress=progress)
    lines = [f"{o['path']}: {o['frames']} frames of {o['width']} x {o['height']}" for o in record.outputs]
    finish(record, as_json, [*lines, cost(record)])
