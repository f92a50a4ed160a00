"""Look at a volume in a browser, or at two before and after: planes, windows, HU, difference, overlays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.report.settings import ViewSettings

from .adapter import with_options
from .errors import tell
from .options import JsonOption
from .output import finish, warn
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="A volume file, a DICOM folder, a folder of volumes, or a prepared store."),
    ],
    other: Annotated[
        Path | None, typer.Argument(metavar="IN2", help="What became of it: before and after, and their difference.")
    ] = None,
    *,
    labels: Annotated[Path | None, typer.Option("--labels", metavar="FILE", help="Labels to lay over it.")] = None,
    trust: Annotated[Path | None, typer.Option("--trust", metavar="FILE", help="A map of what is uncertain.")] = None,
    residual: Annotated[
        Path | None, typer.Option("--residual", metavar="FILE", help="A map of what was removed.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="HTML", help="Write one file that opens anywhere, offline, instead.")
    ] = None,
    settings: ViewSettings,
    as_json: JsonOption = False,
) -> None:
    """Read, show; stay until Ctrl-C, or write, record."""
    from ctgrid.runs.report.view import view

    def announce(url: str) -> None:
        tell(json.dumps({"url": url}) if as_json else f"{source}: {url}   (Ctrl-C ends it)")

    with progress_bar() as progress:
        record = view(
            source,
            other,
            out,
            settings,
            labels=labels,
            trust=trust,
            residual=residual,
            argv=ctx.obj,
            announce=announce,
            progress=progress,
        )
    if record is None:
        return
    for volume in record.inputs:
        warn(volume["path"], volume["record"].get("warnings", []))
    size = Path(record.outputs[0]["path"]).stat().st_size / 1e6
    finish(record, as_json, [f"{record.outputs[0]['path']}: {size:.1f} MB"])
