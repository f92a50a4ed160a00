"""Make scans by rule: chest phantoms, and what a scan would look like at a lower dose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_folder

from .convert import SeriesOption
from .options import HuOption, InputArgument, JsonOption, MetadataOption, OverwriteOption, SeedOption
from .output import cost, describe, finish, warn
from .progress import progress_bar

app = typer.Typer(help=__doc__, invoke_without_command=True)

Geometry = Literal["fan", "parallel"]
Mode = Literal["insert", "full"]
Part = Literal["train", "valid"]


@app.callback()
def main(ctx: typer.Context) -> None:
    """Show the help where no command is given."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def parse_spacing(text: str) -> tuple[float, ...]:
    """Read ``z,y,x`` in mm."""
    try:
        parts = tuple(float(part) for part in text.split(","))
    except ValueError:
        parts = ()
    if len(parts) != 3 or not all(0.05 <= mm <= 400 for mm in parts):
        raise typer.BadParameter(f"{text!r} is not z,y,x with three numbers from 0.05 to 400, such as 1.5,0.75,0.75")
    return parts


def parse_dose(text: str) -> float:
    """Read a fraction in (0, 1]."""
    try:
        dose = float(text)
    except ValueError:
        dose = 0.0
    if not 0 < dose <= 1:
        raise typer.BadParameter(f"{text!r} is not a dose above 0 and at most 1, the scan's own dose being 1")
    return dose


