"""Protocol `canonical`, for scans of any origin, with its inverse: upright, square, in [-1, 1].

The canonical form of a scan is an array (n, size, size) in LPS display orientation: z ascends to the head,
rows go down to the patient's back, columns go right to the patient's left. In-plane it is the whole scan,
padded with air to a square, or a square field of view about the body's middle; along z the scan's own slices,
or a given number or spacing over its extent. The record keeps every parameter, so that a result goes back
onto the patient's own grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.geometry import reorient, spacing_mm
from ctgrid.scan.protocols.body import body_centre
from ctgrid.scan.protocols.resample import denormalise, normalise, resize_plane, stream_z, unit_of
from ctgrid.scan.protocols.result import ProtocolResult, both_sizes, check_sizes
from ctgrid.scan.volume import Volume, cast_hu
from ctgrid.scan.windows import AIR_HU

AIR = -1.0  # -1000 HU
DISPLAY = "LPS"
_EQUAL_SPACING = 0.01


@dataclass(frozen=True)
class CanonicalRecord:
    """How a canonical array came to be.

    Attributes:
        affine: (4, 4) of the scan turned to LPS, voxel (x, y, z) to RAS+ mm.
        orientation: Axis codes of the scan as it was.
        shape: (z, y, x) of the scan turned to LPS.
        square: (rows, columns) of the window that was resized, in pixels of the scan.
        pad: (rows above, columns before) of air in the window; negative where the window crops instead.
        size: Rows and columns of the canonical slices.
        slices: Number of canonical slices.
        dtype: dtype of the scan's HU.
        provenance: The scan's own record.
    """

    protocol: ClassVar[str] = "canonical"

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

    @property
    def hu(self) -> Mapping[str, Any]:
        """How HU were found."""
        return self.provenance.get("hu", {})

    def to_json(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {
            "protocol": self.protocol,
            **{name: getattr(self, name) for name in ("orientation", "size", "slices", "dtype")},
            **{name: list(getattr(self, name)) for name in ("shape", "square", "pad")},
            "affine": np.asarray(self.affine).tolist(),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CanonicalRecord:
        """Undo :meth:`to_json`.

        Args:
            data: Its result, perhaps after a trip through JSON text.
        """
        kept = {key: value for key, value in data.items() if key != "protocol"}
        kept |= {name: tuple(data[name]) for name in ("shape", "square", "pad")}
        return cls(**{**kept, "affine": np.array(data["affine"], dtype=np.float64)})


def to_canonical(
    volume: Volume,
    size: int = 512,
    slices: int | None = None,
    fov_mm: float | None = None,
    slice_mm: float | None = None,
) -> tuple[np.ndarray, CanonicalRecord]:
    """Bring a scan into the canonical form.

    In-plane: padded with air to a square (in mm, so that a body keeps its proportions where pixels are not
    square), or cut to a square field of view, then resized, antialiased where it shrinks. Along z: linear to
    ``slices`` or to about ``slice_mm``, or untouched.

    Args:
        volume: The scan, in any orientation; an oblique one keeps its own grid, turned by the nearest axes.
        size: Rows and columns wanted.
        slices: Slices wanted; None keeps the scan's own.
        fov_mm: Side of the field of view about the body's middle, to whole pixels of the scan; None: all of it.
        slice_mm: Slice spacing wanted, instead of ``slices``; the scan's extent is divided evenly.

    Returns:
        The array (n, size, size), float32 in [-1, 1], and the record that :func:`from_canonical` needs.

    Raises:
        CtgridError: ``size`` or ``slices`` is below 1, a length is not positive, or both ways are given.
    """
    hu, record = _frame(volume, size, slices, fov_mm, slice_mm)
    array = np.empty((record.slices, size, size), dtype=np.float32)
    for target, plane in zip(array, _planes(hu, record), strict=True):
        target[...] = plane
    return array, record


def canonical_pass(
    volume: Volume,
    size: int = 512,
    k: int = 4,
    slices: int | None = 201,
    fov_mm: float | None = None,
    slice_mm: float | None = None,
) -> ProtocolResult[CanonicalRecord]:
    """As :func:`to_canonical`, to int16 HU of two sizes in one pass, a few slices in float at a time.

    Args:
        volume: The scan, in any orientation.
        size: Rows and columns of the fine slices.
        k: Factor by which the coarse slices are smaller; ``size`` is a multiple of it.
        slices: Slices wanted; None keeps the scan's own.
        fov_mm: Side of the field of view about the body's middle; None: all of the scan.
        slice_mm: Slice spacing wanted; then ``slices`` must be None.

    Raises:
        CtgridError: As :func:`to_canonical`, or the sizes do not fit each other.
    """
    check_sizes(size, k)
    hu, record = _frame(volume, size, slices, fov_mm, slice_mm)
    fine, coarse = both_sizes(_planes(hu, record), record.slices, size, k)
    return ProtocolResult(fine, coarse, record)


def from_canonical(
    array: np.ndarray, record: CanonicalRecord, original: Volume | None = None, background_hu: float = AIR_HU
) -> Volume:
    """Put a canonical array back onto the patient's own grid; exact where nothing was resampled or clipped.

    Args:
        array: (n, size, size), as the record describes it: floating in [-1, 1], or integers in HU.
        record: What :func:`to_canonical` or :func:`canonical_pass` returned.
        original: The scan itself, from which voxels outside the field of view are taken.
        background_hu: What they are set to where it is not given.

    Raises:
        CtgridError: The array's or the original's shape is not the record's.
    """
    expected = (record.slices, record.size, record.size)
    if array.shape != expected:
        raise CtgridError(f"canonical array has shape {array.shape}, its record says {expected}")
    if original is None:
        hu = np.empty(record.shape, dtype=record.dtype)
        hu[...] = background_hu
    else:
        turned = reorient(original.hu, original.affine, DISPLAY)[0]
        if turned.shape != record.shape:
            raise CtgridError(f"the original has shape {turned.shape} in {DISPLAY}, the record says {record.shape}")
        hu = turned.astype(record.dtype)
    inner, window = _overlap(record)
    planes = stream_z(lambda i: unit_of(array[i]), record.slices, record.shape[0])
    for target, plane in zip(hu, planes, strict=True):
        target[inner] = cast_hu(denormalise(resize_plane(plane[None], *record.square)[0][window]), record.dtype)
    hu, affine = reorient(hu, record.affine, record.orientation)
    return Volume(np.ascontiguousarray(hu), affine, dict(record.provenance))


def _frame(
    volume: Volume, size: int, slices: int | None, fov_mm: float | None, slice_mm: float | None
) -> tuple[np.ndarray, CanonicalRecord]:
    """Turn the scan to LPS (a view) and settle the window."""
    if size < 1 or (slices is not None and slices < 1):
        raise CtgridError(f"size {size} and slices {slices} must be at least 1")
    for name, length in (("fov_mm", fov_mm), ("slice_mm", slice_mm)):
        if length is not None and not 0 < length < np.inf:
            raise CtgridError(f"{name} must be a positive length in mm, got {length:g}")
    if slices is not None and slice_mm is not None:
        raise CtgridError(f"give slices ({slices}) or slice_mm ({slice_mm:g}), not both")
    hu, affine = reorient(volume.hu, volume.affine, DISPLAY)
    n, height, width = hu.shape
    z, y, x = spacing_mm(affine)
    if slice_mm is not None:
        slices = max(1, round(n * z / slice_mm))
    if fov_mm is None:
        rows, columns = _square(height, width, affine)
        top, left = (rows - height) // 2, (columns - width) // 2
    else:
        rows, columns = max(1, round(fov_mm / y)), max(1, round(fov_mm / x))
        row, column = body_centre(hu, (z, y, x))
        top, left = round(rows / 2 - row - 0.5), round(columns / 2 - column - 0.5)
    record = CanonicalRecord(
        affine=affine,
        orientation=volume.orientation,
        shape=(n, height, width),
        square=(rows, columns),
        pad=(top, left),
        size=size,
        slices=slices or n,
        dtype=str(volume.hu.dtype),
        provenance=volume.record,
    )
    return hu, record


def _planes(hu: np.ndarray, record: CanonicalRecord) -> Iterator[np.ndarray]:
    """Yield the canonical slices one by one.

    Args:
        hu: (z, y, x) in LPS.
        record: Of the form wanted.
    """
    inner, window = _overlap(record)

    def resized(index: int) -> np.ndarray:
        padded = np.full((1, *record.square), AIR, dtype=np.float32)
        padded[0][window] = normalise(hu[index][inner])
        return np.clip(resize_plane(padded, record.size, record.size)[0], -1.0, 1.0)

    return stream_z(resized, len(hu), record.slices)


def _overlap(record: CanonicalRecord) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where scan and window overlap, (rows, columns) in the scan and in the window."""
    inner, window = [], []
    for pad, side, length in zip(record.pad, record.square, record.shape[1:], strict=True):
        first, last = max(0, pad), max(0, pad, min(side, pad + length))
        window.append(slice(first, last))
        inner.append(slice(first - pad, last - pad))
    return (inner[0], inner[1]), (window[0], window[1])


def _square(height: int, width: int, affine: np.ndarray) -> tuple[int, int]:
    """Return (rows, columns) of the smallest square, in mm, that holds a slice."""
    x, y = np.linalg.norm(affine[:3, :2], axis=0)
    if abs(x / y - 1.0) < _EQUAL_SPACING:
        return max(height, width), max(height, width)
    side = max(height * y, width * x)
    return max(height, round(side / y)), max(width, round(side / x))
