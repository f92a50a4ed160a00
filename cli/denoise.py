"""Denoise a chest CT volume; the result lies on the input's own grid, in its own number format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.errors import CtgridError

from .options import (
    BatchOption,
    DeviceOption,
    DtypeOption,
    HuOption,
    InputArgument,
    JsonOption,
    ModelOption,
    OverwriteOption,
    RefineStepsOption,
    SeedOption,
    StepsOption,
    parse_strength,
)
from .output import check_suffix, cost, describe, finish
from .progress import progress_bar


def command(
    ctx: typer.Context,
    source: InputArgument,
    out: Annotated[Path, typer.Option("--out", help="The .nii or .nii.gz file to write.")],
    strength: Annotated[
        Any,
        typer.Option(
            "--strength",
            metavar="auto|HU",
            parser=parse_strength,
            help="Noise to remove, as a standard deviation.",
        ),
    ] = "auto",
    seed: SeedOption = 0,
    steps: StepsOption = 20,
    refine_steps: RefineStepsOption = 8,
    batch_size: BatchOption = 8,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    model: ModelOption = "embedded",
    hu: HuOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read, check, denoise, write, record."""
    from ctgrid.files import check_output
    from ctgrid.formats import NIFTI_SUFFIXES
    from ctgrid.preprocess.hu import require_ct
    from ctgrid.runs import RunRecord, recorded
    from ctgrid.volume import Volume

    check_suffix(out, NIFTI_SUFFIXES, "a volume")
    check_apart(source, out)
    check_output(out, overwrite)
    settings = {"steps": steps, "refine_steps": refine_steps, "batch_size": batch_size}
    loading = {"model": model, "device": device, "dtype": dtype}
    record = RunRecord("denoise", out.parent / "run.json", ctx.obj, seed)
    record.settings = {"strength": strength, "hu": hu, **settings, **loading}
    with recorded(record), progress_bar() as progress:
        progress("reading", 0, 1)
        with record.timed("read"):
            volume = Volume.read(source, hu=hu)
            require_ct(volume)
            record.add_input(source, record=dict(volume.record))
        progress("loading the model", 0, 1)
        with record.timed("load"):
            from ctgrid.pipelines.denoise import DenoisePipeline

            pipeline = DenoisePipeline.load(**loading)
        record.model = pipeline.describe()
        result = pipeline.run(volume, strength=strength, seed=seed, **settings, progress=progress)
        record.add_phases(result.phases)
        record.dit_token_passes = result.dit_token_passes
        progress("writing", 0, 1)
        with record.timed("write"):
            result.volume.write(out, overwrite=overwrite, dtype=volume.native_dtype)
            record.add_output(out, shape=result.volume.shape, spacing_mm=result.volume.spacing_mm)
        record.settings.update(result.settings)
        record.decisions = {"hu": volume.record.get("hu"), "noise_hu": result.noise_hu}
    finish(
        record,
        as_json,
        [f"{out}: {describe(result.volume)}, noise {result.noise_hu:.0f} HU", cost(record)],
    )


def check_apart(source: Path, out: Path) -> None:
    """Refuse to write over the input or into an input folder.

    Raises:
        CtgridError: where ``out`` is ``source``, by whatever name, or lies inside it.
    """
    if out.exists() and source.exists() and out.samefile(source):
        raise CtgridError(f"{out} is the input; the input is never written to, choose another --out")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise CtgridError(f"{out} lies inside the input folder {source}; choose an --out elsewhere")
