"""Preprocessing for scans of any origin, with its inverse: upright, square, in [-1, 1].

The canonical form of a scan is an array (n, size, size) in LPS display orientation: z ascends to the head,
rows go down to the patient's back, columns go right to the patient's left. The record keeps every
parameter, so that a result goes back onto the patient's own grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.geometry import reorient
from ctgrid.preprocess.resample import denormalise, normalise, resample_z, resize_plane
from ctgrid.volume import Volume, cast_hu

AIR = -1.0  # -1000 HU
DISPLAY = "LPS"
_EQUAL_SPACING = 0.01
_BATCH = 8  # slices in float at a time


@dataclass(frozen=True)
class CanonicalRecord:
    """How a canonical array came to be.

    Attributes:
        affine: (4, 4) of the scan turned to LPS, voxel (x, y, z) to RAS+ mm.
        orientation: Axis codes of the scan as it was.
        shape: (z, y, x) of the scan turned to LPS.
        square: (rows, columns) after padding, before resizing.
        pad: (rows above, columns before) of air.
        size: Rows and columns of the canonical slices.
        slices: Number of canonical slices.
        dtype: dtype of the scan's HU.
        provenance: The scan's own record.
    """

    affine: np.ndarray
    orientation: str
    shape: tuple[int, int, int]
    square: tuple[int, int]
    pad: tuple[int, int]
    size: int
    slices: int
    dtype: str
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing (z, y, x) of the canonical slices in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        rows, columns = self.square
        return (
            float(z * self.shape[0] / self.slices),
            float(y * rows / self.size),
            float(x * columns / self.size),
        )


def to_canonical(volume: Volume, size: int = 512, slices: int | None = None) -> tuple[np.ndarray, CanonicalRecord]:
    """Bring a scan into the canonical form.

    In-plane: padded with air to a square (in mm, so that a body keeps its proportions where pixels are not
    square), then resized, antialiased where it shrinks. Along z: linear to ``slices``, or untouched.

    Args:
        volume: The scan, in any orientation; an oblique one keeps its own grid, turned by the nearest axes.
        size: Rows and columns wanted.
        slices: Slices wanted; None keeps the scan's own.

    Returns:
        The array (n, size, size), float32 in [-1, 1], and the record that :func:`from_canonical` needs.

    Raises:
        CtgridError: ``size`` or ``slices`` is below 1.
    """
    if size < 1 or (slices is not None and slices < 1):
        raise CtgridError(f"size {size} and slices {slices} must be at least 1")
    hu, affine = reorient(volume.hu, volume.affine, DISPLAY)
    n, height, width = hu.shape
    rows, columns = _square(height, width, affine)
    top, left = (rows - height) // 2, (columns - width) // 2
    array = np.empty((n, size, size), dtype=np.float32)
    for start in range(0, n, _BATCH):
        part = hu[start : start + _BATCH]
        padded = np.full((len(part), rows, columns), AIR, dtype=np.float32)
        padded[:, top : top + height, left : left + width] = normalise(part)
        array[start : start + _BATCH] = np.clip(resize_plane(padded, size, size), -1.0, 1.0)
    array = resample_z(array, slices or n)
    record = CanonicalRecord(
        affine=affine,
        orientation=volume.orientation,
        shape=(n, height, width),
        square=(rows, columns),
        pad=(top, left),
        size=size,
        slices=len(array),
        dtype=str(volume.hu.dtype),
        provenance=volume.record,
    )
    return array, record


def from_canonical(array: np.ndarray, record: CanonicalRecord) -> Volume:
    """Put a canonical array back onto the patient's own grid; exact where nothing was resampled or clipped.

    Args:
        array: (n, size, size) in [-1, 1], as the record describes it.
        record: What :func:`to_canonical` returned.

    Raises:
        CtgridError: The array's shape is not the record's.
    """
    expected = (record.slices, record.size, record.size)
    if array.shape != expected:
        raise CtgridError(f"canonical array has shape {array.shape}, its record says {expected}")
    n, height, width = record.shape
    top, left = record.pad
    array = resample_z(np.asarray(array, dtype=np.float32), n)
    hu = np.empty(record.shape, dtype=record.dtype)
    for start in range(0, n, _BATCH):
        part = resize_plane(array[start : start + _BATCH], *record.square)
        part = part[:, top : top + height, left : left + width]
        hu[start : start + _BATCH] = cast_hu(denormalise(part), record.dtype)
    hu, affine = reorient(hu, record.affine, record.orientation)
    return Volume(np.ascontiguousarray(hu), affine, dict(record.provenance))


def _square(height: int, width: int, affine: np.ndarray) -> tuple[int, int]:
    """Return (rows, columns) of the smallest square, in mm, that holds a slice."""
    x, y = np.linalg.norm(affine[:3, :2], axis=0)
    if abs(x / y - 1.0) < _EQUAL_SPACING:
        return max(height, width), max(height, width)
    side = max(height * y, width * x)
    return max(height, round(side / y)), max(width, round(side / x))
