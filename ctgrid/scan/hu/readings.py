"""The candidate maps from stored values to HU, and applying one of them, once.

A *reading* is a linear map from the values as truly stored. What a format reader hands over may have passed
through the file's own map already (DICOM); then that map is divided out, so that exactly one map is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.scan.hu.sidecar import stated_rows

if TYPE_CHECKING:
    from ctgrid.scan.formats.stored import StoredScan
    from ctgrid.scan.hu.metadata import MetadataTable

SAME_HU = 0.5
"""Readings that agree this well for every voxel are one."""


@dataclass(frozen=True)
class Reading:
    """One candidate: HU = slope * stored + intercept.

    Attributes:
        source: "stored", "header" or "sidecar".
        slope: HU per stored unit.
        intercept: HU at stored value 0.
        file: The JSON or CSV that says so.
    """

    source: str
    slope: float
    intercept: float
    file: str | None = None

    @property
    def identity(self) -> bool:
        """Whether stored values are taken for HU."""
        return (self.slope, self.intercept) == (1.0, 0.0)

    def record(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        record: dict[str, Any] = {"source": self.source, "slope": self.slope, "intercept": self.intercept}
        return record if self.file is None else {**record, "file": self.file}

    def __str__(self) -> str:
        where = f" of {self.file}" if self.file else ""
        return f"{self.source} (slope {self.slope:g}, intercept {self.intercept:g}){where}"

    def after(self, applied: tuple[float, float] | None) -> Reading:
        """Return the map for values that have passed through another map already.

        Args:
            applied: Slope and intercept that were applied; None for values as stored.
        """
        if applied is None:
            return self
        slope = self.slope / applied[0]
        return Reading(self.source, slope, self.intercept - slope * applied[1], self.file)


STORED = Reading("stored", 1.0, 0.0)


def applied_map(scan: StoredScan) -> tuple[float, float] | None:
    """Return the map that the format reader has applied to the values, if any.

    Args:
        scan: What the format reader handed over.
    """
    return scan.applied


def header_reading(scan: StoredScan) -> Reading:
    """Return what the file's own header says: scl_slope and scl_inter, or the DICOM rescale tags.

    Args:
        scan: What the format reader handed over.
    """
    slope, intercept = applied_map(scan) or (scan.slope, scan.intercept)
    return Reading("header", float(slope), float(intercept))


def sidecar_readings(scan: StoredScan, path: Path, metadata: MetadataTable | None = None) -> list[Reading]:
    """List what the JSON beside a scan and its row in a metadata table say.

    Args:
        scan: What the format reader handed over.
        path: Where the scan was read.
        metadata: The collection's table.

    Raises:
        CtgridError: The JSON or the row is broken.
    """
    rows = [] if scan.format == "dicom" else stated_rows(path, metadata)
    return [Reading("sidecar", *row.rescale(), row.file) for row in rows]


def distinct(readings: list[Reading], scan: StoredScan) -> list[Reading]:
    """Drop readings that agree with an earlier one to half a HU over the range of the values.

    Args:
        readings: Candidates, the preferred first.
        scan: What the format reader handed over.
    """
    if len(readings) < 2:
        return readings
    ends = np.array([np.fmin.reduce(scan.values, None), np.fmax.reduce(scan.values, None)], dtype=np.float64)
    kept: list[Reading] = []
    with np.errstate(invalid="ignore"):
        for reading in readings:
            maps = [(r.after(applied_map(scan)), reading.after(applied_map(scan))) for r in kept]
            apart = [np.abs(ends * (a.slope - b.slope) + (a.intercept - b.intercept)).max() for a, b in maps]
            if not any(distance <= SAME_HU or not np.isfinite(distance) for distance in apart):
                kept.append(reading)
    return kept


def hu_dtype(values: np.ndarray, reading: Reading) -> np.dtype[Any]:
    """Return int16 where the reading gives whole numbers within its range, else float32.

    Args:
        values: Values as handed over.
        reading: The map for these values.
    """
    exact = values.dtype.kind in "iu" and reading.slope.is_integer() and reading.intercept.is_integer()
    if exact:
        slope, intercept = int(reading.slope), int(reading.intercept)
        ends = [int(v) * slope + intercept for v in (values.min(), values.max())]
        exact = min(ends) >= -32768 and max(ends) <= 32767
    return np.dtype(np.int16 if exact else np.float32)


def apply_plane(plane: np.ndarray, reading: Reading, dtype: np.dtype[Any]) -> np.ndarray:
    """Map part of a scan to HU.

    Args:
        plane: Values as handed over, any shape.
        reading: The map for these values.
        dtype: What :func:`hu_dtype` says of the whole scan.
    """
    if reading.identity:
        return plane.astype(dtype, copy=False)
    if dtype == np.int16:
        wide = plane.astype(np.int32 if plane.dtype.itemsize < 4 and abs(reading.slope) < 2**14 else np.int64)
        return (wide * int(reading.slope) + int(reading.intercept)).astype(dtype)
    plane = plane.astype(np.float32) if plane.dtype == np.float16 else plane
    return (plane * reading.slope + reading.intercept).astype(dtype)


def apply_reading(values: np.ndarray, reading: Reading) -> np.ndarray:
    """Map values to HU: int16 where that is exact, else float32.

    Args:
        values: (z, y, x) as handed over.
        reading: The map for these values.
    """
    dtype = hu_dtype(values, reading)
    if reading.identity:
        return values.astype(dtype, copy=False)
    out = np.empty(values.shape, dtype)
    for target, source in zip(out, values, strict=True):  # slice by slice: no wide copy of the whole
        target[...] = apply_plane(source, reading, dtype)
    return out
