"""Look at a volume or a store: a picture, a movie that scrolls, or a page with a viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.scan.windows import CHEST_WINDOW_HU

from .options import HuOption, JsonOption, OverwriteOption, parse_window, window_text
from .output import describe, finish, warn

SUFFIXES = (".png", ".gif", ".mp4", ".html")

CHEST_WINDOW = window_text(CHEST_WINDOW_HU)


def command(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="A volume file, a DICOM folder, a folder of volumes, or a prepared store."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Ends in .png, .gif, .mp4 or .html. If not given: IN_preview.png beside the input.",
        ),
    ] = None,
    window: Annotated[
        Any,
        typer.Option("--window", metavar="LO,HI", parser=parse_window, help="HU shown black and white (not .html)."),
    ] = CHEST_WINDOW,
    plane: Annotated[
        Literal["axial", "coronal", "sagittal"] | None,
        typer.Option("--plane", help="Slices of a .gif or .mp4; axial if not given."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", min=0.1, max=100, help="Of a .gif or .mp4; 16 if not given.")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="A volume of the store or folder; may be repeated."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All volumes of the store or folder; else the first one.")
    ] = False,
    hu: HuOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Choose, read, draw, write, record."""
    from ctgrid.base.files import check_output, full_suffix
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import record_beside
    from ctgrid.scan.names import beside

    out = beside(source, "_preview", ".png") if out is None else out
    suffix = full_suffix(out)
    if suffix not in SUFFIXES:
        raise typer.BadParameter(f"{str(out)!r} must end in {', '.join(SUFFIXES)}", param_hint="--out")
    if suffix not in (".gif", ".mp4"):
        for option, value in (("--plane", plane), ("--fps", fps)):
            if value is not None:
                raise typer.BadParameter("belongs to a .gif or .mp4", param_hint=option)
    if names and everything:
        raise typer.BadParameter("give --name or --all, not both", param_hint="--name")
    if not source.exists():
        raise CtgridError(f"{source} does not exist")
    check_output(out, overwrite)
    from ctgrid.runs.report.preview import save_preview, volumes_of

    shown = volumes_of(source, names or (), everything, hu)
    record = RunRecord("preview", record_beside(out, "preview"), ctx.obj)
    record.settings = {"window_hu": window, "hu": hu, "volumes": [one.name for one in shown]}
    record.settings |= {"plane": plane or "axial", "fps": fps or 16.0} if suffix in (".gif", ".mp4") else {}
    with recorded(record, out):
        with record.timed("read and draw"):
            seen = save_preview(shown, out, window=window, plane=plane or "axial", fps=fps or 16.0, overwrite=overwrite)
        record.decisions = {"hu": seen[0].record.get("hu")}
        for one, volume in zip(shown, seen, strict=True):
            record.add_input(one.path, record=dict(volume.record))
        record.add_output(out)
    for one, volume in zip(shown, seen, strict=True):
        warn(one.path, volume.record.get("warnings", []))
    what = describe(seen[0]) if len(seen) == 1 else f"{len(seen)} volumes"
    finish(record, as_json, [f"{out}: {source}, {what}"])
