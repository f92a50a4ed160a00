"""Measure volumes and movies against real ones, denoising, super-resolution, and what happens to small nodules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.evaluation.settings import DenoisingRequest, TrialRequest

from . import evaluate_super_resolution, evaluate_video, evaluate_volumes, fetch_detectors
from .adapter import with_options
from .evaluate_options import JsonOption, OutOption, report
from .options import example
from .progress import progress_bar
from .spread import SpreadCommand

app = typer.Typer(help=__doc__, invoke_without_command=True)


@app.callback()
def main(ctx: typer.Context) -> None:
    """Show the help where no command is given."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


app.command("volumes", epilog=example("evaluate volumes --real scans --fake chests --out measures"))(
    evaluate_volumes.command
)
app.command("video", epilog=example("evaluate video --real clips --fake made --out measures"))(evaluate_video.command)
app.command("fetch-detectors", epilog=example("evaluate fetch-detectors --only i3d_torchscript.pt"))(
    fetch_detectors.command
)
app.command(
    "super-resolution", cls=SpreadCommand, epilog=example("evaluate super-resolution --real scans --out measures")
)(evaluate_super_resolution.command)

CleanOption = Annotated[
    list[Path], typer.Option("--clean", metavar="VOL...", help="Scans with as little noise as can be had.")
]


@app.command(
    "denoising",
    cls=SpreadCommand,
    epilog=example("evaluate denoising --clean scans --noise gaussian:50,100 --out measures"),
)
@with_options
def denoising(
    ctx: typer.Context, *, clean: CleanOption, request: DenoisingRequest, out: OutOption, as_json: JsonOption = False
) -> None:
    """Add noise to clean scans, denoise by every method, measure; goes on where it was stopped.

    Writes results.json, table.md, curves.png, and a picture and the noise-power spectra of every case.
    """
    from ctgrid.runs.evaluation.run import compare_denoising

    with progress_bar() as progress:
        done = compare_denoising(clean, out, request, argv=ctx.find_root().obj, progress=progress)
    report(done, as_json)


@app.command(
    "nodules", cls=SpreadCommand, epilog=example("evaluate nodules --clean scans --noise gaussian:50 --out measures")
)
@with_options
def nodules(
    ctx: typer.Context, *, clean: CleanOption, request: TrialRequest, out: OutOption, as_json: JsonOption = False
) -> None:
    """Plant small nodules in clean scans, add noise, denoise; report contrast kept and structures invented.

    Writes nodules.json, nodules.md and a picture of every case. --slices takes unbroken ranges here.
    """
    from ctgrid.runs.evaluation.run import compare_on_nodules

    with progress_bar() as progress:
        done = compare_on_nodules(clean, out, request, argv=ctx.find_root().obj, progress=progress)
    report(done, as_json)
