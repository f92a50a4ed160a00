"""Convert a scan to another format: NIfTI, NRRD, MetaImage, or a folder with a DICOM CT series; values become HU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.kinds import writable

from .options import HuOption, InputArgument, JsonOption, MetadataOption, OverwriteOption
from .output import describe, finish, warn

StoredDtype = Literal["keep", "int16", "int32", "float32", "float64"]
SeriesOption = Annotated[
    str | None,
    typer.Option(
        "--series", metavar="N|UID", help="DICOM series: number in ctgrid info, UID or its ending; else the largest."
    ),
]


def command(
    ctx: typer.Context,
    source: InputArgument,
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]",
            help=f"A {' or '.join(writable())} file; else a DICOM folder. If not given: IN.nii.gz beside the input, "
            "where that is no NIfTI file.",
        ),
    ] = None,
    dtype: Annotated[
        StoredDtype, typer.Option("--dtype", help="Number format; keep takes the input's where it can hold HU.")
    ] = "keep",
    hu: HuOption = "auto",
    metadata: MetadataOption = None,
    series: SeriesOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read, find the HU, write, record."""
    import numpy as np

    from ctgrid.base.files import check_apart
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import record_beside
    from ctgrid.scan.formats.kinds import output_kind
    from ctgrid.scan.formats.open import check_writable
    from ctgrid.scan.formats.stored import hu_confirmed
    from ctgrid.scan.hu.metadata import MetadataTable
    from ctgrid.scan.volume import Volume, fitting_dtype

    out = default_output(source) if out is None else out
    kind = output_kind(out)
    if kind == "dicom" and dtype not in ("keep", "int16"):
        raise CtgridError(f"cannot write {out} as {dtype}: a DICOM CT series has 16-bit integers; drop --dtype")
    check_apart(out, [source], replaces=True)
    check_writable(out, overwrite)
    record = RunRecord("convert", record_beside(out), ctx.obj)
    record.settings = {"dtype": dtype, "hu": hu, "metadata": metadata, "series": series, "overwrite": overwrite}
    with recorded(record, out, owns=[out] if kind == "dicom" else (), replaces=True):
        table = MetadataTable.read_all(metadata)
        with record.timed("read"):
            volume = Volume.read(source, hu=hu, metadata=table, series=series)
            stored = np.dtype(np.int16) if kind == "dicom" else fitting_dtype(volume, dtype, str(out))
            marked = hu_confirmed(volume.record)
            record.decisions = {"hu": volume.record.get("hu"), "stored_dtype": str(stored), "marked_as_hu": marked}
        with record.timed("write"):
            template = source if kind == volume.record["format"] else None  # its header, or its study
            volume.write(out, overwrite=overwrite, dtype=stored, template=template)
        record.add_input(source, record=dict(volume.record))
        record.add_output(out, shape=volume.shape, spacing_mm=volume.spacing_mm, orientation=volume.orientation)
    warn(source, volume.record.get("warnings", []))
    if not marked:
        warn(out, ["written without the mark of HU, so that a table or --hu can still say what its values are"])
    how = volume.record["hu"]
    what = f"HU as {how['source']}, slope {how['slope']:g}, intercept {how['intercept']:g}"
    finish(record, as_json, [f"{out}: {describe(volume)}, {volume.orientation}, {what}"])


def default_output(source: Path) -> Path:
    """Return the NIfTI file beside a scan of another format.

    Raises:
        typer.BadParameter: where it is NIfTI already.
    """
    from ctgrid.base.files import full_suffix
    from ctgrid.scan.formats.kinds import NIFTI_SUFFIXES
    from ctgrid.scan.names import beside

    if full_suffix(source) in NIFTI_SUFFIXES and not source.is_dir():
        raise typer.BadParameter(f"missing: {source} is NIfTI already; say what it is to become", param_hint="OUT")
    return beside(source, "", ".nii.gz")
