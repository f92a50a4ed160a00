"""Make synthetic chest CT volumes from noise: NIfTI, a picture and a run record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import (
    BatchOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    OverwriteOption,
    RefineStepsOption,
    SeedOption,
    StepsOption,
)
from .output import check_new_folder, check_suffix, cost, describe, finish
from .progress import progress_bar, titled

Sampler = Literal["dpm++", "ddim", "ddpm"]


def command(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="A .nii or .nii.gz file; with --count also a folder for them.")],
    slices: Annotated[int, typer.Option("--slices", min=1, help="Axial slices of a volume.")] = 201,
    seed: SeedOption = 0,
    steps: StepsOption = 20,
    refine_steps: RefineStepsOption = 2,
    sampler: Annotated[Sampler, typer.Option("--sampler", help="How the noise is removed.")] = "dpm++",
    count: Annotated[int, typer.Option("--count", min=1, help="Volumes; number i uses seed + i.")] = 1,
    size: Annotated[int, typer.Option("--size", min=1, help="Pixels of a slice's side.")] = 512,
    batch_size: BatchOption = 8,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    model: ModelOption = "embedded",
    picture: Annotated[bool, typer.Option(help="Write a .png beside every volume.")] = True,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check the outputs, load, and write one volume after the other."""
    from ctgrid.files import check_output
    from ctgrid.report.picture import save_picture
    from ctgrid.runs import RunRecord, recorded

    targets = plan_outputs(out, count)
    folder = targets[0].parent
    if folder != out or folder.exists():
        for path in targets:
            for output in (path, picture_path(path)) if picture else (path,):
                check_output(output, overwrite)
    settings = {
        "slices": slices,
        "steps": steps,
        "refine_steps": refine_steps,
        "size": size,
        "batch_size": batch_size,
        "sampler": sampler,
    }
    loading = {"model": model, "device": device, "dtype": dtype}
    record = RunRecord("synthesize", folder / "run.json", ctx.obj, seed)
    record.settings = {"count": count, **settings, **loading}
    lines, tokens = [], 0
    with recorded(record), progress_bar() as bar:
        bar("loading the model", 0, 1)
        with record.timed("load"):
            from ctgrid.pipelines.synthesize import SynthesisPipeline

            pipeline = SynthesisPipeline.load(**loading)
        record.model = pipeline.describe()
        for i, path in enumerate(targets):
            progress = titled(bar, f"volume {i + 1}/{count}") if count > 1 else bar
            result = pipeline.generate(seed=seed + i, progress=progress, **settings)
            record.add_phases(result.phases)
            progress("writing", 0, 1)
            with record.timed("write"):
                folder.mkdir(exist_ok=True)
                result.volume.write(path, overwrite=overwrite)
                shape, spacing = result.volume.shape, result.volume.spacing_mm
                record.add_output(path, seed=seed + i, shape=shape, spacing_mm=spacing)
            if picture:
                with record.timed("picture"):
                    save_picture(result.volume, picture_path(path), overwrite=overwrite)
                    record.add_output(picture_path(path))
            tokens += result.dit_token_passes
            record.dit_token_passes = tokens
            record.settings.update(result.settings)
            lines.append(f"{path}: {describe(result.volume)}, seed {seed + i}")
    finish(record, as_json, [*lines, cost(record)])


def picture_path(path: Path) -> Path:
    """Return the picture's path: the volume's with ``.png`` for ``.nii`` or ``.nii.gz``."""
    return path.with_name(stem_and_suffix(path)[0] + ".png")


def plan_outputs(out: Path, count: int) -> list[Path]:
    """Name the volumes: ``out`` itself; or with ``count`` > 1 numbered files in a folder or beside a name.

    Raises:
        CtgridError: where the name is not that of a NIfTI file, or a folder cannot be made.
    """
    from ctgrid.formats import NIFTI_SUFFIXES

    if count == 1:
        check_suffix(out, NIFTI_SUFFIXES, "a volume")
        return [out]
    stem, suffix = stem_and_suffix(out)
    if suffix:
        return [out.with_name(f"{stem}_{i:04d}{suffix}") for i in range(count)]
    check_new_folder(out)
    return [out / f"volume_{i:04d}.nii.gz" for i in range(count)]


def stem_and_suffix(path: Path) -> tuple[str, str]:
    """Split a file name into stem and NIfTI suffix, the latter empty where it has none."""
    from ctgrid.files import full_suffix
    from ctgrid.formats import NIFTI_SUFFIXES

    suffix = full_suffix(path)
    if suffix not in NIFTI_SUFFIXES:
        return path.name, ""
    return path.name[: -len(suffix)], suffix
