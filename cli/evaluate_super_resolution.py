"""Measure super-resolution: stage 2 beside interpolation, a regression on patches, and the codec's ceiling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.settings import UpscalingRequest

from .adapter import with_options
from .evaluate_options import JsonOption, OutOption, report
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    *,
    real: Annotated[
        list[Path],
        typer.Option("--real", metavar="PATH...", help="Volumes that the model was not trained on."),
    ],
    request: UpscalingRequest,
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Shrink real slices as grids do, bring them back by every method, measure; goes on where it was stopped.

    Writes results.json, table.md, run.json, and a picture of every volume.
    """
    from ctgrid.runs.evaluation.run import compare_upscaling

    try:
        request.chosen()
    except CtgridError as error:
        raise typer.BadParameter(str(error), param_hint="--methods") from error
    with progress_bar() as progress:
        done = compare_upscaling(real, out, request, argv=ctx.find_root().obj, progress=progress)
    report(done, as_json)
