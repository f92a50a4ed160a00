"""``ctgrid convert`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.base.files import check_apart, full_suffix
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.scans.settings import ConvertSettings
from ctgrid.scan.formats.kinds import NIFTI_SUFFIXES, output_kind
from ctgrid.scan.formats.open import check_writable
from ctgrid.scan.formats.stored import hu_confirmed
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.names import beside
from ctgrid.scan.volume import Volume, fitting_dtype


@spelled_out(ConvertSettings, "changes")
def convert_scan(
    source: Path | str,
    out: Path | str | None = None,
    settings: ConvertSettings | None = None,
    *,
    argv: Sequence[str] = (),
    **changes: Any,
) -> RunRecord:
    """Read a scan, find its HU, and write it in the format that the output's name asks for.

    Args:
        source: a file or a DICOM folder.
        out: a volume's file; any other name is a DICOM folder. None takes :func:`default_output`.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        changes: settings other than those, by name.

    Returns:
        The record; its one input holds the volume's provenance, its one output shape, spacing and orientation.

    Raises:
        CtgridError: where the scan cannot be read, or not written so.
    """
    asked, source = gather(ConvertSettings, changes, settings or ConvertSettings()), Path(source)
    if not source.exists():
        raise CtgridError(f"{source} does not exist")
    path = default_output(source) if out is None else Path(out)
    kind = output_kind(path)
    if kind == "dicom" and asked.dtype not in ("keep", "int16"):
        raise CtgridError(f"cannot write {path} as {asked.dtype}: a DICOM CT series has 16-bit integers; drop --dtype")
    check_apart(path, [source], replaces=True)
    check_writable(path, asked.overwrite)
    record = RunRecord("convert", record_beside(path), list(argv))
    record.settings = asked.as_dict()
    with recorded(record, path, owns=[path] if kind == "dicom" else (), replaces=True):
        table = MetadataTable.read_all(asked.reading.metadata)
        with record.timed("read"):
            volume = Volume.read(source, hu=asked.reading.hu, metadata=table, series=asked.reading.series)
            stored = np.dtype(np.int16) if kind == "dicom" else fitting_dtype(volume, asked.dtype, str(path))
            record.decisions = {
                "hu": volume.record.get("hu"),
                "stored_dtype": str(stored),
                "marked_as_hu": hu_confirmed(volume.record),
            }
        with record.timed("write"):
            template = source if kind == volume.record["format"] else None  # its header, or its study
            volume.write(path, overwrite=asked.overwrite, dtype=stored, template=template)
        record.add_input(source, record=dict(volume.record))
        record.add_output(path, shape=volume.shape, spacing_mm=volume.spacing_mm, orientation=volume.orientation)
    return record


def default_output(source: Path) -> Path:
    """Return the NIfTI file beside a scan of another format.

    Raises:
        MisuseError: where it is NIfTI already.
    """
    if full_suffix(source) in NIFTI_SUFFIXES and not source.is_dir():
        raise MisuseError(f"missing: OUT: {source} is NIfTI already; say what it is to become")
    return beside(source, "", ".nii.gz")
