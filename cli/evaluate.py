"""Measure: denoising methods side by side, and what they do to small nodules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_folder

from . import evaluate_super_resolution, evaluate_volumes, fetch_detectors
from .evaluate_options import JsonOption, OutOption, SlicesOption, end, kept_if_there, report, save_text
from .options import (
    DeviceOption,
    Dtype,
    DtypeOption,
    HuOption,
    MetadataOption,
    ModelOption,
    OverwriteOption,
    SeedOption,
    parse_strength,
)
from .output import cost
from .progress import progress_bar
from .spread import SpreadCommand

if TYPE_CHECKING:
    from ctgrid.base.record import RunRecord
    from ctgrid.runs.evaluation.denoising import Evaluation

app = typer.Typer(help=__doc__, invoke_without_command=True)


@app.callback()
def main(ctx: typer.Context) -> None:
    """Show the help where no command is given."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


app.command("volumes")(evaluate_volumes.command)
app.command("fetch-detectors")(fetch_detectors.command)
app.command("super-resolution", cls=SpreadCommand)(evaluate_super_resolution.command)

CleanOption = Annotated[
    list[Path], typer.Option("--clean", metavar="VOL...", help="Scans with as little noise as can be had.")
]
NoiseOption = Annotated[
    list[str],
    typer.Option("--noise", metavar="KIND:LEVEL,...", help="gaussian:HU,HU,... or low-dose:FRACTION; repeatable."),
]
MethodsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--methods",
        metavar="NAME,...",
        help="Methods, with settings in brackets; 'noisy' does nothing. Left out: the quick ones.",
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="GenerateCT's checkpoint, for 'generatect'.")
]


def parse_given(text: str) -> float | Literal["known", "auto"]:
    """Read ``known``, ``auto`` or a positive number of HU."""
    return "known" if text == "known" else parse_strength(text)


StrengthOption = Annotated[
    Any,
    typer.Option(
        "--strength",
        metavar="known|auto|HU",
        parser=parse_given,
        help="What methods are told: the noise that was added, nothing, or a number.",
    ),
]


@app.command("denoising", cls=SpreadCommand)
def denoising(
    ctx: typer.Context,
    clean: CleanOption,
    noise: NoiseOption,
    out: OutOption,
    methods: MethodsOption = None,
    slices: SlicesOption = ":",
    strength: StrengthOption = "known",
    seed: SeedOption = 0,
    hu: HuOption = "auto",
    metadata: MetadataOption = None,
    model: ModelOption = "embedded",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    weights: WeightsOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add noise to clean scans, denoise by every method, measure; goes on where it was stopped.

    Writes results.json, table.md, curves.png, and a picture and the noise-power spectra of every case.
    """
    from ctgrid.base.record import recorded
    from ctgrid.runs.evaluation.denoising import evaluate_denoising
    from ctgrid.runs.evaluation.denoising_plots import draw_denoising
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    plan = make_plan(noise, methods, slices, strength, seed, hu, metadata, model, device, dtype, weights)
    record = begin(ctx, "evaluate denoising", clean, plan, out)
    with recorded(record, owns=[out]), progress_bar() as progress:
        with record.timed("evaluate"), kept_if_there(record, out / "results.json"):
            results = evaluate_denoising(clean, plan, out, overwrite=overwrite, progress=progress)
        text = description_markdown(describe(results.content))
        with record.timed("draw"):
            save_text(out / "table.md", text)
            pictures = draw_denoising(results.rows, out)
        end(record, clean, [results.path, out / "table.md", *pictures])
    report(record, results.rows, as_json, [text, "", f"{results.path}: {len(results.rows)} cases", cost(record)])


@app.command("nodules", cls=SpreadCommand)
def nodules(
    ctx: typer.Context,
    clean: CleanOption,
    noise: NoiseOption,
    out: OutOption,
    methods: MethodsOption = None,
    slices: SlicesOption = ":",
    strength: StrengthOption = "known",
    seed: SeedOption = 0,
    hu: HuOption = "auto",
    metadata: MetadataOption = None,
    model: ModelOption = "embedded",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    weights: WeightsOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Plant small nodules in clean scans, add noise, denoise; report contrast kept and structures invented.

    Writes nodules.json, nodules.md and a picture of every case. --slices takes unbroken ranges here.
    """
    from ctgrid.base.record import recorded
    from ctgrid.runs.evaluation.nodule_plots import draw_nodules
    from ctgrid.runs.evaluation.nodule_trial import evaluate_nodules
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    plan = make_plan(noise, methods, slices, strength, seed, hu, metadata, model, device, dtype, weights)
    record = begin(ctx, "evaluate nodules", clean, plan, out)
    with recorded(record, owns=[out]), progress_bar() as progress:
        with record.timed("evaluate"), kept_if_there(record, out / "nodules.json"):
            results = evaluate_nodules(clean, plan, out, overwrite=overwrite, progress=progress)
        text = description_markdown(describe(results.content))
        with record.timed("draw"):
            save_text(out / "nodules.md", text)
            pictures = draw_nodules(results.rows, out)
        end(record, clean, [results.path, out / "nodules.md", *pictures])
    report(record, results.rows, as_json, [text, "", f"{results.path}: {len(results.rows)} cases", cost(record)])


def make_plan(
    noise: Sequence[str],
    methods: Sequence[str] | None,
    slices: str,
    strength: Any,
    seed: int,
    hu: str,
    metadata: Sequence[Path] | None,
    model: str,
    device: str,
    dtype: Dtype,
    weights: Path | None,
) -> Evaluation:
    """Turn options into a plan.

    Raises:
        CtgridError: where a kind of noise cannot be read.
    """
    from ctgrid.methods.denoising.choice import split_choices
    from ctgrid.methods.denoising.methods import Loading
    from ctgrid.runs.evaluation.denoising import Evaluation, quick_methods
    from ctgrid.runs.evaluation.noise import parse_noise

    named = [name for text in methods or [] for name in split_choices(text)]
    if methods and not named:
        raise CtgridError("--methods names none")
    noises = dict.fromkeys(item for text in noise for item in parse_noise(text))
    return Evaluation(
        noises=tuple(noises),
        methods=tuple(dict.fromkeys(named)) or quick_methods(),
        slices=slices,
        seed=seed,
        strength=strength,
        hu=hu,
        loading=Loading(model, device, dtype, weights),
        metadata=tuple(metadata or ()),
    )


def begin(ctx: typer.Context, command: str, clean: Sequence[Path], plan: Evaluation, out: Path) -> RunRecord:
    """Check what can be checked, make the folder, and return the run's record."""
    from dataclasses import asdict

    from ctgrid.base.extras import require
    from ctgrid.base.files import check_apart
    from ctgrid.base.record import RunRecord
    from ctgrid.runs.evaluation.denoising import check_inputs

    check_inputs(clean, plan)
    check_folder(out)
    check_apart(out, clean)
    require("matplotlib")
    record = RunRecord(command, out / "run.json", ctx.obj, plan.seed)
    record.settings = {**asdict(plan), "noises": [str(noise) for noise in plan.noises]}
    return record
