"""Divide a store's or folder's volumes into train and valid, by patient, and write the split file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.stores.settings import SplitSettings

from .adapter import with_options
from .options import JsonOption
from .output import finish


@with_options
def command(
    ctx: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="STORE|DIR", help="A store, or a folder of CT volumes.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The .yaml or .json file to write. If not given: IN_split.yaml beside the data.",
        ),
    ] = None,
    settings: SplitSettings,
    as_json: JsonOption = False,
) -> None:
    """List, divide, write, record."""
    from ctgrid.runs.stores.split import split_volumes

    record = split_volumes(data, out, settings, argv=ctx.obj)
    counts = (f"{part} {n['volumes']} volumes of {n['patients']} patients" for part, n in record.results.items())
    finish(record, as_json, [f"{record.outputs[0]['path']}: {', '.join(counts)}"])
