"""Convert a published, stock or diffusers checkpoint of a diffusion transformer to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctgrid.runs.models.settings import ConversionSettings

from .adapter import with_options
from .options import JsonOption
from .output import finish


@with_options
def command(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="FILE|DIR", help="A .pt or .safetensors file, a diffusers folder or one of ours.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make.")],
    settings: ConversionSettings,
    as_json: JsonOption = False,
) -> None:
    """Convert, record."""
    from ctgrid.runs.models.run import convert_model

    record = convert_model(source, out, settings, argv=ctx.find_root().obj)
    made = record.model
    what = f"stage {made['stage']}, {made['parameters']:,} parameters, positions {made['positions']}"
    lines = [f"{out}: {what}", *(f"{name.replace('_', ' ')}: {how}" for name, how in record.decisions.items())]
    finish(record, as_json, lines)
