"""Protocol `generatect`: GenerateCT's preprocessing for CT-RATE, step by step, and its inverse.

Steps (in this order): refuse fewer than 100 or more than 600 slices; HU = slope * stored + intercept; clip to
[-1000, 1000] and divide by 1000; reverse the slices of scanners named `PNMS`; resize each slice as stored
(rows are the file's first axis, no transpose) by PIL's antialiased bilinear filter on floats; resize linearly
along z to 201 slices. Nothing is done about orientation or spacing: the record keeps both for the way back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.formats import read_stored
from ctgrid.preprocess.hu import Reading, apply_reading, decisive, evidence_sample, readings_of
from ctgrid.preprocess.resample import denormalise, linear_taps, normalise, resample_z
from ctgrid.preprocess.sidecar import read_sidecar

if TYPE_CHECKING:
    from ctgrid.formats import StoredScan
    from ctgrid.volume import Volume

SLICES = 201
FEWEST_SLICES, MOST_SLICES = 100, 600
REVERSED_MANUFACTURER = "PNMS"


@dataclass(frozen=True)
class GenerateCTRecord:
    """Every parameter of the map from a file to its protocol tensor.

    Attributes:
        affine: (4, 4) of the file, voxel (x, y, z) to RAS+ mm.
        shape: (z, y, x) of the file.
        size: Rows and columns of the tensor.
        reversed_z: Whether the slice order was reversed.
        hu: Source, slope and intercept of the HU; `exact_slope` and `exact_intercept` where the protocol's
            truncation to integers changed them.
        dtype: dtype of the HU.
        source: The file.
    """

    affine: np.ndarray
    shape: tuple[int, int, int]
    size: int
    reversed_z: bool
    hu: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "int16"
    source: str = ""


def generatect(path: str | os.PathLike[str], size: int, parity: bool = True) -> np.ndarray:
    """Turn a scan into the tensor that GenerateCT's loader makes of it.

    Args:
        path: A scan; ``NAME_metadata.json`` beside ``NAME.nii.gz`` gives slope, intercept and manufacturer.
        size: Rows and columns wanted.
        parity: Truncate slope and intercept to integers, as GenerateCT does; false uses the real numbers.

    Returns:
        (201, size, size) float32 in [-1, 1]; rows follow the file's first axis, columns its second.

    Raises:
        CtgridError: The file cannot be read, or the protocol leaves it out (100 to 600 slices).
    """
    return generatect_with_record(path, size, parity)[0]


def generatect_with_record(
    path: str | os.PathLike[str], size: int, parity: bool = True
) -> tuple[np.ndarray, GenerateCTRecord]:
    """As :func:`generatect`, with the record that :func:`invert` needs.

    Args:
        path: A scan.
        size: Rows and columns wanted.
        parity: Truncate slope and intercept to integers.

    Raises:
        CtgridError: As :func:`generatect`.
    """
    path = Path(path)
    if size < 1:
        raise CtgridError(f"size must be at least 1, got {size}")
    scan = read_stored(path)
    n = len(scan.values)
    if not FEWEST_SLICES <= n <= MOST_SLICES:
        raise CtgridError(
            f"{path} has {n} slices; "
            f"protocol generatect takes {FEWEST_SLICES} to {MOST_SLICES} and leaves other volumes out"
        )
    reading, exact = _protocol_reading(scan, path, parity)
    hu = apply_reading(scan.values, reading)
    if hu.dtype.kind == "f" and not all(np.isfinite(s).all() for s in hu):
        raise CtgridError(f"{path} holds NaN or infinite voxels; replace them first")
    sidecar = read_sidecar(path) or {}
    record = GenerateCTRecord(
        affine=scan.affine,
        shape=hu.shape,
        size=size,
        reversed_z=sidecar.get("Manufacturer") == REVERSED_MANUFACTURER,
        hu={**reading.record(), **exact},
        dtype=str(hu.dtype),
        source=str(path),
    )
    return _tensor(hu, record), record


def invert(array: np.ndarray, record: GenerateCTRecord) -> Volume:
    """Put a protocol tensor back onto the file's own grid, in HU, with its affine.

    Args:
        array: (201, size, size) in [-1, 1].
        record: What :func:`generatect_with_record` returned with it.

    Raises:
        CtgridError: The array's shape is not the record's.
    """
    from ctgrid.volume import Volume, cast_hu

    expected = (SLICES, record.size, record.size)
    if array.shape != expected:
        raise CtgridError(f"protocol tensor has shape {array.shape}, its record says {expected}")
    n, height, width = record.shape
    small = resample_z(np.asarray(array, dtype=np.float32), n)
    hu = np.empty(record.shape, dtype=record.dtype)
    for i in range(n):
        plane = _resize(small[n - 1 - i if record.reversed_z else i].T, height, width)
        hu[i] = cast_hu(denormalise(plane), record.dtype)
    provenance = {"source": record.source, "protocol": "generatect", "hu": dict(record.hu)}
    return Volume(hu, record.affine, provenance)


def _protocol_reading(scan: StoredScan, path: Path, parity: bool) -> tuple[Reading, dict[str, float]]:
    """Trust the sidecar unless the values are HU already beyond doubt; then truncate as the protocol does."""
    readings = readings_of(scan, path)
    reading = readings[-1]
    if len(readings) > 1:
        reading = decisive(evidence_sample(scan.values), readings) or reading
    if not parity or reading.source != "sidecar":
        return reading, {}
    whole = Reading(reading.source, float(int(reading.slope)), float(int(reading.intercept)))
    if whole == reading:
        return reading, {}
    return whole, {"exact_slope": reading.slope, "exact_intercept": reading.intercept}


def _tensor(hu: np.ndarray, record: GenerateCTRecord) -> np.ndarray:
    """Resize slice by slice and blend neighbours at once: two resized slices in memory, not all of them.

    Args:
        hu: (z, y, x) in HU.
        record: Size and slice order.
    """
    n, size = len(hu), record.size
    ready: dict[int, np.ndarray] = {}

    def plane(index: int) -> np.ndarray:
        if index not in ready:
            stored = normalise(hu[n - 1 - index if record.reversed_z else index])
            ready[index] = _resize(stored, size, size).T
        return ready[index]

    out = np.empty((SLICES, size, size), dtype=np.float32)
    for i, (low, high, weight) in enumerate(zip(*linear_taps(n, SLICES), strict=True)):
        for old in [k for k in ready if k < low]:
            del ready[old]
        np.multiply(plane(low), 1.0 - weight, out=out[i])
        if weight:
            out[i] += weight * plane(high)
    return out


def _resize(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize one float32 slice (h, w) by PIL's bilinear filter, which is antialiased where it shrinks."""
    from PIL import Image

    if plane.shape == (height, width):
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
