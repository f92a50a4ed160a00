"""Measure super-resolution: stage 2 beside interpolation, a regression on patches, and the codec's ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_folder

from .evaluate_options import JsonOption, OutOption, SlicesOption, end, kept_if_there, report, save_text
from .options import DeviceOption, Dtype, DtypeOption, ModelOption, OverwriteOption, SeedOption
from .output import cost
from .progress import progress_bar

if TYPE_CHECKING:
    from ctgrid.base.progress import Progress
    from ctgrid.runs.evaluation.samples import Sample
    from ctgrid.runs.evaluation.super_resolution import Comparison

METHODS_HELP = (
    "stage2, stage2-projected, bicubic, lanczos, back-projection, patch-regression (fitted on --train), codec (the "
    "ceiling). Left out: all that can run."
)


def command(
    ctx: typer.Context,
    real: Annotated[
        list[Path],
        typer.Option("--real", metavar="VOL...|DIR|STORE", help="Volumes that the model was not trained on."),
    ],
    out: OutOption,
    methods: Annotated[list[str] | None, typer.Option("--methods", metavar="NAME,...", help=METHODS_HELP)] = None,
    slices: SlicesOption = ":",
    train: Annotated[
        list[Path] | None,
        typer.Option("--train", metavar="VOL...|DIR|STORE", help="Volumes to fit patch-regression on."),
    ] = None,
    model: ModelOption = "embedded",
    refine_steps: Annotated[
        int | None,
        typer.Option("--refine-steps", min=1, help="Sampler steps of stage 2; those of synthesis if not given."),
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=32, help="Pixels of a full slice's side; the model's if not given.")
    ] = None,
    k: Annotated[int | None, typer.Option("--k", min=2, help="Factor; the model's if not given.")] = None,
    through_codec: Annotated[
        bool,
        typer.Option("--through-codec", help="Shrunk slices pass through the model's codec, as those of stage 1 do."),
    ] = False,
    seed: SeedOption = 0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Slices at once.")] = 4,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Shrink real slices as grids do, bring them back by every method, measure; goes on where it was stopped.

    Writes results.json, table.md, run.json, and a picture of every volume.
    """
    from dataclasses import asdict

    from ctgrid.base.extras import require
    from ctgrid.base.files import check_apart
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.runs.evaluation.super_resolution import check_methods, evaluate_super_resolution
    from ctgrid.runs.evaluation.super_resolution_plots import draw_super_resolution
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    plan = make_plan(
        methods, slices, seed, refine_steps, size, k, batch_size, through_codec, model, device, dtype, bool(train)
    )
    try:
        check_methods(plan.methods, bool(train))
    except CtgridError as error:
        raise typer.BadParameter(str(error), param_hint="--methods") from error
    full_size, factor = plan.shape()
    inputs = [*real, *(train or [])]
    check_folder(out)
    check_apart(out, inputs)
    require("matplotlib")
    record = RunRecord("evaluate super-resolution", out / "run.json", ctx.find_root().obj, seed)
    record.settings = {**asdict(plan), "size": full_size, "k": factor}
    with recorded(record, owns=[out]), progress_bar() as progress:
        with record.timed("evaluate"), kept_if_there(record, out / "results.json"):
            volumes = opened(real, full_size, progress)
            results = evaluate_super_resolution(
                volumes,
                plan,
                out,
                train=opened(train or [], full_size, progress),
                overwrite=overwrite,
                progress=progress,
            )
        text = description_markdown(describe(results.content))
        with record.timed("draw"):
            save_text(out / "table.md", text)
            pictures = draw_super_resolution(results.rows, out)
        end(record, inputs, [results.path, out / "table.md", *pictures])
    report(record, results.rows, as_json, [text, "", f"{results.path}: {len(results.rows)} cases", cost(record)])


def opened(paths: Sequence[Path], size: int, progress: Progress) -> list[Sample]:
    """List the volumes at several paths."""
    from ctgrid.runs.evaluation.samples import open_samples

    return [sample for path in paths for sample in open_samples(path, size=size, progress=progress)]


def make_plan(
    methods: Sequence[str] | None,
    slices: str,
    seed: int,
    refine_steps: int | None,
    size: int | None,
    k: int | None,
    batch_size: int,
    through_codec: bool,
    model: str,
    device: str,
    dtype: Dtype,
    train: bool,
) -> Comparison:
    """Turn options into a plan.

    Raises:
        typer.BadParameter: where --methods names none.
    """
    from ctgrid.methods.denoising.methods import Loading
    from ctgrid.runs.evaluation.super_resolution import QUICK_METHODS, Comparison
    from ctgrid.runs.evaluation.upscalers import FITTED

    named = [name.strip() for text in methods or [] for name in text.split(",") if name.strip()]
    if methods and not named:
        raise typer.BadParameter("names none", param_hint="--methods")
    quick = (*QUICK_METHODS, FITTED) if train else QUICK_METHODS
    return Comparison(
        methods=tuple(dict.fromkeys(named)) or quick,
        slices=slices,
        seed=seed,
        refine_steps=refine_steps,
        size=size,
        k=k,
        batch_size=batch_size,
        through_codec=through_codec,
        loading=Loading(model, device, dtype),
    )
