"""Denoise chest CT volumes: IN becomes IN_denoised beside it, on its own grid, in its own number format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .options import (
    DeviceOption,
    DtypeOption,
    HuOption,
    JsonOption,
    MetadataOption,
    ModelOption,
    OverwriteOption,
    parse_strength,
)
from .output import check_suffix, cost, finish, warn
from .progress import progress_bar

if TYPE_CHECKING:
    from ctgrid.base.record import RunRecord
    from ctgrid.runs.denoising.bench import Bench

Start = Literal["matched", "noised"]


def command(
    ctx: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", help="NIfTI, NRRD or MetaImage files, DICOM folders, zips, folders of these."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="OUT|DIR",
            help="A volume's file; a folder for one DICOM series; or a folder for results named as their inputs. "
            "If not given: beside each input, as IN_denoised.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", help="grid-detail (default where the model has that part), grid, grid-paper, detail, nlm, ..."
        ),
    ] = None,
    strength: Annotated[
        Any,
        typer.Option(
            "--strength",
            metavar="auto|HU",
            parser=parse_strength,
            help="Noise to remove, as a standard deviation; 0 leaves a scan as it is.",
        ),
    ] = "auto",
    residual: Annotated[
        Path | None,
        typer.Option("--residual", metavar="FILE", help="Write what was removed, in HU; a folder for several scans."),
    ] = None,
    picture: Annotated[
        bool, typer.Option("--picture/--no-picture", help="Draw before, after and removed beside each result.")
    ] = True,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="PNG", help="Do three slices only and draw them; writes no volume."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**32 - 1, help="The same seed gives the same bytes.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stage 1: steps of a whole way back.")] = None,
    refine_steps: Annotated[int | None, typer.Option("--refine-steps", min=1, help="Likewise of stage 2.")] = None,
    phases: Annotated[
        int | None, typer.Option("--phases", min=1, help="Overlapping grids that are averaged; 1 is side by side.")
    ] = None,
    start: Annotated[
        Start | None,
        typer.Option(
            "--start", help="Stage 1 starts from the noisy latents as they are (matched), or with noise added."
        ),
    ] = None,
    refine_start: Annotated[Start | None, typer.Option("--refine-start", help="Likewise of stage 2.")] = None,
    no_refine: Annotated[bool, typer.Option("--no-refine", help="Leave stage 2 out.")] = False,
    no_detail: Annotated[bool, typer.Option("--no-detail", help="Leave the detail step out.")] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Slices or grids at once; less needs less memory.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Checkpoint, for methods that come without (generatect).")
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    model: ModelOption = "embedded",
    hu: HuOption = "auto",
    metadata: MetadataOption = None,
    series: Annotated[
        str | None, typer.Option("--series", help="Which DICOM series: number in ctgrid info, UID, or its ending.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first scan that fails.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep results in the folder made from the same input and settings.")
    ] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find, read, check, denoise, write, record; one bad scan does not stop the others."""
    from ctgrid.base.record import RunRecord
    from ctgrid.methods.denoising.methods import Loading
    from ctgrid.runs.denoising.bench import Bench, Request
    from ctgrid.scan.hu.metadata import MetadataTable

    if out is not None and preview is not None:
        raise typer.BadParameter("a preview writes no volume; leave --out away", param_hint="--preview")
    given = {
        "seed": seed,
        "steps": steps,
        "refine_steps": refine_steps,
        "phases": phases,
        "start": start,
        "refine_start": refine_start,
        "batch_size": batch_size,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings |= {"refine": False} if no_refine else {}
    request = Request(
        method=method,
        strength=strength,
        settings=settings,
        loading=Loading(model, device, dtype, weights),
        hu=hu,
        metadata=MetadataTable.read_all(metadata),
        series=series,
        overwrite=overwrite,
        resume=resume,
        strict=strict,
    )
    if no_detail and request.name != "grid":
        settings["detail"] = False
    bench = Bench(request)
    record = RunRecord("denoise", Path("run.json"), ctx.obj, seed or 0)
    record.settings = {
        "method": request.name,
        "method_asked": method,
        "strength": strength,
        "hu": hu,
        "metadata": metadata,
        "series": series,
        "picture": picture,
        "resume": resume,
        "strict": strict,
        **settings,
        "model": model,
        "device": device,
        "dtype": dtype,
        "weights": weights,
    }
    if preview is not None:
        _preview(sources, preview, bench, record, as_json)
    else:
        _volumes(sources, out, residual, picture, bench, record, as_json)


def _preview(sources: list[Path], path: Path, bench: Bench, record: RunRecord, as_json: bool) -> None:
    """Do a few slices of one scan."""
    from ctgrid.base.errors import CtgridError
    from ctgrid.base.files import check_output
    from ctgrid.base.record import recorded
    from ctgrid.runs.denoising.jobs import check_apart
    from ctgrid.runs.denoising.preview import preview

    if len(sources) > 1:
        raise CtgridError(f"a preview shows one scan, got {len(sources)}")
    check_suffix(path, (".png",), "a preview")
    check_apart(sources[0], path)
    check_output(path, bench.request.overwrite)
    record.path = path.parent / "run.json"
    with recorded(record), progress_bar() as progress:
        entry = preview(sources[0], path, bench, progress)
        record.add_input(sources[0])
        record.outputs += entry["outputs"]
        _note(record, [entry], bench)
    slices = ", ".join(map(str, entry["slices"]))
    finish(
        record,
        as_json,
        [f"{path}: slices {slices} of {entry['shape'][0]} from the feet, {_noise(entry)}", cost(record)],
    )


def _volumes(
    sources: list[Path],
    out: Path | None,
    residual: Path | None,
    picture: bool,
    bench: Bench,
    record: RunRecord,
    as_json: bool,
) -> None:
    """Do one scan, or all there are."""
    from ctgrid.base.record import recorded
    from ctgrid.runs.denoising.cases import denoise_cases
    from ctgrid.runs.denoising.jobs import plan_jobs

    plan = plan_jobs(sources, out, residual=residual, picture=picture)
    record.path = next((f for f in plan.folders if f.exists()), plan.folders[0]) / "run.json"
    total, entries = len(plan.jobs), []
    if plan.earlier and not as_json:
        names = ", ".join(path.name for path in plan.earlier[:3]) + (", ..." if len(plan.earlier) > 3 else "")
        typer.echo(f"left out as results of an earlier call: {names} (by itself, such a scan is denoised)")

    def note(entry: dict[str, Any]) -> None:
        entries.append(entry)
        record.worth_keeping = record.worth_keeping or entry["status"] == "done"
        if not as_json and total > 1:
            typer.echo(f"{len(entries)}/{total} {_line(entry)}")

    with recorded(record), progress_bar() as progress:
        try:
            denoise_cases(plan, bench.request, bench=bench, on_case=note, progress=progress)
        finally:
            _note(record, entries, bench)
            record.results["left_out"] = plan.earlier
            record.path = next((f for f in plan.folders if f.exists()), plan.folders[0]) / "run.json"
    for entry in entries:
        warn(entry["source"], entry.get("warnings", []) if entry["status"] == "done" else [])
    lines = [_line(entries[0])] if total == 1 else [f"{out or 'beside the inputs'}: {_count(entries)}"]
    finish(record, as_json, [*lines, cost(record)])


def _note(record: RunRecord, entries: list[dict[str, Any]], bench: Bench) -> None:
    """Put what was done into the run record."""
    done = [entry for entry in entries if entry["status"] == "done"]
    record.model = bench.describe()
    record.phases = {"load": bench.seconds}
    record.dit_token_passes = sum(entry["dit_token_passes"] for entry in done)
    for entry in done:
        record.add_phases(entry["phases"])
        if "input" in entry:
            record.inputs.append({**entry["input"], "hu": entry["hu"]})
            record.outputs += entry["outputs"]
    record.results = {**_counts(entries), "cases": entries}
    if len(entries) == 1 and done:
        record.settings.update(done[0]["settings"])
        record.decisions = {"hu": done[0]["hu"], "noise_hu": done[0]["noise_hu"]}


def _counts(entries: list[dict[str, Any]]) -> dict[str, int]:
    return {status: sum(entry["status"] == status for entry in entries) for status in ("done", "kept", "failed")}


def _count(entries: list[dict[str, Any]]) -> str:
    return ", ".join(f"{number} {status}" for status, number in _counts(entries).items() if number)


def _noise(entry: dict[str, Any]) -> str:
    if entry["settings"].get("untouched"):
        hint = ", or --strength HU if you know better" if entry["settings"].get("strength") == "auto" else ""
        return f"noise {entry['noise_hu']:.0f} HU: nothing to remove, left as it is{hint}"
    removed = f", {entry['removed_hu']:.0f} HU removed" if "removed_hu" in entry else ""
    return f"noise {entry['noise_hu']:.0f} HU{removed}"


def _line(entry: dict[str, Any]) -> str:
    """Return what a person wants to know of a case."""
    if entry["status"] == "failed":
        return f"failed: {entry['error']}"
    shape = " x ".join(str(n) for n in reversed(entry["shape"]))
    spacing = " x ".join(f"{mm:.2f}" for mm in reversed(entry["spacing_mm"]))
    kept = "kept: " if entry["status"] == "kept" else ""
    path = entry["outputs"][0]["path"]
    return f"{kept}{path}: {shape} voxels of {spacing} mm, {_noise(entry)}, {entry['seconds']:.1f} s"
