"""Denoise chest CT volumes: IN becomes IN_denoised beside it, on its own grid, in its own number format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.runs.denoising.settings import Request

from .adapter import with_options
from .errors import tell
from .options import JsonOption
from .output import cost, finish, warn
from .progress import progress_bar

if TYPE_CHECKING:
    from ctgrid.runs.denoising.jobs import DenoisingPlan


@with_options
def command(
    ctx: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="IN", help="NIfTI, NRRD or MetaImage files, DICOM folders, zips, folders of these."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="OUT|DIR",
            help="A volume's file; a folder for one DICOM series; or a folder for results named as their inputs. "
            "If not given: beside each input, as IN_denoised.",
        ),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="PNG", help="Do three slices only and draw them; writes no volume."),
    ] = None,
    request: Request,
    as_json: JsonOption = False,
) -> None:
    """Find, read, check, denoise, write, record; one bad scan does not stop the others."""
    if out is not None and preview is not None:
        raise typer.BadParameter("a preview writes no volume; leave --out away", param_hint="--preview")
    if request.trust is not None and preview is not None:
        raise typer.BadParameter("a preview writes no map of trust; leave --trust away", param_hint="--preview")
    if preview is not None:
        _preview(ctx, sources, preview, request, as_json)
    else:
        _volumes(ctx, sources, out, request, as_json)


def _preview(ctx: typer.Context, sources: list[Path], path: Path, request: Request, as_json: bool) -> None:
    """Do a few slices of one scan."""
    from ctgrid.runs.denoising.run import preview_denoising

    if len(sources) > 1:
        raise CtgridError(f"a preview shows one scan, got {len(sources)}")
    with progress_bar() as progress:
        record = preview_denoising(sources[0], path, request, argv=ctx.obj, progress=progress)
    entry = record.results["cases"][0]
    slices = ", ".join(map(str, entry["slices"]))
    finish(
        record,
        as_json,
        [f"{path}: slices {slices} of {entry['shape'][0]} from the feet, {_noise(entry)}", cost(record)],
    )


def _volumes(ctx: typer.Context, sources: list[Path], out: Path | None, request: Request, as_json: bool) -> None:
    """Do one scan, or all there are."""
    from ctgrid.runs.denoising.run import counts, denoise_scans

    total, number = 0, 0

    def told(plan: DenoisingPlan) -> None:
        nonlocal total
        total = len(plan.jobs)
        if plan.earlier and not as_json:
            names = ", ".join(path.name for path in plan.earlier[:3]) + (", ..." if len(plan.earlier) > 3 else "")
            tell(f"left out as results of an earlier call: {names} (by itself, such a scan is denoised)")

    def note(entry: dict[str, Any]) -> None:
        nonlocal number
        number += 1
        if not as_json and total > 1:
            tell(f"{number}/{total} {_line(entry)}")

    with progress_bar() as progress:
        record = denoise_scans(sources, out, request, argv=ctx.obj, on_plan=told, on_case=note, progress=progress)
    entries = record.results["cases"]
    for entry in entries:
        warn(entry["source"], entry.get("warnings", []) if entry["status"] == "done" else [])
    count = ", ".join(f"{n} {status}" for status, n in counts(entries).items() if n)
    lines = [_line(entries[0])] if total == 1 else [f"{out or 'beside the inputs'}: {count}"]
    finish(record, as_json, [*lines, cost(record)])


def _noise(entry: dict[str, Any]) -> str:
    if entry["settings"].get("untouched"):
        least = entry["settings"].get("removes_from_hu")  # of results of before that are kept, nothing is known
        hint = "" if least is None else f"; --strength {least:g} or more would remove some"
        return f"noise {entry['noise_hu']:.0f} HU: nothing to remove, left as it is{hint}{_trust(entry)}"
    removed = f", {entry['removed_hu']:.0f} HU removed" if "removed_hu" in entry else ""
    settings = entry["settings"]
    how = ""
    if settings.get("diffusion") is False:  # other methods say nothing of it
        how = " without diffusion"
        if entry["noise_hu"] < settings["diffuse_from"]:
            how += f", which helps from {settings['diffuse_from']:g} HU on"
    return f"noise {entry['noise_hu']:.0f} HU{removed}{how}{_trust(entry)}"


def _trust(entry: dict[str, Any]) -> str:
    """Return what the maps of trust come to."""
    found = entry.get("trust")
    if found is None:
        return ""
    return (
        f", uncertain by {found['median_hu']:.1f} HU (median), {found['changed_share']:.2%} changed by more than noise"
    )


def _line(entry: dict[str, Any]) -> str:
    """Return what a person wants to know of a case."""
    if entry["status"] == "failed":
        return f"failed: {entry['error']}"
    shape = " x ".join(str(n) for n in reversed(entry["shape"]))
    spacing = " x ".join(f"{mm:.2f}" for mm in reversed(entry["spacing_mm"]))
    kept = "kept: " if entry["status"] == "kept" else ""
    path = entry["outputs"][0]["path"]
    return f"{kept}{path}: {shape} voxels of {spacing} mm, {_noise(entry)}, {entry['seconds']:.1f} s"
