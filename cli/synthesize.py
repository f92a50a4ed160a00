"""Make synthetic chest CT volumes from noise: NIfTI, a picture and a run record; many into one folder."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctgrid.base.files import check_folder, check_suffix
from ctgrid.stages.diffusion.samplers import SAMPLERS

from .options import (
    BatchOption,
    CodecOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    OverwriteOption,
    RefineStepsOption,
    SeedOption,
    SizeOption,
    Stage1Option,
    Stage2Option,
    StepsOption,
    choice,
)
from .output import cost, default_outputs, describe, finish
from .progress import progress_bar
from .synthesis_options import checked_memory, checked_settings

if TYPE_CHECKING:
    from ctgrid.base.record import RunRecord
    from ctgrid.methods.synthesis.settings import Settings
    from ctgrid.runs.synthesis.ranks import Ranks
    from ctgrid.runs.synthesis.series import Made, Series

Spacing = Literal["even", "linspace", "trailing", "snr", "karras"]
ScheduleName = Literal["auto", "autoregressive", "hierarchical"]


def command(
    ctx: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A .nii or .nii.gz file; with --count also a folder for them. If not given: in the working folder, "
            "named by model, slices and seed.",
        ),
    ] = None,
    slices: Annotated[int, typer.Option("--slices", min=1, help="Axial slices of a volume.")] = 201,
    seed: SeedOption = 0,
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, help="Volumes; number i uses seed + i. The same command takes up a broken run."),
    ] = None,
    schedule: Annotated[
        ScheduleName,
        typer.Option("--schedule", help="Keyframes first, or one grid after the other; auto asks the model."),
    ] = "auto",
    control_rows: Annotated[
        int | None,
        typer.Option("--control-rows", min=1, metavar="R", help="autoregressive: rows carried over (1 unless given)."),
    ] = None,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="autoregressive: rows far apart, then all between them (Algorithm 2).")
    ] = False,
    steps: StepsOption = None,
    refine_steps: RefineStepsOption = 2,
    fill_steps: Annotated[
        int | None, typer.Option("--fill-steps", min=1, help="hierarchical: steps that fill a gap (1 unless given).")
    ] = None,
    sampler: Annotated[
        str | None, choice("--sampler", SAMPLERS, "How the noise is removed; the model's own unless given.")
    ] = None,
    spacing: Annotated[
        Spacing | None,
        typer.Option("--spacing", help="Where the steps lie; unless given, where the sampler does best."),
    ] = None,
    refine_start: Annotated[
        float,
        typer.Option("--refine-start", min=0, max=1, help="Noise stage 2 starts from, a share of the schedule."),
    ] = 1.0,
    refine_noise_mm: Annotated[
        float | None,
        typer.Option(
            "--refine-noise-mm",
            min=0,
            metavar="MM",
            help="Length along z within which stage 2's noise changes (4 for CT unless given); inf: never.",
        ),
    ] = None,
    size: SizeOption = None,
    batch_size: BatchOption = 8,
    max_memory: Annotated[
        str | None,
        typer.Option("--max-memory", metavar="4GB", help="Compute fewer at once where more would need more memory."),
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    compile_: Annotated[
        bool, typer.Option("--compile", help="Compile the networks: slow to start, then faster.")
    ] = False,
    model: ModelOption = "embedded",
    stage1: Stage1Option = None,
    stage2: Stage2Option = None,
    codec: CodecOption = None,
    kind: Annotated[
        Literal["volume", "video"], typer.Option("--as", help="CT volumes, or movies (--out .mp4, .gif, .webp).")
    ] = "volume",
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="Of a movie, in place of --slices.")] = None,
    fps: Annotated[float, typer.Option("--fps", min=0.01, help="Frames of a movie a second.")] = 16.0,
    picture: Annotated[bool, typer.Option(help="Write a .png beside every volume.")] = True,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check the outputs, load, and make the volumes that are not there yet."""
    if kind == "video" or frames is not None:
        from .video_synthesize import from_command_line

        return from_command_line(ctx)
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.scan.names import made_by

    parts = {"stage1": stage1, "stage2": stage2, "codec": codec}
    loading: dict[str, Any] = {"model": model, "device": device, "dtype": dtype} | {
        part: path for part, path in parts.items() if path is not None
    }
    loading |= {"compile": True} if compile_ else {}
    if out is None:
        paths, many = default_outputs(made_by(model, stage1, stage2, codec), slices, seed, count)
    else:
        paths, many = plan_outputs(out, count)
    folder = paths[0].parent
    record = RunRecord("synthesize", folder / "run.json", ctx.obj, seed)
    with record.timed("load"):  # torch, for one
        from ctgrid.base.lean import import_diffusers

        import_diffusers()
        from ctgrid.base.journal import Journal
        from ctgrid.runs.synthesis.ranks import Ranks
        from ctgrid.runs.synthesis.series import Series, Target

        settings = checked_settings(
            slices=slices,
            steps=steps,
            refine_steps=refine_steps,
            fill_steps=fill_steps,
            size=size,
            batch_size=batch_size,
            sampler=sampler,
            spacing=spacing,
            schedule=schedule,
            control_rows=control_rows,
            interpolate=interpolate,
            refine_start=refine_start,
            refine_noise_mm=refine_noise_mm,
        )
        limit = checked_memory(max_memory)
    ranks = Ranks.here()
    targets = [Target(i, seed + i, path, picture_path(path) if picture else None) for i, path in enumerate(paths)]
    series = Series(
        [target for target in targets if ranks.mine(target.number)],
        Journal(folder / "manifest.jsonl") if many else None,
        overwrite,
    )
    series.check()
    loading["device"] = ranks.device(device)
    record.settings = {"count": len(paths), **settings.as_dict(), **loading, "max_memory": max_memory}
    with recorded(record, owns=[folder] if many else ()) if ranks.first else nullcontext(record):
        lines = synthesize(series, settings, limit, loading, ranks, record)
    if ranks.first:
        finish(record, as_json, [*lines, cost(record)])


