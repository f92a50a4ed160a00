"""Make scans by rule: chest phantoms, and what a scan would look like at a lower dose."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer

from ctgrid.runs.scans.settings import LowDoseSettings, PhantomSettings

from .adapter import with_options
from .errors import tell
from .options import JsonOption, example
from .output import cost, describe, finish, warn
from .progress import progress_bar

app = typer.Typer(help=__doc__, invoke_without_command=True)


@app.callback()
def main(ctx: typer.Context) -> None:
    """Show the help where no command is given."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@app.command(
    "phantom",
    help="Make procedural chest CT phantoms: anatomy and pose drawn from the seed, HU-correct.",
    epilog=example("simulate phantom --slices 64 --size 256 --seed 3"),
)
@with_options
def phantom_command(
    ctx: typer.Context,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A .nii, .nii.gz, .nrrd or .mha file; else a folder for phantom_0000.nii.gz … If not given: in the "
            "working folder, named by slices and seed.",
        ),
    ] = None,
    settings: PhantomSettings,
    as_json: JsonOption = False,
) -> None:
    """Paint one phantom after the other; those that are there already are kept."""
    from ctgrid.runs.scans.phantoms import labels_path, make_phantoms

    with progress_bar() as progress:
        record = make_phantoms(out, settings, argv=ctx.find_root().obj, progress=progress)
    made = [one for one in record.outputs if "shape" in one and not one.get("kept")]
    labels = {str(labels_path(Path(one["path"]))) for one in record.outputs}
    lines = [
        f"{one['path']}: {describe(SimpleNamespace(**one))}, seed {one['seed']}"
        for one in made
        if one["path"] not in labels
    ]
    kept = record.results["kept"]
    finish(record, as_json, [*lines, *([f"{kept} kept that were there"] if kept else []), cost(record)])


@app.command(
    "low-dose",
    help="Make scans noisier, as they would be at a fraction of their dose, in the projections.",
    epilog=example("simulate low-dose chest.nii.gz --dose 0.25"),
)
@with_options
def low_dose_command(
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
            help="A .nii, .nii.gz, .nrrd or .mha file, or a DICOM folder; of several scans or doses the folder that "
            "they go into. If not given: IN_dose0.25, or the folder IN_low_dose, beside the input.",
        ),
    ] = None,
    settings: LowDoseSettings,
    as_json: JsonOption = False,
) -> None:
    """Read, check, simulate, write, record; of several, one bad scan does not stop the others."""
    from ctgrid.runs.scans.dose_set import is_set

    if is_set(sources, settings):
        _set(ctx, sources, out, settings, as_json)
    else:
        _single(ctx, sources[0], out, settings, as_json)


def _single(ctx: typer.Context, source: Path, out: Path | None, settings: LowDoseSettings, as_json: bool) -> None:
    """Make one scan noisier."""
    from ctgrid.runs.scans.dose import lower_dose

    with progress_bar() as progress:
        record = lower_dose(source, out, settings, argv=ctx.find_root().obj, progress=progress)
    warn(source, record.inputs[0]["record"].get("warnings", []))
    made, chosen = record.outputs[0], record.decisions["low_dose"]
    how = "as the scan's noise tells" if chosen["calibrated"] else "as set"
    what = f"dose {chosen['dose']:g} of {chosen['photons']:.3g} photons per ray, {how}"
    finish(record, as_json, [f"{made['path']}: {describe(SimpleNamespace(**made))}, {what}", cost(record)])


def _set(ctx: typer.Context, sources: list[Path], out: Path | None, settings: LowDoseSettings, as_json: bool) -> None:
    """Make a paired set; the exit code is 1 where a scan failed."""
    from ctgrid.runs.scans.dose_set import lower_doses

    def note(entry: dict[str, Any]) -> None:
        if not as_json:
            tell(_line(entry))

    with progress_bar() as progress:
        record = lower_doses(sources, out, settings, argv=ctx.find_root().obj, on_scan=note, progress=progress)
    warned: dict[str, list[str]] = {}
    for entry in record.results["pairs"]:
        warned.setdefault(entry["source"], entry.get("warnings", []))
    for source, warnings in warned.items():
        warn(source, warnings)
    count = ", ".join(f"{record.results[status]} {status}" for status in ("done", "kept", "failed"))
    finish(record, as_json, [f"{record.path.parent}: {count}", cost(record)])
    if record.results["failed"]:
        raise typer.Exit(1)


def _line(entry: dict[str, Any]) -> str:
    """Return what a person wants to know of a noisy scan."""
    if entry["status"] == "failed":
        return f"failed: {entry['error']}"
    kept = "kept: " if entry["status"] == "kept" else ""
    added = "" if entry["added_hu"] is None else f", {entry['added_hu']:.0f} HU added in soft tissue"
    return f"{kept}{entry['output']['path']}: {describe(SimpleNamespace(**entry))}, dose {entry['dose']:g}{added}"
