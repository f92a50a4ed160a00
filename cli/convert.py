"""Convert a scan to another format: NIfTI, NRRD, MetaImage, or a folder with a DICOM CT series; values become HU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from ctgrid.runs.scans.settings import ConvertSettings
from ctgrid.scan.formats.kinds import writable

from .adapter import with_options
from .options import InputArgument, JsonOption
from .output import describe, finish, warn


@with_options
def command(
    ctx: typer.Context,
    source: InputArgument,
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT",
            help=f"A {' or '.join(writable())} file; else a DICOM folder. If not given: IN.nii.gz beside the input, "
            "where that is no NIfTI file.",
        ),
    ] = None,
    *,
    settings: ConvertSettings,
    as_json: JsonOption = False,
) -> None:
    """Read, find the HU, write, record."""
    from ctgrid.runs.scans.convert import convert_scan

    record = convert_scan(source, out, settings, argv=ctx.obj)
    volume, made = record.inputs[0]["record"], record.outputs[0]
    warn(source, volume.get("warnings", []))
    if not record.decisions["marked_as_hu"]:
        mark = "written without the mark of HU, so that a table or --hu can still say what its values are"
        warn(made["path"], [mark])
    how = volume["hu"]
    what = f"HU as {how['source']}, slope {how['slope']:g}, intercept {how['intercept']:g}"
    finish(record, as_json, [f"{made['path']}: {describe(SimpleNamespace(**made))}, {made['orientation']}, {what}"])
