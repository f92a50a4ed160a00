"""Compare generated movies with real clips: distances by a protocol, flicker, PSNR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.settings import VideoRequest

from .adapter import with_options
from .evaluate_volumes import report_sets
from .options import JsonOption
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    *,
    real: Annotated[
        Path,
        typer.Option("--real", metavar="DIR", help="Real clips that were not trained on: movies, folders of frames."),
    ],
    fake: Annotated[Path, typer.Option("--fake", metavar="DIR", help="Generated ones.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for results.json and the table.")],
    request: VideoRequest,
    as_json: JsonOption = False,
) -> None:
    """Compare generated movies with real clips: FVD, FID and KID by a protocol, flicker, PSNR of clips of one name.

    Writes results.json, table.md, run.json. Clips that are too short are looped where the protocol says so.
    """
    from ctgrid.runs.evaluation.fidelity.run import compare_video

    request.check_places()
    try:
        request.plan()
    except CtgridError as error:  # nothing was opened yet: it is how the command was called
        raise typer.BadParameter(str(error)) from error
    with progress_bar() as progress:
        done = compare_video(real, fake, out, request, argv=ctx.find_root().obj, progress=progress)
    report_sets(done, as_json)
