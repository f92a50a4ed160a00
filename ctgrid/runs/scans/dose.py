"""``ctgrid simulate low-dose`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_apart
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.simulate.dose import low_dose
from ctgrid.runs.scans.settings import LowDoseSettings
from ctgrid.scan.formats.kinds import output_kind
from ctgrid.scan.formats.open import check_writable
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.names import beside
from ctgrid.scan.volume import Volume, fitting_dtype


@spelled_out(LowDoseSettings, "changes")
def lower_dose(
    source: Path | str,
    out: Path | str | None = None,
    settings: LowDoseSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Read a scan, make it as noisy as at a lower dose, and write it with a run record.

    Args:
        source: a file or a DICOM folder.
        out: a volume's file; any other name is a DICOM folder. None is ``IN_dose0.25`` beside the input.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``decisions`` hold ``low_dose``: what was set, and what the scan's noise told.

    Raises:
        CtgridError: where the scan cannot be read, is none that this works on, or cannot be written so.
    """
    asked, source = gather(LowDoseSettings, changes, settings or LowDoseSettings()), Path(source)
    if len(asked.doses) * len(asked.cutoffs) > 1:
        raise CtgridError("several doses or kernels make a set: call lower_doses")
    [dose], [cutoff] = asked.doses, asked.cutoffs
    path = beside(source, f"_dose{dose:g}") if out is None else Path(out)
    kind = output_kind(path)
    check_apart(path, [source], replaces=True)
    check_writable(path, asked.overwrite)
    record = RunRecord("simulate low-dose", record_beside(path), list(argv), asked.seed)
    record.settings = asked.as_dict()
    with recorded(record, path, owns=[path] if kind == "dicom" else [], replaces=True):
        progress("reading", 0, 1)
        with record.timed("read"):
            table = MetadataTable.read_all(asked.reading.metadata)
            volume = Volume.read(source, hu=asked.reading.hu, metadata=table, series=asked.reading.series)
            record.add_input(source, record=dict(volume.record))
        with record.timed("simulate"):
            result = lowered(volume, asked, dose, cutoff, asked.seed, progress)
        progress("writing", 0, 1)
        with record.timed("write"):
            write_lowered(result, path, source, asked.overwrite)
            record.add_output(path, shape=result.shape, spacing_mm=result.spacing_mm)
        record.decisions = {"hu": volume.record.get("hu"), "low_dose": result.record["low_dose"]}
    return record


def lowered(
    volume: Volume, asked: LowDoseSettings, dose: float, cutoff: float | None, seed: int, progress: Progress
) -> Volume:
    """Return a scan at one of the doses that are asked for; see :func:`ctgrid.data.simulate.dose.low_dose`."""
    return low_dose(
        volume,
        dose,
        seed,
        geometry=asked.geometry,
        photons=asked.photons,
        electronic_noise=asked.electronic_noise,
        cutoff_per_mm=cutoff,
        mode=asked.mode,
        progress=progress,
    )


def write_lowered(result: Volume, path: Path, source: Path, overwrite: bool) -> None:
    """Write a scan with the header, or in the study, of what it was made from, where the format is the same."""
    template = source if output_kind(path) == result.record["format"] else None
    result.write(path, overwrite=overwrite, dtype=fitting_dtype(result, "keep", str(path)), template=template)
