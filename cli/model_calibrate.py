"""Measure how far a model's answers are off, for the maps of denoise --trust: its own command after every training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.models.settings import CalibrationSettings

from .adapter import with_options
from .options import JsonOption
from .output import finish, warn
from .progress import progress_bar


@with_options
def command(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A model's folder with a detail part, or embedded.")],
    *,
    data: Annotated[
        list[Path],
        typer.Option("--data", metavar="PATH", help="Scans with little noise, or folders of them; repeatable."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="JSON", help="The table; if not given, in the model's folder."),
    ] = None,
    settings: CalibrationSettings,
    as_json: JsonOption = False,
) -> None:
    """Add noise, denoise, compare, fit."""
    from ctgrid.runs.models.calibrate import calibrate_model

    with progress_bar() as bar:
        record = calibrate_model(name, data, out, settings, progress=bar)
    found = record.results
    for scan, reason in found["left_out"].items():
        warn(scan, [f"left out: {reason}"])
    shares = ", ".join(f"{tissue} {share:.1%}" for tissue, share in found["within_two"].items())
    where = record.outputs[0]["path"]
    lines = [f"{where}: from {found['voxels']:,} voxels of {len(found['scans_noise_hu'])} scans; within two: {shares}"]
    finish(record, as_json, lines)