@app.command("phantom", help="Make procedural chest CT phantoms: anatomy and pose drawn from the seed, HU-correct.")
def phantom_command(
    ctx: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A .nii, .nii.gz, .nrrd or .mha file; else a folder for phantom_0000.nii.gz … If not given: in the "
            "working folder, named by slices and seed.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Phantoms; number i uses seed + i.")] = 1,
    seed: SeedOption = 0,
    size: Annotated[int, typer.Option("--size", min=1, max=4096, help="Pixels of a slice's side.")] = 512,
    slices: Annotated[int, typer.Option("--slices", min=1, max=10000, help="Axial slices.")] = 201,
    spacing_mm: Annotated[
        Any,
        typer.Option(
            "--spacing-mm", metavar="Z,Y,X", parser=parse_spacing, help="Voxel size; else the chest fills the volume."
        ),
    ] = None,
    noise: Annotated[
        float, typer.Option("--noise", min=0, help="White noise in HU; see low-dose for that of CT.")
    ] = 0.0,
    labels: Annotated[bool, typer.Option("--labels", help="Write what each voxel is beside it, as …_labels.")] = False,
    ct_rate: Annotated[
        Part | None,
        typer.Option("--ct-rate", help="Raw stored values, named and tabled as that part of CT-RATE; out is a folder."),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check the outputs and paint one phantom after the other; those that are there already are kept."""
    from ctgrid.base.files import check_output
    from ctgrid.base.progress import titled
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import RECORD, record_beside
    from ctgrid.data.simulate.collection import INTERCEPT_HU, collection_names, table_name, write_stored, write_table
    from ctgrid.data.simulate.phantom import check_grid, labelled_phantom
    from ctgrid.scan.names import numbered_outputs

    targets, numbered = numbered_outputs("phantom", slices, seed, count) if out is None else plan_outputs(out, count)
    if ct_rate is not None:
        if out is None or targets[0].parent != out:
            raise typer.BadParameter("--out must name a folder", param_hint="--ct-rate")
        targets = [out / name for name in collection_names(ct_rate, count)]
        numbered = True
    offset = 0 if ct_rate is None else INTERCEPT_HU
    folder, shape = targets[0].parent, (slices, size, size)
    voxel = check_grid(seed, shape, spacing_mm, noise)
    if not numbered:
        for path in (targets[0], labels_path(targets[0]))[: 1 + labels]:
            check_output(path, overwrite)
    record = RunRecord(
        "simulate phantom", folder / RECORD if numbered else record_beside(targets[0]), ctx.find_root().obj, seed
    )
    record.settings = {"count": count, "size": size, "slices": slices, "spacing_mm": voxel, "noise": noise}
    record.settings["ct_rate"] = ct_rate
    lines, kept = [], 0
    with recorded(record, owns=[folder] if numbered else ()), progress_bar() as bar:
        for i, path in enumerate(targets):
            progress = titled(bar, f"phantom {i + 1}/{count}") if count > 1 else bar
            facts = {"seed": seed + i, "shape": shape, "spacing_mm": voxel}
            wanted = (path, labels_path(path))[: 1 + labels]
            if not overwrite and all(p.exists() for p in wanted):
                check_same(path, seed + i, shape, voxel, noise, offset)
                kept += 1
                record.add_output(path, **facts, kept=True)
                continue
            with record.timed("paint"):
                hu, parts = labelled_phantom(seed + i, shape, voxel, noise, progress=progress)
            progress("writing", 0, 1)
            with record.timed("write"):
                folder.mkdir(exist_ok=True)
                for target, volume in zip(wanted, (hu, parts), strict=False):
                    if target.exists() and not overwrite and target == path:
                        check_same(path, seed + i, shape, voxel, noise, offset)
                        continue
                    if ct_rate is not None and volume is hu:
                        write_stored(target, hu)
                    else:
                        volume.write(target, overwrite=overwrite)
                    record.add_output(target, **facts)
            if numbered:
                made = [one for one in record.outputs if one["path"] in map(str, wanted)]
                record.parts[path] = {"seed": seed + i, "outputs": made, "results": {"written": 1, "kept": 0}}
            lines.append(f"{path}: {describe(hu)}, seed {seed + i}")
        if ct_rate is not None:
            write_table(folder / table_name(ct_rate), [path.name for path in targets], voxel)
            record.add_output(folder / table_name(ct_rate))
        record.results = {"written": count - kept, "kept": kept}
    finish(record, as_json, [*lines, *([f"{kept} kept that were there"] if kept else []), cost(record)])


@app.command("low-dose", help="Make a scan noisier, as it would be at a fraction of its dose, in the projections.")
def low_dose_command(
    ctx: typer.Context,
    source: InputArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A .nii, .nii.gz, .nrrd or .mha file, or a DICOM folder. If not given: IN_dose0.25 beside the input.",
        ),
    ] = None,
    dose: Annotated[
        Any,
        typer.Option("--dose", metavar="FRACTION", parser=parse_dose, help="Of the scan's own dose: 0 < dose <= 1."),
    ] = "0.25",
    geometry: Annotated[Geometry, typer.Option("--geometry", help="Of the simulated scanner's beam.")] = "fan",
    seed: SeedOption = 0,
    photons: Annotated[
        float | None,
        typer.Option("--photons", min=1, max=1e12, help="Per ray at full dose; else what the scan's noise tells."),
    ] = None,
    electronic_noise: Annotated[
        float, typer.Option("--electronic-noise", min=0, max=1e6, help="Of a ray's read-out, in photons.")
    ] = 10.0,
    cutoff: Annotated[
        float | None,
        typer.Option("--cutoff", min=0.05, max=10, help="Of the kernel, per mm; else as fine as the scan's noise."),
    ] = None,
    mode: Annotated[
        Mode, typer.Option("--mode", help="Insert noise into the scan, or reconstruct all of it.")
    ] = "insert",
    hu: HuOption = "auto",
    metadata: MetadataOption = None,
    series: SeriesOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read, check, simulate, write, record."""
    from ctgrid.base.files import check_apart
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import record_beside
    from ctgrid.data.simulate.dose import low_dose
    from ctgrid.scan.formats.kinds import output_kind
    from ctgrid.scan.formats.open import check_writable
    from ctgrid.scan.hu.metadata import MetadataTable
    from ctgrid.scan.names import beside
    from ctgrid.scan.volume import Volume, fitting_dtype

    out = beside(source, f"_dose{dose:g}") if out is None else out
    kind = output_kind(out)
    check_apart(out, [source], replaces=True)
    check_writable(out, overwrite)
    settings = {"geometry": geometry, "photons": photons, "electronic_noise": electronic_noise, "mode": mode}
    record = RunRecord("simulate low-dose", record_beside(out), ctx.find_root().obj, seed)
    record.settings = {"dose": dose, "hu": hu, "metadata": metadata, "series": series, "cutoff": cutoff, **settings}
    owns = [out] if kind == "dicom" else []
    with recorded(record, out, owns=owns, replaces=True), progress_bar() as progress:
        progress("reading", 0, 1)
        with record.timed("read"):
            table = MetadataTable.read_all(metadata)
            volume = Volume.read(source, hu=hu, metadata=table, series=series)
            record.add_input(source, record=dict(volume.record))
        with record.timed("simulate"):
            result = low_dose(volume, dose, seed, cutoff_per_mm=cutoff, progress=progress, **settings)  # type: ignore[arg-type]
        progress("writing", 0, 1)
        with record.timed("write"):
            template = source if kind == volume.record["format"] else None  # its header, or its study
            result.write(out, overwrite=overwrite, dtype=fitting_dtype(result, "keep", str(out)), template=template)
            record.add_output(out, shape=result.shape, spacing_mm=result.spacing_mm)
        record.decisions = {"hu": volume.record.get("hu"), "low_dose": result.record["low_dose"]}
    warn(source, volume.record.get("warnings", []))
    chosen = result.record["low_dose"]
    how = "as the scan's noise tells" if chosen["calibrated"] else "as set"
    finish(
        record,
        as_json,
        [f"{out}: {describe(result)}, dose {dose:g} of {chosen['photons']:.3g} photons per ray, {how}", cost(record)],
    )


def plan_outputs(out: Path, count: int) -> tuple[list[Path], bool]:
    """Name the phantoms, and tell whether they are numbered: then those that are there may be kept.

    Raises:
        CtgridError: the name is that of another kind of file, or a folder cannot be made.
    """
    from ctgrid.base.files import full_suffix
    from ctgrid.scan.formats.kinds import output_kind, writable

    suffix = full_suffix(out)
    if suffix in writable() and not out.is_dir():
        stem = out.name[: -len(suffix)]
        return (
            ([out], False) if count == 1 else ([out.with_name(f"{stem}_{i:04d}{suffix}") for i in range(count)], True)
        )
    output_kind(out)
    check_folder(out)
    return [out / f"phantom_{i:04d}.nii.gz" for i in range(count)], True


def labels_path(path: Path) -> Path:
    """Return where a phantom's labels go."""
    from ctgrid.base.files import full_suffix

    suffix = full_suffix(path)
    return path.with_name(f"{path.name[: -len(suffix)]}_labels{suffix}")


def check_same(
    path: Path,
    seed: int,
    shape: tuple[int, int, int],
    voxel: tuple[float, float, float],
    noise: float,
    offset: int = 0,
) -> None:
    """Make sure that a file that is there already is the phantom that is asked for, by grid and middle slice.

    Raises:
        CtgridError: it is something else.
    """
    import numpy as np

    from ctgrid.data.simulate.phantom import phantom_slice
    from ctgrid.scan.volume import Volume

    found, middle = Volume.read(path, hu="stored"), shape[0] // 2
    same = found.shape == shape and np.allclose(found.spacing_mm, voxel, rtol=1e-4)
    if not same or not np.array_equal(found.hu[middle] + offset, phantom_slice(seed, middle, shape, voxel, noise)):
        raise CtgridError(
            f"{path} exists and is not the phantom of seed {seed} asked for; pass --overwrite to replace it"
        )
