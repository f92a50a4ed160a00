"""Export a store's grid images as 8-bit gray PNG, as the paper's training reads them, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.stores.settings import GridsSettings

from .adapter import with_options
from .options import JsonOption
from .output import cost, finish
from .progress import progress_bar


@with_options
def command(
    ctx: typer.Context,
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store made by ctgrid prepare.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of the pictures; made if missing. If not given: STORE_grids beside the store.",
        ),
    ] = None,
    settings: GridsSettings,
    as_json: JsonOption = False,
) -> None:
    """Read, tile, write, record; run it again to go on where it was stopped."""
    from ctgrid.runs.stores.grids import store_grids

    with progress_bar() as progress:
        record = store_grids(store, out, settings, argv=ctx.obj, progress=progress)
    made, left = record.results, len(record.results["left_out"])
    finish(
        record,
        as_json,
        [
            f"{record.outputs[0]['path']}: {made['grids']} grids of {made['volumes']} volumes ({made['kept']} were "
            f"there already), 8 bits of {record.decisions['hu_per_gray']:.2f} HU",
            f"the last {left} slices of every volume fill no grid and are left out" if left else "every slice is in",
            cost(record),
        ],
    )
