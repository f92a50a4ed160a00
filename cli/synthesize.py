"""Make synthetic chest CT volumes from noise: NIfTI, a picture and a run record; many into one folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctgrid.runs.synthesis.settings import MovieRequest

from .adapter import with_options
from .options import JsonOption
from .output import cost, describe, finish
from .progress import progress_bar

if TYPE_CHECKING:
    from ctgrid.base.record import RunRecord


@with_options
def command(
    ctx: typer.Context,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A .nii or .nii.gz file; with --count also a folder for them. If not given: in the working folder, "
            "named by model, slices and seed.",
        ),
    ] = None,
    kind: Annotated[
        Literal["volume", "video"],
        typer.Option(
            "--as", help="CT volumes, or movies (--out .mp4, .gif, .webp, or a folder's name for PNG frames)."
        ),
    ] = "volume",
    request: MovieRequest,
    as_json: JsonOption = False,
) -> None:
    """Check the outputs, load, and make the volumes that are not there yet."""
    from ctgrid.runs.synthesis.ranks import Ranks
    from ctgrid.runs.synthesis.run import synthesize_movies, synthesize_volumes

    if kind == "video":
        request = as_movie(ctx, request)
    elif request.frames is not None:
        raise typer.BadParameter("goes with --as video only; volumes have --slices", param_hint="--frames")
    with progress_bar() as progress:
        if kind == "video":
            record = synthesize_movies(out, request, argv=ctx.obj, progress=progress)
        else:
            record = synthesize_volumes(out, request, argv=ctx.obj, progress=progress)
    if Ranks.here().first:
        finish(record, as_json, [*(_movies if kind == "video" else _volumes)(record), cost(record)])


def as_movie(ctx: typer.Context, request: MovieRequest) -> MovieRequest:
    """Return the request with as many frames as ``--frames`` or ``--slices`` says, where either was typed.

    Raises:
        typer.BadParameter: where both were, and differ.
    """
    source = ctx.get_parameter_source("slices")
    typed = request.how.slices if source is not None and source.name != "DEFAULT" else None
    if request.frames is not None and typed not in (None, request.frames):
        raise typer.BadParameter(f"a movie of {typed} slices has not {request.frames} frames", param_hint="--frames")
    return replace(request, frames=request.frames or typed)


def _volumes(record: RunRecord) -> list[str]:
    made = [output for output in record.outputs if "shape" in output]
    lines = [f"{o['path']}: {describe(SimpleNamespace(**o))}, seed {o['seed']}" for o in made]
    if there := record.results["already_there"]:
        lines.append(f"{record.path.parent}: {there} volumes were there already")
    return lines


def _movies(record: RunRecord) -> list[str]:
    return [
        f"{o['path']}: {o['frames']} frames of {o['width']} x {o['height']} at {record.settings['fps']:g} a second, "
        f"seed {o['seed']}" + (f", flicker {o['flicker']:.2f}" if o["flicker"] is not None else "")
        for o in record.outputs
    ]
