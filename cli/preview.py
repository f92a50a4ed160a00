"""Draw one picture of a volume: axial montage, coronal and sagittal view."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import HuOption, InputArgument, JsonOption, OverwriteOption, parse_window
from .output import check_suffix, describe, finish


def command(
    ctx: typer.Context,
    source: InputArgument,
    out: Annotated[Path, typer.Option("--out", metavar="PNG", help="The picture to write.")],
    window: Annotated[
        Any, typer.Option("--window", metavar="LO,HI", parser=parse_window, help="HU shown black and white.")
    ] = "-1000,400",
    hu: HuOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read, draw, write, record."""
    from ctgrid.files import check_output
    from ctgrid.report.picture import save_picture
    from ctgrid.runs import RunRecord, recorded
    from ctgrid.volume import Volume

    check_suffix(out, (".png",), "a picture")
    check_output(out, overwrite)
    record = RunRecord("preview", out.with_name(f"{out.stem}.preview.run.json"), ctx.obj)
    record.settings = {"window_hu": window, "hu": hu}
    with recorded(record):
        with record.timed("read"):
            volume = Volume.read(source, hu=hu)
        with record.timed("draw"):
            save_picture(volume, out, window, overwrite)
        record.decisions = {"hu": volume.record.get("hu")}
        record.add_input(source, record=dict(volume.record))
        record.add_output(out)
    finish(record, as_json, [f"{out}: {source}, {describe(volume)}"])
