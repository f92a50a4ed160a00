"""What was decided about a scan on weak evidence, in sentences to be said aloud and kept in its record.

The sentences name no folder: a store's record tells by nothing where it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.scan.geometry import spacing_mm
from ctgrid.scan.hu.metadata import volume_key

if TYPE_CHECKING:
    from ctgrid.scan.formats.stored import StoredScan
    from ctgrid.scan.hu.metadata import MetadataTable

SMALLEST_MM, LARGEST_MM = 50.0, 3000.0
"""Between these lies the longest side of any scan of a chest; with another unit for mm it leaves them."""


def doubts(
    scan: StoredScan,
    path: Path,
    affine: np.ndarray,
    hu: Mapping[str, Any],
    spacing: Mapping[str, Any] | None = None,
    metadata: MetadataTable | None = None,
) -> list[str]:
    """List what somebody should look at before the scan is used.

    Args:
        scan: What the format reader handed over; its own ``warnings`` come first.
        path: Where it was read.
        affine: (4, 4) voxel (x, y, z) to RAS+ mm, as used.
        hu: How HU were found, see :func:`ctgrid.scan.hu.decide.choose_reading`; empty where they were not.
        spacing: What :func:`ctgrid.scan.hu.spacing.audit_scan` found different.
        metadata: The collection's table.
    """
    found = [*scan.details.get("warnings", []), *_of_size(scan, affine)]
    if metadata is not None and scan.format != "dicom":
        found += _of_row(path, metadata)
    if spacing is not None:
        found.append(_of_spacing(spacing))
    if hu and not hu["confirmed"]:
        found.append(_of_hu(hu))
    return found


def _of_size(scan: StoredScan, affine: np.ndarray) -> list[str]:
    sides = [n * mm for n, mm in zip(reversed(scan.values.shape), reversed(spacing_mm(affine)), strict=True)]
    if SMALLEST_MM <= max(sides) <= LARGEST_MM:
        return []
    size = " x ".join(f"{side:.3g}" for side in sides)
    return [f"is {size} mm in size, which no chest is; is its spacing in mm?"]


def _of_row(path: Path, metadata: MetadataTable) -> list[str]:
    row, file = metadata.row(path), Path(metadata.file).name
    if row is None:
        return [f"{file} has no row for it"]
    if row.name != volume_key(path):
        return [f"{file} calls it {row.name}, in other case; its row was used"]
    return []


def _of_spacing(spacing: Mapping[str, Any]) -> str:
    header, stated = (" x ".join(f"{mm:.4g}" for mm in reversed(spacing[key])) for key in ("header_mm", "metadata_mm"))
    file = Path(spacing["file"]).name
    if spacing["used"] == "metadata":
        return f"its header says nothing of the spacing; {file} says {stated} mm, which was used"
    return f"its header says {header} mm, {file} {stated} mm; the header holds"


def _of_hu(hu: Mapping[str, Any]) -> str:
    low, high = hu["evidence"]["range_hu"]
    what = f"nothing confirms that its values are HU (from {low:g} to {high:g})"
    if "looks_stored" in hu:
        return f"{what}: they look as stored, with an intercept of {hu['looks_stored']:g} to come; give its table"
    return f"{what}: no air and soft tissue where a CT has them"
