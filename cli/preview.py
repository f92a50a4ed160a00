"""Look at a volume or a store: a picture, a movie that scrolls, or a page with a viewer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from ctgrid.runs.report.settings import PreviewSettings

from .adapter import with_options
from .options import JsonOption
from .output import describe, finish, warn


@with_options
def command(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="A volume file, a DICOM folder, a folder of volumes, or a prepared store."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Ends in .png, .gif, .mp4 or .html. If not given: IN_preview.png beside the input.",
        ),
    ] = None,
    settings: PreviewSettings,
    as_json: JsonOption = False,
) -> None:
    """Choose, read, draw, write, record."""
    from ctgrid.runs.report.run import preview_volumes

    record = preview_volumes(source, out, settings, argv=ctx.obj)
    for volume in record.inputs:
        warn(volume["path"], volume["record"].get("warnings", []))
    seen = record.inputs
    what = describe(SimpleNamespace(**seen[0])) if len(seen) == 1 else f"{len(seen)} volumes"
    finish(record, as_json, [f"{record.outputs[0]['path']}: {source}, {what}"])
