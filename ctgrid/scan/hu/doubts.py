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
from ctgrid.scan.hu.readings import Reading

if TYPE_CHECKING:
    from ctgrid.scan.formats.stored import StoredScan
    from ctgrid.scan.hu.metadata import MetadataTable

SMALLEST_MM, LARGEST_MM = 50.0, 3000.0
"""Between these lies the longest side of any scan of a chest; with another unit for mm it leaves them."""

HIGHEST_HU, LEAST_PADDING = 3100.0, 0.005
"""Scanners of 12 bits end at 3071 HU, and metal that reaches the end of a wider scale is a smaller share of a scan."""


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
    if hu:
        found += _of_top(scan, hu)
    if hu and not hu["confirmed"]:
        found.append(_of_hu(hu))
    return found


def _of_size(scan: StoredScan, affine: np.ndarray) -> list[str]:
    sides = [n * mm for n, mm in zip(reversed(scan.values.shape), reversed(spacing_mm(affine)), strict=True)]
    if SMALLEST_MM <= max(sides) <= LARGEST_MM:
        return []
    size = " x ".join(f"{side:.3g}" for side in sides)
    return [f"is {size} mm in size, which no chest is; is its spacing in mm?"]


def _of_top(scan: StoredScan, hu: Mapping[str, Any]) -> list[str]:
    """Doubt a value above all tissue that many voxels share: padding of which no header tells."""
    reading = Reading(hu["source"], hu["slope"], hu["intercept"]).after(scan.applied)
    top = (np.fmax if reading.slope > 0 else np.fmin).reduce(scan.values, None)
    top_hu = float(top) * reading.slope + reading.intercept
    if not top_hu > HIGHEST_HU or (share := float(np.mean(scan.values == top))) < LEAST_PADDING:
        return []
    return [f"{100 * share:.2g} % of its voxels hold {top_hu:g} HU, which no tissue has: undeclared padding?"]


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
