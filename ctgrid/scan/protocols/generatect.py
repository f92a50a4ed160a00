"""Protocol `generatect`: GenerateCT's preprocessing for CT-RATE, step by step, and its inverse.

Steps (in this order): refuse fewer than 100 or more than 600 slices; HU = slope * stored + intercept; clip to
[-1000, 1000] and divide by 1000; reverse the slices of scanners named `PNMS`; resize each slice as stored
(rows are the file's first axis, no transpose) by PIL's antialiased bilinear filter on floats; resize linearly
along z to 201 slices. Nothing is done about orientation or spacing: the record keeps both for the way back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.open import read_stored
from ctgrid.scan.geometry import axis_codes, opposite
from ctgrid.scan.hu.decide import choose_reading, require_air
from ctgrid.scan.hu.doubts import doubts
from ctgrid.scan.hu.readings import Reading, applied_map, apply_plane, hu_dtype
from ctgrid.scan.hu.sidecar import stated_manufacturer, stated_rows
from ctgrid.scan.hu.spacing import audit_scan
from ctgrid.scan.protocols.resample import denormalise, normalise, stream_z, unit_of
from ctgrid.scan.protocols.result import OutsideProtocol, ProtocolResult, both_sizes, check_sizes

if TYPE_CHECKING:
    from ctgrid.scan.formats.stored import StoredScan
    from ctgrid.scan.hu.metadata import MetadataTable
    from ctgrid.scan.volume import Volume

SLICES = 201
FEWEST_SLICES, MOST_SLICES = 100, 600
REVERSED_MANUFACTURER = "PNMS"
CT_RATE_ORIENTATION = "PLS"
"""Axis codes (columns, rows, slices) of the slices that the protocol makes of files in DICOM's own order, LPS, as
CT-RATE's are: rows run to the patient's left, columns to the back."""


@dataclass(frozen=True)
class GenerateCTRecord:
    """Every parameter of the map from a file to its protocol tensor.

    Attributes:
        affine: (4, 4) of the file, voxel (x, y, z) to RAS+ mm.
        shape: (z, y, x) of the file.
        size: Rows and columns of the tensor; ``dataclasses.replace(record, size=...)`` is the record of the
            same tensor at another size.
        reversed_z: Whether the slice order was reversed.
        hu: How HU were found; `exact_slope` and `exact_intercept` where the protocol's truncation to integers
            changed them, `whole_slope` and `whole_intercept` where it would have.
        dtype: dtype of the HU.
        source: The file.
        provenance: What else is known: format, spacing audit, manufacturer.
    """

    protocol: ClassVar[str] = "generatect"

    affine: np.ndarray
    shape: tuple[int, int, int]
    size: int
    reversed_z: bool
    hu: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "int16"
    source: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing (slices, rows, columns) of the tensor in mm; its rows follow the file's first axis."""
        x, y, z = (float(s) for s in np.linalg.norm(self.affine[:3, :3], axis=0))
        n, height, width = self.shape
        return z * n / SLICES, x * width / self.size, y * height / self.size

    def to_json(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {
            "protocol": self.protocol,
            **{name: getattr(self, name) for name in ("size", "reversed_z", "dtype", "source")},
            "affine": np.asarray(self.affine).tolist(),
            "shape": list(self.shape),
            "hu": dict(self.hu),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GenerateCTRecord:
        """Undo :meth:`to_json`.

        Args:
            data: Its result, perhaps after a trip through JSON text.
        """
        kept = {key: value for key, value in data.items() if key != "protocol"}
        kept |= {"affine": np.array(data["affine"], dtype=np.float64), "shape": tuple(data["shape"])}
        return cls(**kept)


def why_outside(path: Path, slices: int) -> str | None:
    """Say why the protocol leaves a scan of so many slices out; None where it takes it."""
    if FEWEST_SLICES <= slices <= MOST_SLICES:
        return None
    return (
        f"{path} has {slices} slices; "
        f"protocol generatect takes {FEWEST_SLICES} to {MOST_SLICES} and leaves other volumes out"
    )


def slice_orientation(record: Mapping[str, Any]) -> str:
    """Return the axis codes (columns, rows, slices) of a protocol tensor: the file's own, as far as its affine is true.

    Rows follow the file's first axis and columns its second; slices its third, backwards where they were reversed.

    Args:
        record: :meth:`GenerateCTRecord.to_json`.
    """
    codes = axis_codes(np.asarray(record["affine"], dtype=np.float64))
    return codes[1] + codes[0] + (opposite(codes[2]) if record["reversed_z"] else codes[2])


def generatect(
    path: str | os.PathLike[str], size: int, parity: bool = True, metadata: MetadataTable | None = None
) -> np.ndarray:
    """Turn a scan into the tensor that GenerateCT's loader makes of it.

    Args:
        path: A scan; ``NAME_metadata.json`` beside ``NAME.nii.gz`` gives slope, intercept and manufacturer.
        size: Rows and columns wanted.
        parity: Truncate slope and intercept to integers, as GenerateCT does; false uses the real numbers.
        metadata: The collection's table, used like the JSON.

    Returns:
        (201, size, size) float32 in [-1, 1]; rows follow the file's first axis, columns its second.

    Raises:
        CtgridError: The file cannot be read, or the protocol leaves it out (100 to 600 slices).
    """
    return generatect_with_record(path, size, parity, metadata)[0]


def generatect_with_record(
    path: str | os.PathLike[str], size: int, parity: bool = True, metadata: MetadataTable | None = None
) -> tuple[np.ndarray, GenerateCTRecord]:
    """As :func:`generatect`, with the record that :func:`invert` needs.

    Where evidence cannot tell, the sidecar is trusted, as GenerateCT does; :func:`generatect_pass` refuses.

    Args:
        path: A scan.
        size: Rows and columns wanted.
        parity: Truncate slope and intercept to integers.
        metadata: The collection's table, used like the JSON.

    Raises:
        CtgridError: As :func:`generatect`.
    """
    settled = _settle(Path(path), None, size, parity, metadata, "auto", trust_sidecar=True)
    out = np.empty((SLICES, size, size), dtype=np.float32)
    for target, plane in zip(out, _planes(settled), strict=True):
        target[...] = plane
    return out, settled.record


def generatect_pass(
    path: str | os.PathLike[str],
    size: int = 512,
    k: int = 4,
    parity: bool = False,
    metadata: MetadataTable | None = None,
    hu: str = "auto",
    scan: StoredScan | None = None,
) -> ProtocolResult[GenerateCTRecord]:
    """Turn a scan into fine and coarse slices in one pass, a few slices in float at a time.

    Args:
        path: A scan.
        size: Rows and columns of the fine slices.
        k: Factor by which the coarse slices are smaller; ``size`` is a multiple of it.
        parity: Truncate slope and intercept to integers; the record says where that makes a difference.
        metadata: The collection's table, used like the JSON beside the scan.
        hu: How stored values become HU, see :data:`ctgrid.scan.hu.modes.HuMode`.
        scan: What ``path`` holds, where it was read already.

    Returns:
        201 slices of both sizes, int16 HU, and the record that :func:`invert` needs.

    Raises:
        OutsideProtocol: Fewer than 100 or more than 600 slices.
        CtgridError: The file cannot be read, its HU cannot be told, or it has no air near -1000 HU.
    """
    check_sizes(size, k)
    settled = _settle(Path(path), scan, size, parity, metadata, hu)
    fine, coarse = both_sizes(_planes(settled), SLICES, size, k)
    return ProtocolResult(fine, coarse, settled.record)


def invert(array: np.ndarray, record: GenerateCTRecord) -> Volume:
    """Put a protocol tensor back onto the file's own grid, in HU, with its affine.

    Args:
        array: (201, size, size): floating in [-1, 1], or integers in HU.
        record: What :func:`generatect_with_record` or :func:`generatect_pass` returned with it.

    Raises:
        CtgridError: The array's shape is not the record's.
    """
    from ctgrid.scan.volume import Volume, cast_hu

    expected = (SLICES, record.size, record.size)
    if array.shape != expected:
        raise CtgridError(f"protocol tensor has shape {array.shape}, its record says {expected}")
    n, height, width = record.shape
    hu = np.empty(record.shape, dtype=record.dtype)
    order = range(n - 1, -1, -1) if record.reversed_z else range(n)
    planes = stream_z(lambda i: unit_of(array[i]), SLICES, n)
    for i, plane in zip(order, planes, strict=True):
        hu[i] = cast_hu(denormalise(_resize(plane.T, height, width)), record.dtype)
    provenance = {"source": record.source, **record.provenance, "protocol": "generatect", "hu": dict(record.hu)}
    return Volume(hu, record.affine, provenance)


@dataclass(frozen=True)
class _Settled:
    """What is to be done, decided before any slice is touched.

    Attributes:
        values: (z, y, x) as handed over by the format reader.
        reading: The map for these values.
        record: All parameters.
    """

    values: np.ndarray
    reading: Reading
    record: GenerateCTRecord


def _settle(
    path: Path,
    scan: StoredScan | None,
    size: int,
    parity: bool,
    metadata: MetadataTable | None,
    mode: str,
    trust_sidecar: bool = False,
) -> _Settled:
    """Read, refuse what the protocol leaves out, and settle HU, slice order and geometry."""
    if size < 1:
        raise CtgridError(f"size must be at least 1, got {size}")
    scan = scan or read_stored(path)
    n = len(scan.values)
    outside = why_outside(path, n)
    if outside is not None:
        raise OutsideProtocol(outside)
    reading, hu = choose_reading(scan, path, mode, metadata, trust_sidecar)
    if mode == "auto" and not trust_sidecar:
        require_air(hu, path)
    reading, truncation = _truncated(reading, parity)
    rows = [] if scan.format == "dicom" else stated_rows(path, metadata)
    affine, spacing = audit_scan(scan, path, metadata)
    manufacturer = stated_manufacturer(rows) or scan.details.get("manufacturer")
    told = doubts(scan, path, affine, hu, spacing, metadata)
    known = {"format": scan.format, "manufacturer": manufacturer, "spacing": spacing}
    reading = reading.after(applied_map(scan))
    record = GenerateCTRecord(
        affine=affine,
        shape=scan.values.shape,
        size=size,
        reversed_z=manufacturer == REVERSED_MANUFACTURER,
        hu={**hu, **truncation},
        dtype=str(hu_dtype(scan.values, reading)),
        source=str(path),
        provenance={key: value for key, value in known.items() if value is not None}
        | scan.details
        | ({"warnings": told} if told else {}),
    )
    return _Settled(scan.values, reading, record)


def _truncated(reading: Reading, parity: bool) -> tuple[Reading, dict[str, float]]:
    """Truncate a sidecar's numbers as the protocol does, and say where that makes a difference."""
    whole = replace(reading, slope=float(int(reading.slope)), intercept=float(int(reading.intercept)))
    if reading.source != "sidecar" or whole == reading:
        return reading, {}
    if not parity:
        return reading, {"whole_slope": whole.slope, "whole_intercept": whole.intercept}
    return whole, {
        "slope": whole.slope,
        "intercept": whole.intercept,
        "exact_slope": reading.slope,
        "exact_intercept": reading.intercept,
    }


def _planes(settled: _Settled) -> Iterator[np.ndarray]:
    """Yield the tensor slice by slice: two resized slices in memory, not all of them.

    Yields:
        (size, size) float32 in [-1, 1]; valid until the next one is asked for.
    """
    n, size = len(settled.values), settled.record.size
    dtype = np.dtype(settled.record.dtype)

    def resized(index: int) -> np.ndarray:
        hu = apply_plane(settled.values[n - 1 - index if settled.record.reversed_z else index], settled.reading, dtype)
        if dtype.kind == "f" and not np.isfinite(hu).all():
            raise CtgridError(f"{settled.record.source} holds NaN or infinite voxels; replace them first")
        return _resize(normalise(hu), size, size)

    for plane in stream_z(resized, n, SLICES):
        yield plane.T


def _resize(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize one float32 slice (h, w) by PIL's bilinear filter, which is antialiased where it shrinks."""
    from PIL import Image

    if plane.shape == (height, width):
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))
