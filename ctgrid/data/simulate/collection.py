"""Phantoms as CT-RATE's raw files: its names, stored values instead of HU, and the table that turns them into HU."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ctgrid.base.files import atomic_output
from ctgrid.scan.formats.nifti.read import write_nifti
from ctgrid.scan.volume import Volume

Part = Literal["train", "valid"]

INTERCEPT_HU = -1024
"""What most of CT-RATE's scans add to their stored values; the slope is 1."""

COLUMNS = ("VolumeName", "Manufacturer", "RescaleIntercept", "RescaleSlope", "XYSpacing", "ZSpacing")
"""Of CT-RATE's table, those that ctgrid reads."""


def collection_names(part: Part, count: int) -> list[str]:
    """Return file names as CT-RATE's: the first reconstruction of the first scan of so many patients."""
    return [f"{part}_{i + 1}_a_1.nii.gz" for i in range(count)]


def table_name(part: Part) -> str:
    """Return the name of a part's table."""
    return f"{part}_metadata.csv"


def write_stored(path: Path, volume: Volume) -> None:
    """Write the values that CT-RATE would store (HU = value + :data:`INTERCEPT_HU`), in a header that says nothing.

    Args:
        path: a ``.nii.gz`` file, replaced where it is there.
        volume: in HU.
    """
    with atomic_output(path, overwrite=True) as temporary:
        write_nifti(temporary, (volume.hu - INTERCEPT_HU).astype(np.int16), volume.affine, marked=False)


def write_table(path: Path, names: Sequence[str], spacing_mm: tuple[float, float, float]) -> None:
    """Write the table of phantoms on one grid.

    Args:
        path: the CSV, replaced where it is there.
        names: of the files.
        spacing_mm: (z, y, x).
    """
    z, y, x = (round(mm, 6) for mm in spacing_mm)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((name, "ctgrid", INTERCEPT_HU, 1, f"[{x}, {y}]", z) for name in names)
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
