"""A volume as the viewer holds it: every voxel of a slice, whole HU, all slices or every n-th."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.progress import Progress, silent

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume

VOXEL_BYTES = 2
MOST = 32767
"""The largest value that a voxel of the page holds."""


@dataclass(frozen=True)
class Block:
    """One volume, ready to be put into a page or sent to one.

    Attributes:
        shape: (z, y, x) of what is held, in LPS: slices from the feet, rows to the back, columns to the left.
        whole_shape: (z, y, x) of the volume itself, likewise upright.
        spacing_mm: (z, y, x) of the volume itself.
        affine: (4, 4), index (x, y, z) of the upright volume to RAS+ mm.
        every: slice ``i`` here is slice ``every * i`` of the volume.
        slope: what a stored value is multiplied with; 1 for HU.
        rounded: the volume has values between those that are held.
        packed: whether ``data`` is as :func:`pack` makes it, or the voxels themselves, little-endian int16.
        data: the voxels.
    """

    shape: tuple[int, int, int]
    whole_shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: tuple[tuple[float, ...], ...]
    every: int
    slope: float
    rounded: bool
    packed: bool
    data: bytes

    @property
    def megabytes(self) -> float:
        """What its voxels take where they are shown."""
        return math.prod(self.shape) * VOXEL_BYTES / 1e6

    def facts(self) -> dict[str, Any]:
        """Return what its grid is, without the voxels."""
        return {
            "shape": list(self.shape),
            "whole_shape": list(self.whole_shape),
            "spacing_mm": [round(mm, 5) for mm in self.spacing_mm],
            "affine": [[round(mm, 5) for mm in row] for row in self.affine],
            "every": self.every,
        }

    def voxels(self) -> np.ndarray:
        """Return what the page shows: (z, y, x), HU as int16, other maps as float64."""
        stored = unpack(self.data, self.shape) if self.packed else np.frombuffer(self.data, "<i2").reshape(self.shape)
        return stored if self.slope == 1 else stored * self.slope


def every_of(shape: Sequence[int], volumes: int, max_mb: float) -> int:
    """Return the least n such that every n-th slice of some volumes of a shape (z, y, x) fits into ``max_mb``."""
    most_slices = max_mb * 1e6 / (VOXEL_BYTES * volumes * shape[1] * shape[2])
    return next((n for n in range(1, shape[0]) if math.ceil(shape[0] / n) <= most_slices), shape[0])


def embed(
    volume: Volume, every: int = 1, *, packed: bool = True, continuous: bool = False, progress: Progress = silent
) -> Block:
    """Turn a volume upright and take its slices, no pixel of them left out.

    Args:
        volume: any; the nearest orientation to LPS is taken where it is oblique.
        every: which slices, counted from the feet.
        packed: make it small; else the voxels stay as they are.
        continuous: of a map with values between whole numbers, the finest step is taken that holds its largest.
        progress: told of every slice.
    """
    upright = volume.reoriented("LPS")
    chosen, slope, rounded = upright.hu[::every], 1.0, False
    if upright.hu.dtype != np.int16:
        rounded = any(not np.array_equal(np.rint(one), one) for one in chosen)
        if rounded and continuous:
            slope, rounded = max(float(np.abs(chosen).max()), 1e-6) / MOST, False
    slices = (_stored(one, slope) for one in chosen)
    told = (_told(one, i, len(chosen), progress) for i, one in enumerate(slices))
    shape = (len(chosen), *upright.shape[1:])
    return Block(
        shape=(shape[0], shape[1], shape[2]),
        whole_shape=upright.shape,
        spacing_mm=upright.spacing_mm,
        affine=tuple(tuple(float(mm) for mm in row) for row in upright.affine),
        every=every,
        slope=slope,
        rounded=rounded,
        packed=packed,
        data=pack(told) if packed else b"".join(one.tobytes() for one in told),
    )


def _stored(values: np.ndarray, slope: float) -> np.ndarray:
    if values.dtype == np.int16 and slope == 1:
        return np.ascontiguousarray(values, "<i2")
    return np.rint(values.astype(np.float64) / slope).clip(-MOST - 1, MOST).astype("<i2")


def _told(values: np.ndarray, i: int, count: int, progress: Progress) -> np.ndarray:
    progress("embedding", i, count)
    return values


def pack(slices: Any) -> bytes:
    """Return slices (y, x) int16 as zlib holds them best: of each its low bytes, then its high ones.

    A voxel is kept as its step d from the one on its left, modulo 65536, with the sign folded in: 2d where d >= 0 and
    -2d - 1 elsewhere, so that small steps have small codes.
    """
    packer, parts = zlib.compressobj(6), []
    for values in slices:
        steps = np.diff(values, axis=1, prepend=np.zeros((len(values), 1), np.int16)).astype(np.int16)
        codes = ((steps << 1) ^ (steps >> 15)).view(np.uint16)
        parts += [packer.compress((codes & 255).astype(np.uint8).tobytes())]
        parts += [packer.compress((codes >> 8).astype(np.uint8).tobytes())]
    return b"".join([*parts, packer.flush()])


def unpack(data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the voxels that :func:`pack` took: (z, y, x) int16."""
    slices, rows, columns = shape
    low, high = np.frombuffer(zlib.decompress(data), np.uint8).reshape(slices, 2, rows, columns).swapaxes(0, 1)
    codes = low.astype(np.uint16) | (high.astype(np.uint16) << 8)
    steps = (codes >> 1).astype(np.int16) ^ -(codes & 1).astype(np.int16)
    return np.cumsum(steps, axis=2, dtype=np.int16)