def synthesize(
    series: Series, settings: Settings, limit: int | None, loading: dict[str, Any], ranks: Ranks, record: RunRecord
) -> list[str]:
    """Make this process's volumes, fill in the record, and return what to print of all processes'."""
    from ctgrid.runs.synthesis.series import checkpoint_of

    lines: list[str] = []

    def note(made: Made) -> None:
        record.outputs.extend(made.outputs)
        record.worth_keeping = True
        lines.append(f"{made.target.path}: {describe(made)}, seed {made.target.seed}")

    with progress_bar() as bar:
        progress = bar if ranks.first else (lambda phase, done, total: None)
        progress("loading the model", 0, 1)
        with record.timed("load"):
            from ctgrid.methods.synthesis.pipeline import SynthesisPipeline

            ranks.connect()
            pipeline = SynthesisPipeline.load(**loading)
        record.model = pipeline.describe()
        checkpoint = checkpoint_of(record.model)
        settings = pipeline.resolve(settings, limit)
        record.settings.update(settings.as_dict())
        with record.timed("check"):
            targets = series.remaining(settings, checkpoint)
        record.dit_token_passes = 0
        if targets:
            work = series.make(pipeline, targets, settings, checkpoint, note, progress)
            record.add_phases(work.phases)
            record.dit_token_passes = work.dit_token_passes
    there = len(series.targets) - len(targets)
    own = {"made": len(targets), "already_there": there, "phases": record.phases, "lines": lines}
    parts = ranks.gather({**own, "outputs": record.outputs, "passes": record.dit_token_passes})
    record.outputs = sorted((o for part in parts for o in part["outputs"]), key=lambda o: str(o["path"]))
    record.dit_token_passes = sum(part["passes"] for part in parts)
    record.results = {name: sum(part[name] for part in parts) for name in ("made", "already_there")}
    if ranks.count > 1:
        record.results["processes"] = [{"made": part["made"], "phases": part["phases"]} for part in parts]
    lines = sorted(line for part in parts for line in part["lines"])
    if skipped := record.results["already_there"]:
        lines.append(f"{series.targets[0].path.parent}: {skipped} volumes were there already")
    return lines


def picture_path(path: Path) -> Path:
    """Return the picture's path: the volume's with ``.png`` for ``.nii`` or ``.nii.gz``."""
    return path.with_name(stem_and_suffix(path)[0] + ".png")


def plan_outputs(out: Path, count: int | None) -> tuple[list[Path], bool]:
    """Name the volumes: ``out`` itself; or with a count numbered files in a folder or beside a name.

    Returns:
        The files, and whether they are a series that a manifest lists.

    Raises:
        CtgridError: where the name is not that of a NIfTI file, or a folder cannot be made.
    """
    from ctgrid.scan.formats.kinds import NIFTI_SUFFIXES

    stem, suffix = stem_and_suffix(out)
    if count is None or (count == 1 and suffix):
        check_suffix(out, NIFTI_SUFFIXES, "a volume")
        return [out], False
    digits = max(4, len(str(count - 1)))
    if suffix:
        return [out.with_name(f"{stem}_{i:0{digits}d}{suffix}") for i in range(count)], True
    check_folder(out)
    return [out / f"volume_{i:0{digits}d}.nii.gz" for i in range(count)], True


def stem_and_suffix(path: Path) -> tuple[str, str]:
    """Split a file name into stem and NIfTI suffix, the latter empty where it has none."""
    from ctgrid.base.files import full_suffix
    from ctgrid.scan.formats.kinds import NIFTI_SUFFIXES

    suffix = full_suffix(path)
    if suffix not in NIFTI_SUFFIXES:
        return path.name, ""
    return path.name[: -len(suffix)], suffix
