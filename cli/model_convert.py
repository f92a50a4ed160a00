"""Convert a published, stock or diffusers checkpoint of a diffusion transformer to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ctgrid.base.files import check_folder

from .options import JsonOption, OverwriteOption
from .output import finish

SourceArgument = Annotated[
    str, typer.Argument(metavar="FILE|DIR", help="A .pt or .safetensors file, a diffusers folder or one of ours.")
]
HeadsOption = Annotated[int | None, typer.Option("--heads", min=1, help="Attention heads, where nothing tells.")]


def command(
    ctx: typer.Context,
    source: SourceArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make.")],
    stage: Annotated[
        Literal["1", "2"] | None, typer.Option("--stage", help="What it is to be; 2 if it takes a condition, else 1.")
    ] = None,
    weights: Annotated[
        Literal["ema", "model"] | None,
        typer.Option("--weights", help="Which weights of a training checkpoint; ema where it has them."),
    ] = None,
    latent_size: Annotated[
        int | None, typer.Option("--latent-size", min=1, help="Side of the latents, an eighth of the slices'.")
    ] = None,
    positions: Annotated[
        Literal["grid", "depth_major", "2d"] | None,
        typer.Option("--positions", help="Another position table than the checkpoint's own."),
    ] = None,
    heads: HeadsOption = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Cells along a grid's side, where nothing tells.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in 16 bits, half the size.")] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Convert, record."""
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import RECORD

    check_folder(out)
    options: dict[str, Any] = {"weights": weights, "latent_size": latent_size, "positions": positions, "heads": heads}
    options |= {"k": k, "half": half, "overwrite": overwrite, "stage": int(stage) if stage else None}
    record = RunRecord("model convert", out / RECORD, ctx.find_root().obj)
    record.settings = {"source": source, **options}
    with recorded(record, owns=[out], replaces=True):
        from ctgrid.stages.models.sources import resolve_model
        from ctgrid.stages.weights.convert import convert

        with record.timed("convert"):
            made = convert(resolve_model(source), out, **options)
        record.model = made.describe()
        record.decisions = record.model.pop("decisions")
        for file in made.checkpoint.files:
            record.add_input(file)
        for file in sorted(path for path in out.iterdir() if not path.name.startswith("run")):
            record.add_output(file)
    checkpoint = made.checkpoint
    what = f"stage {checkpoint.stage}, {checkpoint.parameters:,} parameters, positions {checkpoint.positions}"
    lines = [f"{out}: {what}", *(f"{name.replace('_', ' ')}: {how}" for name, how in checkpoint.decisions.items())]
    finish(record, as_json, lines)
