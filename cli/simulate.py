"""Make scans by rule: chest phantoms, and what a scan would look like at a lower dose."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from ctgrid.runs.scans.settings import LowDoseSettings, PhantomSettings

from .adapter import with_options
from .options import InputArgument, JsonOption, example
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
    help="Make a scan noisier, as it would be at a fraction of its dose, in the projections.",
    epilog=example("simulate low-dose chest.nii.gz --dose 0.25"),
)
@with_options
def low_dose_command(
    ctx: typer.Context,
    source: InputArgument,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A .nii, .nii.gz, .nrrd or .mha file, or a DICOM folder. If not given: IN_dose0.25 beside the input.",
        ),
    ] = None,
    settings: LowDoseSettings,
    as_json: JsonOption = False,
) -> None:
    """Read, check, simulate, write, record."""
    from ctgrid.runs.scans.dose import lower_dose

    with progress_bar() as progress:
        record = lower_dose(source, out, settings, argv=ctx.find_root().obj, progress=progress)
    warn(source, record.inputs[0]["record"].get("warnings", []))
    made, chosen = record.outputs[0], record.decisions["low_dose"]
    how = "as the scan's noise tells" if chosen["calibrated"] else "as set"
    what = f"dose {settings.dose:g} of {chosen['photons']:.3g} photons per ray, {how}"
    finish(record, as_json, [f"{made['path']}: {describe(SimpleNamespace(**made))}, {what}", cost(record)])
